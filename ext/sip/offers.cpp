#include "offers.hpp"

#include <utility>

// Descriptions are made by pjsua's own functions. 2.17 is pinned and checked at import.
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "headers.hpp"
#include "sdp.hpp"

namespace quickcall {
namespace {

constexpr int max_tries = 3;
// Who owns the Call-ID, and that is always this side, waits 2.1 to 4 s in units of 10 ms (RFC 3261 14.1).
constexpr unsigned glare_first = 210, glare_last = 400, glare_unit_ms = 10;
// pjsip does not say when the ACK came that ends a re-INVITE of the peer: look again.
constexpr unsigned pending_ms = 20;
constexpr unsigned audio = 0;  // the only stream, always offered first

pjsua_call *call_of(const pjsip_inv_session *session) {
    return static_cast<pjsua_call *>(session->dlg->mod_data[pjsua_var.mod.id]);
}

bool is_busy(const pjsip_inv_session *session) {
    return session->invite_tsx != nullptr ||
           pjmedia_sdp_neg_get_state(session->neg) != PJMEDIA_SDP_NEG_STATE_DONE;
}

}  // namespace

Offers::Offers(OfferOwner &owner) : owner_(owner) { pj_timer_entry_init(&timer_, 0, nullptr, &Offers::on_timer); }

Offers::~Offers() { stop(); }

void Offers::stop() {
    if (timer_.id != 0) pjsip_endpt_cancel_timer(pjsua_get_pjsip_endpt(), &timer_);
    timer_.id = 0;
    current_.reset();
    waiting_.reset();
    transaction_ = nullptr;
}

void Offers::want(pjsip_inv_session *session, bool hold, const std::string &codec) {
    waiting_ = Reoffer{hold, codec};
    next(session);
}

void Offers::next(pjsip_inv_session *session) {
    if (transaction_ != nullptr || sending_ || timer_.id != 0) return;
    if (!current_) {
        if (!waiting_) return;
        current_ = std::exchange(waiting_, std::nullopt);
        tries_ = 0;
    }
    if (is_busy(session)) return wait(session, pending_ms);
    sending_ = true;
    const auto status = send(session);
    sending_ = false;
    if (!current_) return;  // over already: the transport failed at once
    transaction_ = session->invite_tsx;
    if (status == PJ_SUCCESS && transaction_ != nullptr) return;
    char reason[PJ_ERR_MSG_SIZE];
    fail(0, text_of(pj_strerror(status, reason, sizeof reason)));
}

pj_status_t Offers::send(pjsip_inv_session *session) {
    auto *call = call_of(session);
    auto *media = owner_.media();
    if (media == nullptr) return PJ_EGONE;
    media->codecs = {current_->codec.empty() ? owner_.agreement().codec : current_->codec};
    media->other_codecs = false;
    auto status = pjsua_media_channel_init(call->index, PJSIP_ROLE_UAC, call->secure_level, session->pool_prov,
                                           nullptr, nullptr, PJ_FALSE, nullptr);
    if (status != PJ_SUCCESS) return status;
    auto *offer = make(session, nullptr);
    if (offer == nullptr) return PJ_EINVALIDOP;
    if (current_->hold) {
        // A stream on which we only receive becomes inactive (RFC 3264 8.4).
        set_direction(session->pool_prov, offer->media[audio], owner_.agreement().held ? "inactive" : "sendonly");
    }
    agreed_ = false;
    pjsip_tx_data *invite = nullptr;
    status = pjsip_inv_reinvite(session, nullptr, offer, &invite);
    return status == PJ_SUCCESS ? pjsip_inv_send_msg(session, invite) : status;
}

pjmedia_sdp_session *Offers::make(pjsip_inv_session *session, const pjmedia_sdp_session *remote) {
    pjmedia_sdp_session *made = nullptr;
    const auto status =
        pjsua_media_channel_create_sdp(call_of(session)->index, session->pool_prov, remote, &made, nullptr);
    return status == PJ_SUCCESS ? made : nullptr;
}

void Offers::answer(pjsip_inv_session *session) {
    auto *call = call_of(session);
    auto *media = owner_.media();
    const pjmedia_sdp_session *held = nullptr;
    pjmedia_sdp_neg_get_neg_remote(session->neg, &held);
    auto *offer = const_cast<pjmedia_sdp_session *>(held);  // the negotiator's own copy
    if (call->hanging_up || media == nullptr || offer->media_count == 0) return;
    const auto *stream = offer->media[audio];
    if (pj_stricmp2(&stream->desc.media, "audio") != 0 || stream->desc.port == 0) return;
    if (!can_answer(*media, offer, audio)) return;
    // One stream of audio is all there is: pjsip answers a line without port with none (RFC 3264 6).
    for (unsigned i = audio + 1; i < offer->media_count; ++i) offer->media[i]->desc.port = 0;
    auto status = pjsua_media_channel_init(call->index, PJSIP_ROLE_UAS, call->secure_level, session->pool_prov,
                                           offer, nullptr, PJ_FALSE, nullptr);
    if (status != PJ_SUCCESS) return;
    // What is in use stays in use when it is offered: the joined leg, or one that is being dialled, has it too.
    media->codecs = {owner_.agreement().codec};
    media->other_codecs = false;
    auto *answer = make(session, offer);
    if (answer == nullptr) return;
    if (!share_codec(answer->media[audio], stream)) {
        if (owner_.is_joined()) return;
        media->other_codecs = true;
        answer = make(session, offer);
        if (answer == nullptr || !share_codec(answer->media[audio], stream)) return;
    }
    if (holding_) set_direction(session->pool_prov, answer->media[audio], "sendonly");
    pjsip_inv_set_sdp_answer(session, answer);
}

pjmedia_sdp_session *Offers::offer_all(pjsip_inv_session *session) {
    auto *media = owner_.media();
    if (call_of(session)->hanging_up || media == nullptr) return nullptr;
    media->codecs = {owner_.agreement().codec};
    media->other_codecs = true;
    auto *offer = make(session, nullptr);
    if (offer != nullptr && holding_) set_direction(session->pool_prov, offer->media[audio], "sendonly");
    return offer;
}

void Offers::on_transaction(pjsip_inv_session *session, pjsip_transaction *transaction) {
    if (transaction->role != PJSIP_ROLE_UAC || transaction->method.id != PJSIP_INVITE_METHOD) return;
    if (!current_ || (transaction != transaction_ && !sending_)) return;
    if (transaction->state < PJSIP_TSX_STATE_COMPLETED) return;
    if (session->invite_tsx != nullptr && session->invite_tsx != transaction) {
        transaction_ = session->invite_tsx;  // sent again, with credentials or a longer session interval
        return;
    }
    transaction_ = nullptr;
    finish(session, *transaction);
    if (session->state == PJSIP_INV_STATE_CONFIRMED) next(session);
}

void Offers::finish(pjsip_inv_session *session, const pjsip_transaction &transaction) {
    const int status = transaction.status_code;
    switch (status) {
    case PJSIP_SC_REQUEST_PENDING:
        if (++tries_ == max_tries) break;
        return wait(session, glare_unit_ms * (glare_first + static_cast<unsigned>(pj_rand()) %
                                                                (glare_last - glare_first + 1)));
    case PJSIP_SC_REQUEST_TIMEOUT:
    case PJSIP_SC_CALL_TSX_DOES_NOT_EXIST:
        return stop();  // the dialog is dead, pjsip says BYE (RFC 3261 12.2.1.2)
    default:
        break;
    }
    if (status / 100 != 2) {
        // pjsip keeps the offer for the request it sends again; a challenge nobody can answer leaves it behind.
        if (pjmedia_sdp_neg_get_state(session->neg) == PJMEDIA_SDP_NEG_STATE_LOCAL_OFFER) {
            pjmedia_sdp_neg_cancel_offer(session->neg);
        }
        return fail(status, text_of(transaction.status_text));
    }
    if (!agreed_) return fail(status, "the answer has no usable SDP");
    holding_ = current_->hold;
    current_.reset();
}

void Offers::fail(int status, const std::string &reason) {
    current_.reset();
    owner_.on_reoffer_failed(status, reason);
}

void Offers::wait(pjsip_inv_session *session, unsigned milliseconds) {
    pj_time_val delay{0, static_cast<long>(milliseconds)};
    pj_time_val_normalize(&delay);
    timer_.user_data = this;
    timer_.id = 1;
    session_ = session;
    pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &timer_, &delay);
}

void Offers::on_timer(pj_timer_heap_t *, pj_timer_entry *entry) {
    auto &self = *static_cast<Offers *>(entry->user_data);
    entry->id = 0;
    self.next(self.session_);
}

}  // namespace quickcall
