// What pjsip keeps of a leg as long as it lives, made small. SIP thread only.
//
// `pjsip_endpt_create_pool` is wrapped too (see setup.py): pools of dialogs and messages grow by 4000 bytes, whatever
// they need next.
#pragma once

#include <pjlib.h>
#include <pjsip.h>
#include <pjsip_ua.h>

namespace quickcall {

// Prints messages into as much memory as their text needs. pjsip gives each PJSIP_MAX_PKT_LEN, and a leg keeps its ACK
// as long as it lives. Call it once for an endpoint.
void print_tightly(pjsip_endpoint *endpoint);

// Drops the INVITE of an answered session. pjsip keeps it to send it again to the contacts of a 3xx.
void drop_invite(pjsip_inv_session *session);

}  // namespace quickcall
