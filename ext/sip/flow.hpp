// Where our requests inside a dialog go. SIP thread only.
#pragma once

#include <pjsip.h>

namespace quickcall {

// By RFC 3261 12.2.1.1 they go to the peer's Contact, or to the first Record-Route. Phones behind a NAT name
// addresses that lead nowhere. When no Record-Route came they go where the INVITE went, without a Route header that
// the peer never asked for, in these cases:
// * the Contact is a private, loopback or otherwise local address while the INVITE went to one of another kind;
// * the answer came over a connection that the peer opened (RFC 5626 5.3);
// * the Contact is the Request-URI, to which the INVITE was not sent.
// To be called with every 1xx and 2xx to an INVITE, after the dialog took its Contact and Record-Route.
void keep_flow(pjsip_dialog *dialog, const pjsip_transaction *invite, const pjsip_rx_data *response);

// Removes the hop of `keep_flow` from a request when it is a connection that the peer opened: once that is gone,
// only the Contact is left.
void leave_flow(pjsip_tx_data *request);

}  // namespace quickcall
