// What a proxy that forks may still send when one of its phones has won the call.
#pragma once

#include <pjsip.h>

namespace quickcall {

// Has every repetition of a 200 that lost acknowledged again (RFC 3261 13.2.2.4). pjsua answers the first one with
// ACK and BYE (its on_dlg_forked) and keeps no session for that dialog; pjsip then drops what is repeated, and a
// phone that did not hear the ACK would go on for 64*T1. Call it once for an endpoint, SIP thread only.
void acknowledge_forked_answers(pjsip_endpoint *endpoint);

}  // namespace quickcall
