// The functions of pjsua that this engine stands in front of, by ld's --wrap (see setup.py).
#pragma once

#include <pjsip_ua.h>

namespace quickcall {

using SessionObserver = void (*)(pjsip_inv_session *session, pjsip_event *event);

// Has `observer` called on every change of state of every INVITE session, before pjsua: at the end of a
// session pjsua frees its call slot. The observer calls `pass_to_pjsua` itself. Set it before pjsua_init.
void observe_sessions(SessionObserver observer);
void pass_to_pjsua(pjsip_inv_session *session, pjsip_event *event);

// Sends the BYE that waits in a session for the ACK, if there is one; call it when the session is confirmed.
void send_waiting_bye(pjsip_inv_session *session);

}  // namespace quickcall
