#include "pjsua_hooks.hpp"

#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

namespace quickcall {
namespace {

SessionObserver ours;
pjsip_inv_callback pjsuas{};

void on_transaction(pjsip_inv_session *session, pjsip_transaction *transaction, pjsip_event *event) {
    pjsuas.on_tsx_state_changed(session, transaction, event);
    ours.on_transaction(session, event);
}

void on_offer(pjsip_inv_session *session, pjsip_inv_on_rx_offer_cb_param *) { ours.on_offer(session); }

}  // namespace

void observe_sessions(const SessionObserver &observer) { ours = observer; }

void pass_to_pjsua(pjsip_inv_session *session, pjsip_event *event) { pjsuas.on_state_changed(session, event); }

void send_waiting_bye(pjsip_inv_session *session) {
    auto *bye = session->pending_bye;
    session->pending_bye = nullptr;
    if (bye != nullptr) pjsip_inv_send_msg(session, bye);
}

}  // namespace quickcall

extern "C" {

pj_status_t __real_pjsip_inv_usage_init(pjsip_endpoint *endpoint, const pjsip_inv_callback *callbacks);

// pjsip calls one set of session callbacks, pjsua's. Ours is put in front when pjsua registers them.
pj_status_t __wrap_pjsip_inv_usage_init(pjsip_endpoint *endpoint, const pjsip_inv_callback *callbacks) {
    pjsip_inv_callback both = *callbacks;
    quickcall::pjsuas = *callbacks;
    both.on_state_changed = quickcall::ours.on_state;
    both.on_tsx_state_changed = &quickcall::on_transaction;
    both.on_rx_offer2 = &quickcall::on_offer;
    both.on_create_offer = quickcall::ours.make_offer;
    // pjsip would try the contacts of a 3xx by itself, or report 487 in its place: call control decides.
    both.on_redirected = nullptr;
    return __real_pjsip_inv_usage_init(endpoint, &both);
}

// pjsua would create a codec, a jitter buffer and a conference port for every leg. Legs are relayed undecoded
// by their media transport, which has been started by now: there is nothing more to do.
pj_status_t __wrap_pjsua_aud_channel_update(pjsua_call_media *, pj_pool_t *, pjmedia_stream_info *,
                                            const pjmedia_sdp_session *, const pjmedia_sdp_session *) {
    return PJ_SUCCESS;
}

// pjsua would put an SRTP transport between the media transport of a leg and its socket, whether it encrypts or not.
// Keys are settled in sdes.* and packets encrypted in ext/media/srtp.*, so it would never be asked for anything.
pj_status_t __wrap_pjmedia_transport_srtp_create(pjmedia_endpt *, pjmedia_transport *member,
                                                 const pjmedia_srtp_setting *, pjmedia_transport **made) {
    *made = member;
    return PJ_SUCCESS;
}

pj_status_t __real_pjsip_inv_send_msg(pjsip_inv_session *session, pjsip_tx_data *message);

// pjsua says BYE to an answer it cannot use while pjsip is still handing it the 200, and the ACK goes out after
// that. RFC 3261 13.2.2.4 has the ACK first: the BYE waits where pjsip has one wait at the called side.
pj_status_t __wrap_pjsip_inv_send_msg(pjsip_inv_session *session, pjsip_tx_data *message) {
    const bool early = session->role == PJSIP_ROLE_UAC && session->state == PJSIP_INV_STATE_CONNECTING &&
                       session->invite_tsx != nullptr;
    if (!early || message->msg->type != PJSIP_REQUEST_MSG || message->msg->line.req.method.id != PJSIP_BYE_METHOD) {
        return __real_pjsip_inv_send_msg(session, message);
    }
    if (session->pending_bye != nullptr) pjsip_tx_data_dec_ref(session->pending_bye);
    session->pending_bye = message;
    return PJ_SUCCESS;
}

pj_status_t __real_pjsua_media_channel_update(pjsua_call_id call, const pjmedia_sdp_session *local,
                                              const pjmedia_sdp_session *remote);

// After an early SDP that could not be used pjsua has given up the media of the call, and asserts that it has not
// when a 200 crosses the CANCEL. The answer is refused as the early one was.
pj_status_t __wrap_pjsua_media_channel_update(pjsua_call_id call, const pjmedia_sdp_session *local,
                                              const pjmedia_sdp_session *remote) {
    if (pjsua_var.calls[call].med_prov_cnt < local->media_count) return PJMEDIA_SDP_EINSDP;
    return __real_pjsua_media_channel_update(call, local, remote);
}


pj_status_t __real_pjmedia_stream_info_from_sdp(pjmedia_stream_info *info, pj_pool_t *pool, pjmedia_endpt *endpoint,
                                                const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote,
                                                unsigned index);

// pjsua refuses what it cannot decode. Two legs may agree on a codec that we do not have: it is relayed.
pj_status_t __wrap_pjmedia_stream_info_from_sdp(pjmedia_stream_info *info, pj_pool_t *pool, pjmedia_endpt *endpoint,
                                                const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote,
                                                unsigned index) {
    const auto status = __real_pjmedia_stream_info_from_sdp(info, pool, endpoint, local, remote, index);
    return status == PJ_ENOTFOUND || status == PJMEDIA_CODEC_EUNSUP ? PJ_SUCCESS : status;
}

}
