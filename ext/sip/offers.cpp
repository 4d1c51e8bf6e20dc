#include "offers.hpp"

#include <algorithm>
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

// The payload types of a line are another peer's. pjsip writes in their place those that this leg used before; RFC 3264
// 8.3.2 forbids no more than to give a number another meaning.
void keep_payload_types(const pjsip_inv_session *session, pjsip_tx_data *invite, const pjmedia_sdp_media *line) {
    const pjmedia_sdp_session *held = nullptr;
    pjmedia_sdp_neg_get_neg_local(session->neg, &held);
    *held->media[audio] = *pjmedia_sdp_media_clone(session->pool_prov, line);
    auto *sent = static_cast<pjmedia_sdp_session *>(invite->msg->body->data);
    *sent->media[audio] = *pjmedia_sdp_media_clone(invite->pool, line);
}

// Nothing tells that the peer of a leg without media has gone but a refresh that is not answered (RFC 4028).
void require_session_timer(pjsip_inv_session *session) {
    if ((session->options & PJSIP_INV_ALWAYS_USE_TIMER) != 0) return;
    const auto &account = pjsua_var.acc[call_of(session)->acc_id].cfg;
    if (pjsip_timer_init_session(session, &account.timer_setting) != PJ_SUCCESS) return;
    session->options |= PJSIP_INV_SUPPORT_TIMER | PJSIP_INV_ALWAYS_USE_TIMER;
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

void Offers::want(pjsip_inv_session *session, bool hold, const std::string &codec, LegId media_of) {
    waiting_ = Reoffer{hold, codec, media_of};
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
    const auto failure = send(session);
    sending_ = false;
    if (!current_) return;  // over already: the transport failed at once
    transaction_ = session->invite_tsx;
    if (!failure.empty() || transaction_ == nullptr) fail(0, failure);
}

// Returns why nothing was sent, empty: it was.
std::string Offers::send(pjsip_inv_session *session) {
    auto *call = call_of(session);
    if (owner_.media() == nullptr) return "the media are gone";
    const auto *other = current_->media_of != 0 ? owner_.offers_of(current_->media_of) : nullptr;
    if (other == nullptr && current_->media_of != 0) return "the other leg has no media";
    // Keys are between each of them and us.
    if (other != nullptr && (is_encrypted() || other->is_encrypted())) return "the media are encrypted";
    if (other == nullptr && bypasses_ != 0 && !owner_.take_ports()) return "no media port is left";
    auto status = pjsua_media_channel_init(call->index, PJSIP_ROLE_UAC, call->secure_level, session->pool_prov,
                                           nullptr, nullptr, PJ_FALSE, nullptr);
    auto *offer = status == PJ_SUCCESS ? make_offer(session, other) : nullptr;
    if (offer == nullptr) return other != nullptr ? "the other leg's media do not suit" : "no offer can be made";
    if (other != nullptr) require_session_timer(session);
    we_send_ = sends(offer->media[audio]);
    we_receive_ = receives(offer->media[audio]);
    agreed_ = false;
    pjsip_tx_data *invite = nullptr;
    status = pjsip_inv_reinvite(session, nullptr, offer, &invite);
    if (status == PJ_SUCCESS && other != nullptr) keep_payload_types(session, invite, offer->media[audio]);
    if (status == PJ_SUCCESS) status = pjsip_inv_send_msg(session, invite);
    if (status == PJ_SUCCESS) return {};
    char reason[PJ_ERR_MSG_SIZE];
    return text_of(pj_strerror(status, reason, sizeof reason));
}

pjmedia_sdp_session *Offers::make_offer(pjsip_inv_session *session, const Offers *other) {
    const auto &used = other != nullptr ? other->codec() : owner_.agreement().codec;
    auto *offer = make(session, nullptr, {current_->codec.empty() ? used : current_->codec}, false, other);
    if (offer == nullptr || !current_->hold) return offer;
    // A stream on which we only receive becomes inactive (RFC 3264 8.4).
    const bool sending = sends(offer->media[audio]) && !owner_.agreement().held;
    set_direction(session->pool_prov, offer->media[audio], direction(sending, false));
    return offer;
}

pjmedia_sdp_session *Offers::make(pjsip_inv_session *session, const pjmedia_sdp_session *remote,
                                  std::vector<std::string> codecs, bool others, const Offers *lender) {
    auto *media = owner_.media();
    media->codecs = std::move(codecs);
    media->other_codecs = others;
    media->lender = lender != nullptr ? &lender->peer() : nullptr;
    pjmedia_sdp_session *made = nullptr;
    const auto status =
        pjsua_media_channel_create_sdp(call_of(session)->index, session->pool_prov, remote, &made, nullptr);
    media->lender = nullptr;
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
    auto *answer = bypasses_ != 0 ? lend_answer(session, offer) : make_answer(session, offer);
    if (answer == nullptr) return;
    auto *line = answer->media[audio];
    if (holding_) set_direction(session->pool_prov, line, direction(sends(line), false));
    pjsip_inv_set_sdp_answer(session, answer);
}

pjmedia_sdp_session *Offers::make_answer(pjsip_inv_session *session, const pjmedia_sdp_session *offer) {
    // What is in use stays in use when it is offered: the joined leg, or one that is being dialled, has it too.
    auto *answer = make(session, offer, {owner_.agreement().codec}, false);
    if (answer == nullptr || share_codec(answer->media[audio], offer->media[audio])) return answer;
    answer = make(session, offer, {owner_.agreement().codec}, true);
    // A joined leg goes on in its own codec, when we can turn one into the other.
    if (answer != nullptr && owner_.is_joined() && !share_coded(answer->media[audio], offer->media[audio])) return nullptr;
    return answer != nullptr && share_codec(answer->media[audio], offer->media[audio]) ? answer : nullptr;
}

// In bypass: the other peer's address as it is known, with the codec in use or else one that both have.
pjmedia_sdp_session *Offers::lend_answer(pjsip_inv_session *session, const pjmedia_sdp_session *offer) {
    const auto *other = owner_.offers_of(bypasses_);
    if (other == nullptr) return nullptr;
    auto codecs = codecs_of(offer->media[audio]);
    const auto used = std::find(codecs.begin(), codecs.end(), owner_.agreement().codec);
    if (used != codecs.end()) std::rotate(codecs.begin(), used, used + 1);
    for (const auto &codec : codecs) {
        if (auto *answer = make(session, offer, {codec}, false, other)) return answer;
    }
    return nullptr;
}

pjmedia_sdp_session *Offers::offer_all(pjsip_inv_session *session) {
    if (call_of(session)->hanging_up || owner_.media() == nullptr) return nullptr;
    const auto *other = bypasses_ != 0 ? owner_.offers_of(bypasses_) : nullptr;
    if (other == nullptr && bypasses_ != 0) return nullptr;
    auto *offer = make(session, nullptr, {owner_.agreement().codec}, true, other);
    if (offer == nullptr) return nullptr;
    auto *line = offer->media[audio];
    if (holding_) set_direction(session->pool_prov, line, direction(sends(line), false));
    we_send_ = sends(line);
    we_receive_ = receives(line);
    return offer;
}

bool Offers::on_agreed(const pjsip_inv_session *session, const pjmedia_sdp_session *remote, bool changed) {
    const bool wanted[] = {peer_.sends(), peer_.receives()};
    const bool answered = pjmedia_sdp_neg_was_answer_remote(session->neg);
    if (answered) {
        peer_.answered(remote, we_send_, we_receive_);
    } else {
        peer_.offered(remote);
    }
    const pjmedia_sdp_session *local = nullptr;
    if (pjmedia_sdp_neg_get_active_local(session->neg, &local) == PJ_SUCCESS) {
        we_send_ = sends(local->media[audio]);  // what a refresh of the session offers again
        we_receive_ = receives(local->media[audio]);
    }
    agreed_ = true;
    if (answered && (transaction_ != nullptr || sending_)) return false;
    // In bypass the other peer must be told which ways packets go.
    return changed || (bypasses_ != 0 && (wanted[0] != peer_.sends() || wanted[1] != peer_.receives()));
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
        owner_.on_glare();
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
    bypasses_ = current_->media_of;
    current_.reset();
    owner_.on_reoffered();
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
