// Digest challenges to our requests (RFC 3261 22, RFC 7616, RFC 8760): pjsip computes the answers, this says
// which challenges it answers, and how often. SIP thread only.
#pragma once

#include <pjsip.h>

#include "wire.hpp"

namespace quickcall {

// Registers the module that keeps count on requests; once per endpoint, before any dialog.
void start_challenges(pjsip_endpoint *endpoint);

// Has every request of the dialog answer challenges with the credentials of a Dial; none: every challenge ends it.
void use_credentials(pjsip_dialog *dialog, Command &dial);

// Removes from a 401 or 407 what must not be answered:
// * of several challenges of one realm all but the strongest algorithm we have;
// * one that a request has answered already: the password is wrong, and asking again could lock the account.
//   Exception: the first `stale=true`, for the nonce alone was too old (RFC 7616 3.3).
void choose_challenges(const pjsip_rx_data *challenge, pjsip_tx_data *request);

}  // namespace quickcall
