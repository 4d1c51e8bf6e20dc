#include "leg.hpp"

#include <utility>

// The dialog of a call before its INVITE is sent is pjsua's own state. 2.17 is pinned and checked at import.
#include <pjsua-lib/pjsua_internal.h>

#include "challenges.hpp"
#include "headers.hpp"
#include "sdp.hpp"
#include "srtp.hpp"

namespace quickcall {
namespace {

constexpr unsigned silent_hop_t1 = 8;  // times T1, until a hop that says nothing is given up for the next one
constexpr int max_provisionals = 32;  // 18x reported per leg: a peer that repeats them cannot fill the mailbox
constexpr char unacceptable[] = "SIP;cause=488;text=\"Not Acceptable Here\"";
constexpr std::size_t max_contacts = 8;  // of a 3xx: more are not tried one after the other while somebody waits

// The message that caused a change of state, nullptr when a timer, the transport or we ourselves did.
pjsip_msg *received(const pjsip_event *event) {
    if (event == nullptr || event->type != PJSIP_EVENT_TSX_STATE) return nullptr;
    if (event->body.tsx_state.type != PJSIP_EVENT_RX_MSG) return nullptr;
    return event->body.tsx_state.src.rdata->msg_info.msg;
}

bool is_our_bye(const pjsip_event *event) {
    const auto *transaction = event->body.tsx_state.tsx;
    return transaction->role == PJSIP_ROLE_UAC && transaction->method.id == PJSIP_BYE_METHOD;
}

// An INVITE of the peer that we answered with 200 and that waited for its ACK in vain.
bool is_unacknowledged(const pjsip_transaction &transaction) {
    return transaction.role == PJSIP_ROLE_UAS && transaction.method.id == PJSIP_INVITE_METHOD &&
           transaction.state == PJSIP_TSX_STATE_TERMINATED && transaction.status_code == PJSIP_SC_TSX_TIMEOUT &&
           transaction.last_tx != nullptr && transaction.last_tx->msg->line.status.code / 100 == 2;
}

bool has_sdp(const pjsip_msg *message) {
    return message->body != nullptr &&
           pj_stricmp2(&message->body->content_type.subtype, "sdp") == 0;
}

std::string agent_of(const pjsip_msg *message) {
    for (const auto *header = message->hdr.next; header != &message->hdr; header = header->next) {
        if (pj_stricmp2(&header->name, "Server") == 0 || pj_stricmp2(&header->name, "User-Agent") == 0) {
            return value_of(header);
        }
    }
    return {};
}

}  // namespace

Leg::Leg(LegOwner &owner, pj::Account &account, Command &&command)
    : pj::Call(account),
      owner_(owner),
      acc_id_(account.getId()),
      command_(std::move(command)),
      in_dialog_(command_.leg, owner.mailbox()),
      offers_(*this) {
    pj_timer_entry_init(&refused_inside_, 0, this, &Leg::on_refused_inside);
}

Leg::~Leg() {
    if (media_ != nullptr) media_->observer = nullptr;
}

Event Leg::event(EventKind kind) const {
    Event made;
    made.kind = kind;
    made.leg = command_.leg;
    return made;
}

void Leg::dial() {
    if (command_.request_uri.empty() || command_.to_uri.empty() || command_.from_uri.empty()) {
        return finish(Party::policy, 0, {}, nullptr, "request_uri, to_uri and from_uri must not be empty");
    }
    for (const auto &suite : command_.suites) {
        if (srtp_secret_size(suite) == 0) {
            return finish(Party::policy, 0, {}, nullptr, "there is no SRTP suite '" + suite + "'");
        }
    }
    pj::CallOpParam prm(true);
    prm.opt.audioCount = 1;
    prm.opt.videoCount = 0;
    prm.opt.textCount = 0;
    prm.opt.customCallId = command_.call_id;
    prm.txOption.targetUri = command_.request_uri;
    prm.txOption.contactUri = contact();
    prm.txOption.localUri = command_.from_uri;
    prm.txOption.headers.reserve(command_.headers.size());
    for (const auto &header : command_.headers) {
        pj::SipHeader made;
        made.hName = header.first;
        made.hValue = header.second;
        prm.txOption.headers.push_back(std::move(made));
    }
    std::string failure;
    make_call(prm, failure);
    if (ended_) return leave();
    auto *session = dialog_ != nullptr && failure.empty() ? pjsip_dlg_get_inv_session(dialog_) : nullptr;
    if (session == nullptr) {
        dialog_ = nullptr;  // pjsua destroyed it
        in_dialog_.lose();
        return finish(Party::policy, 0, {}, nullptr, failure);
    }
    if (command_.more_hops && session->invite_tsx != nullptr) {
        // Any response stops this timer, as it does timer B.
        pjsip_tsx_set_timeout(session->invite_tsx, silent_hop_t1 * pjsip_cfg()->tsx.t1);
    }
    Event dialed = event(EventKind::leg_dialed);
    dialed.from = text_of(dialog_->local.info->tag);
    const pjmedia_sdp_session *offer = nullptr;
    pjmedia_sdp_neg_get_neg_local(session->neg, &offer);
    dialed.text = sdp_text(offer);
    owner_.mailbox().post(std::move(dialed));
}

void Leg::make_call(pj::CallOpParam &prm, std::string &failure) {
    auto &timers = pjsua_var.acc[acc_id_].cfg.use_timer;
    const auto usual = timers;
    if (command_.media_of != 0) {
        offers_.begin(command_.media_of);
        timers = PJSUA_SIP_TIMER_ALWAYS;  // nothing else tells that the peer has gone
    }
    dialing_ = true;  // makeCall writes to this when it returns: the end must wait for it
    try {
        makeCall(command_.to_uri, prm);
    } catch (const pj::Error &error) {
        failure = error.reason;
    }
    dialing_ = false;
    timers = usual;
    if (media_ != nullptr) media_->lender = nullptr;
}

// Our Contact on the transport the INVITE takes. Left to itself pjsua takes the transport from the To header,
// which names an AOR: a phone on TCP would be told to send its BYE over UDP.
std::string Leg::contact() const {
    const auto &hop = !command_.next_hop.empty()  ? command_.next_hop
                      : !command_.routes.empty() ? command_.routes.front()
                                                 : command_.request_uri;
    const pj_str_t target = pj_str(const_cast<char *>(hop.c_str()));
    auto *pool = pjsua_pool_create("contact", 512, 512);
    pj_str_t made{nullptr, 0};
    pjsua_acc_create_uac_contact(pool, &made, acc_id_, &target);
    auto result = text_of(made);  // empty for a URI that pjsip will refuse
    pj_pool_release(pool);
    return result;
}

// The dialog exists, the INVITE does not yet: the one moment to set what pjsua takes from an account only.
void Leg::prepare_dialog(pjsip_dialog *dialog) {
    dialog_ = dialog;
    dialog->mod_data[owner_.module_id()] = this;
    in_dialog_.open(dialog);
    use_credentials(dialog, command_);
    pjsip_route_hdr routes;
    pj_list_init(&routes);
    const auto add = [&](std::string text) {
        pj_str_t name = pj_str(const_cast<char *>("Route"));
        pj_str_t value;
        pj_strdup2_with_null(dialog->pool, &value, text.c_str());
        auto *route = static_cast<pjsip_route_hdr *>(
            pjsip_parse_hdr(dialog->pool, &name, value.ptr, static_cast<pj_size_t>(value.slen), nullptr));
        if (route != nullptr) pj_list_push_back(&routes, route);
    };
    // `hide` keeps the hop off the wire: the phone behind the NAT never asked for a Route.
    if (!command_.next_hop.empty()) add("<" + command_.next_hop + ";lr;hide>");
    for (const auto &route : command_.routes) add(route);
    if (!pj_list_empty(&routes)) pjsip_dlg_set_route_set(dialog, &routes);
}

void Leg::onCreateMediaTransport(pj::OnCreateMediaTransportParam &prm) {
    if (dialog_ == nullptr) prepare_dialog(pjsua_var.calls[getId()].async_call.dlg);
    auto *base = static_cast<pjmedia_transport *>(prm.mediaTp);
    const auto &first = command_.first_codec;
    media_ = create_media_transport(owner_.media(), command_.leg, command_.call_id, base, *this,
                                    first.empty() ? command_.codecs : std::vector<std::string>{first});
    if (media_ != nullptr) {
        media_->list = command_.codecs;
        media_->other_codecs = command_.other_codecs;
        media_->dtmf = command_.dtmf;
        media_->sdes = Sdes(command_.encryption, command_.suites);
        if (command_.webrtc) media_->webrtc.emplace(owner_.media().fingerprint());
    }
    prm.mediaTp = media_;
    const auto *other = media_ != nullptr && command_.media_of != 0 ? offers_of(command_.media_of) : nullptr;
    if (other != nullptr) media_->lender = &other->peer();
}

void Leg::on_media_started(const Agreement &agreement, const pjmedia_sdp_session *remote) {
    const bool first = !std::exchange(agreed_, true);
    const auto *session = pjsip_dlg_get_inv_session(dialog_);
    const bool tell = offers_.on_agreed(session, remote, agreement != agreement_);
    agreement_ = agreement;
    if (hanging_up_) return;
    if (answered_) {
        if (tell) report_media(EventKind::leg_renegotiated);
    } else if (first && session->state <= PJSIP_INV_STATE_EARLY) {
        report_media(EventKind::leg_gave_early_media);
    }
}

// pjsua refuses a first answer that we do not take, and says BYE. Inside the dialog it would keep the call: the leg
// is hung up as soon as pjsip has sent its ACK.
void Leg::on_media_refused(const std::string &reason) {
    if (hanging_up_ || !refusal_.empty()) return;
    refusal_ = reason;
    if (!answered_) return;
    const pj_time_val now{0, 0};
    refused_inside_.id = 1;
    pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &refused_inside_, &now);
}

void Leg::on_refused_inside(pj_timer_heap_t *, pj_timer_entry *entry) {
    entry->id = 0;
    static_cast<Leg *>(entry->user_data)->hang_up(unacceptable);
}

void Leg::report_media(EventKind kind, bool by_us) {
    Event media = event(kind);
    media.by_us = by_us;
    if (const auto *invite = pjsip_dlg_get_inv_session(dialog_)->invite_tsx; invite != nullptr) {
        media.status = invite->status_code;
        media.reason = text_of(invite->status_text);
    }
    media.talk = talk_;
    media.held = agreement_.held;
    media.codec = agreement_.codec;
    media.text = offers_.peer().text();
    media.media = agreement_.media;
    if (!by_us && owner_.mailbox().congested()) {
        owner_.mailbox().post_droppable(std::move(media));  // a peer may offer as often as it likes
    } else {
        owner_.mailbox().post(std::move(media));
    }
}

void Leg::on_media_closed() {
    note_report();
    media_ = nullptr;
}

// The figures go with the stream, which may go before the leg or after it.
void Leg::note_report() {
    if (auto report = owner_.media().report(command_.leg)) report_ = *report;
}

bool Leg::is_joined() const { return owner_.media().joined(command_.leg); }

const Offers *Leg::offers_of(LegId leg) const {
    const auto *other = leg != command_.leg ? owner_.find(leg) : nullptr;
    return other != nullptr && other->agreed_ ? &other->offers_ : nullptr;
}

void Leg::reoffer(bool hold, const std::string &codec, LegId media_of) {
    if (hanging_up_ || dialing_) return;
    if (!answered_) return on_reoffer_failed(0, "the leg is not answered");
    offers_.want(pjsip_dlg_get_inv_session(dialog_), hold, codec, media_of);
}

void Leg::free_media(Leg &other) {
    if (!bypasses(other) || !other.bypasses(*this) || offers_.leads_back() || other.offers_.leads_back()) return;
    freed_ = other.freed_ = true;
    give_port_back();
    other.give_port_back();
}

void Leg::give_port_back() {
    if (media_ != nullptr) quickcall::give_port_back(*media_);
}

// Both: what the peer that is asked first sends to us from then on must reach the other.
bool Leg::take_ports() {
    auto *other = owner_.find(offers_.bypasses());
    return take_port() && (other == nullptr || other->take_port());
}

bool Leg::take_port() {
    if (media_ == nullptr || media_->port != 0) return media_ != nullptr;
    auto *negotiator = pjsip_dlg_get_inv_session(dialog_)->neg;
    const pjmedia_sdp_session *local = nullptr, *remote = nullptr;
    pjmedia_sdp_neg_get_active_local(negotiator, &local);
    pjmedia_sdp_neg_get_active_remote(negotiator, &remote);
    if (!quickcall::take_port(*media_, local, remote)) return false;
    owner_.media().answered(command_.leg);
    return true;
}

void Leg::on_reoffered() {
    if (offers_.bypasses() == 0) freed_ = false;
    if (!hanging_up_) report_media(EventKind::leg_renegotiated, true);
}

void Leg::send_digits(const std::string &digits, int duration_ms) {
    if (hanging_up_) return;
    if (command_.dtmf == DtmfMethod::info || !owner_.media().has_ports(command_.leg)) {
        in_dialog_.send_digits(digits, duration_ms);
    } else {
        owner_.media().send_digits(command_.leg, digits, static_cast<unsigned>(duration_ms));
    }
}

void Leg::on_reoffer_failed(int status, const std::string &reason) {
    if (hanging_up_) return;
    auto *other = freed_ ? owner_.find(offers_.bypasses()) : nullptr;
    if (other != nullptr && other->freed_) free_media(*other);  // the way back was refused
    Event failed = event(EventKind::leg_reoffer_failed);
    failed.status = status;
    failed.reason = reason;
    owner_.mailbox().post(std::move(failed));
}

void Leg::on_glare() { owner_.counts().glares.fetch_add(1); }

void Leg::on_state(pjsip_inv_session *session, const pjsip_event *event) {
    if (session->state == PJSIP_INV_STATE_DISCONNECTED) return on_end(session, event);
    if (hanging_up_) {  // a 200 that crossed our CANCEL is acknowledged and followed by BYE in pjsip
        if (session->state == PJSIP_INV_STATE_CONNECTING && !answered_) owner_.counts().cancel_races.fetch_add(1);
        return;
    }
    auto *message = received(event);
    switch (session->state) {
    case PJSIP_INV_STATE_EARLY:
        if (message != nullptr) on_provisional(message);
        return;
    case PJSIP_INV_STATE_CONNECTING:
        if (message != nullptr) user_agent_ = agent_of(message);
        return;
    case PJSIP_INV_STATE_CONFIRMED:
        // A BYE that waits: the answer cannot be used, see pjsua_hooks.cpp.
        if (!answered_ && session->pending_bye == nullptr) on_answer(session);
        return;
    default:
        return;
    }
}

void Leg::on_transaction(pjsip_inv_session *session, const pjsip_event *event) {
    auto *transaction = event->body.tsx_state.tsx;
    if (is_our_bye(event) && transaction->state < PJSIP_TSX_STATE_COMPLETED) {
        pjsip_timer_end_session(session);  // or it would send a second BYE
    }
    if (hanging_up_) return;
    if (is_unacknowledged(*transaction)) return give_up(session);
    auto *message = received(event);
    if (session->state == PJSIP_INV_STATE_CALLING && transaction->state == PJSIP_TSX_STATE_PROCEEDING &&
        message != nullptr && message->line.status.code > 100 && !has_sdp(message)) {
        return on_provisional(message);  // it has no To tag and made no dialog: pjsip reports no state for it
    }
    offers_.on_transaction(session, transaction);
}

// The ACK to a 200 never came (RFC 3261 13.3.1.4, 14.2): the leg ends as soon as the BYE is answered.
void Leg::give_up(pjsip_inv_session *session) {
    const pj_str_t reason = pj_str(const_cast<char *>("No ACK"));
    pjsip_tx_data *bye = nullptr;
    const auto status = pjsip_inv_end_session(session, PJSIP_SC_REQUEST_TIMEOUT, &reason, &bye);
    if (status == PJ_SUCCESS && bye != nullptr) pjsip_inv_send_msg(session, bye);
}

void Leg::on_provisional(pjsip_msg *message) {
    if (++provisionals_ > max_provisionals) return;
    talk_ = allows_talk(message);
    if (has_sdp(message)) {
        // pjsip negotiates the first SDP right after this call: `on_media_started` reports it then.
        if (!agreed_) return;
        // It is the answer, and a later one in another 18x is none (RFC 3261 13.2.1). pjsip would take it.
        message->body = nullptr;
    }
    Event rang = event(EventKind::leg_rang);
    rang.talk = talk_;
    rang.status = message->line.status.code;
    rang.reason = text_of(message->line.status.reason);
    owner_.mailbox().post(std::move(rang));
}

void Leg::on_answer(const pjsip_inv_session *session) {
    answered_ = true;
    owner_.media().answered(command_.leg);
    Event up = event(EventKind::leg_answered);
    up.codec = agreement_.codec;
    up.reason = text_of(session->dlg->remote.info->tag);
    up.detail = user_agent_;
    up.text = offers_.peer().text();
    up.media = agreement_.media;
    owner_.mailbox().post(std::move(up));
}

void Leg::on_end(const pjsip_inv_session *session, const pjsip_event *event) {
    const auto *message = received(event);
    int status = session->cause;
    std::string text = text_of(session->cause_text);
    auto party = Party::remote;
    if (!refusal_.empty()) return finish(Party::policy, PJSIP_SC_NOT_ACCEPTABLE_HERE, refusal_);
    if (hanging_up_) {
        party = Party::local;
    } else if (message == nullptr) {
        party = Party::timeout;  // a timer or the transport: pjsip makes up 408 and 503
    } else if (answered_ && is_our_bye(event)) {
        // pjsip gave the dialog up: no refresh of the session came (RFC 4028 10), or a request was answered
        // by 408, 481 or not at all (RFC 3261 12.2.1.2).
        return finish(Party::timeout, status, text);
    } else if (!answered_ && message->line.status.code / 100 == 2) {
        // RFC 3261 13.2.1: the answer must carry an SDP we can use; pjsip has sent ACK and BYE.
        return finish(party, PJSIP_SC_NOT_ACCEPTABLE_HERE, "200 without a usable SDP: " + text);
    }
    finish(party, status, text, message);
}

void Leg::hang_up(const std::string &reason) {
    if (hanging_up_) return;
    hanging_up_ = true;
    offers_.stop();
    in_dialog_.hang_up();
    if (!reason.empty()) owner_.set_reason(text_of(dialog_->local.info->tag), reason);
    pjsua_call_hangup(getId(), 0, nullptr, nullptr);  // may end the leg, and with it this, at once
}

void Leg::force_end() {
    finish(Party::timeout, PJSIP_SC_REQUEST_TIMEOUT, "shut down before the peer answered");
}

// Notes the end, and why `message` says it came, once; leaves unless a call of ours is still on the stack.
void Leg::finish(Party party, int status, const std::string &text, const pjsip_msg *message,
                 const std::string &warning) {
    if (ended_) return;
    ended_ = true;
    if (refused_inside_.id != 0) pjsip_endpt_cancel_timer(pjsua_get_pjsip_endpt(), &refused_inside_);
    offers_.stop();
    in_dialog_.close();
    if (dialog_ != nullptr) {
        dialog_->mod_data[owner_.module_id()] = nullptr;
        owner_.set_reason(text_of(dialog_->local.info->tag), {});
    }
    end_ = event(EventKind::leg_ended);
    end_.party = party;
    end_.status = status;
    if (message != nullptr) {
        const auto causes = causes_of(message);
        end_.q850 = causes.q850;
        end_.sip_cause = causes.sip;
        if (status / 100 == 3) end_.contacts = contacts_of(message, max_contacts);
    }
    end_.reason = text;
    end_.detail = warning;
    if (!dialing_) leave();
}

// Whoever hears of the end must not see the leg counted any more: forgotten first, reported then.
void Leg::leave() {
    auto &owner = owner_;
    note_report();
    Event end = std::move(end_);
    end.has_report = agreed_ && report_.has_value();
    if (end.has_report) end.report = *report_;
    owner.forget(end.leg);
    owner.mailbox().post(std::move(end));
}

}  // namespace quickcall
