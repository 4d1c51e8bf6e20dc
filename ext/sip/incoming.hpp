// What is dropped or mended before pjsip's transactions and dialogs see it.
#pragma once

#include <pjsip.h>

#include <string_view>

namespace quickcall {

// Drops responses with more than one Via (RFC 3261 8.1.3.3: misrouted, RFC 4475 3.3.10), and takes a Contact that
// is no SIP URI out of what would make it the target of a dialog: with it, neither ACK nor BYE could be sent and the
// leg would stay for ever. Requests then go where the INVITE went. Call it once for an endpoint, SIP thread only.
void check_incoming(pjsip_endpoint *endpoint);

// Where the message came from that is being handled. False: it belongs to another call.
bool came_from(std::string_view call_id, pj_sockaddr &source);

}  // namespace quickcall
