// The functions of pjsua that this engine stands in front of, by ld's --wrap (see setup.py).
#pragma once

#include <pjsip_ua.h>

namespace quickcall {

// What pjsip's INVITE sessions tell. Every member is set.
struct SessionObserver {
    // The session changed state. Called before pjsua, which frees its call slot at the end of a session: the
    // observer calls `pass_to_pjsua` itself.
    void (*on_state)(pjsip_inv_session *session, pjsip_event *event) = nullptr;
    // A transaction of the session changed state (the event says which); pjsip and pjsua have acted on it.
    void (*on_transaction)(pjsip_inv_session *session, pjsip_event *event) = nullptr;
    // The peer offers: answer by `pjsip_inv_set_sdp_answer`, or the offer is refused with 488. Instead of pjsua.
    void (*on_offer)(pjsip_inv_session *session) = nullptr;
    // The peer wants an offer (a re-INVITE without SDP). Instead of pjsua.
    void (*make_offer)(pjsip_inv_session *session, pjmedia_sdp_session **offer) = nullptr;
};

// Set it before pjsua_init.
void observe_sessions(const SessionObserver &observer);

void pass_to_pjsua(pjsip_inv_session *session, pjsip_event *event);

// Sends the BYE that waits in a session for the ACK, if there is one; call it when the session is confirmed.
void send_waiting_bye(pjsip_inv_session *session);

}  // namespace quickcall
