// The SIP thread. One thread creates the endpoint, polls it, runs commands and destroys it; no other
// thread calls pj. Legs report what happened through the mailbox and never call anything else.
#include "stack.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <unordered_map>

#include <pjsua2.hpp>

#include "challenges.hpp"
#include "forked_answers.hpp"
#include "headers.hpp"
#include "in_dialog.hpp"
#include "incoming.hpp"
#include "leg.hpp"
#include "mailbox.hpp"
#include "media.hpp"
#include "memory.hpp"
#include "names.hpp"
#include "pjsua_hooks.hpp"
#include "reasons.hpp"
#include "requests.hpp"
#include "sdp.hpp"
#include "setup.hpp"
#include "wake_up.hpp"

namespace quickcall {
namespace {

constexpr std::size_t max_commands = 65536;
constexpr std::size_t max_events = 65536;
constexpr unsigned min_session_s = 90;  // RFC 4028 5
constexpr int bypass_session_s = 600;   // of calls whose media bypass us, when no others are refreshed
constexpr unsigned poll_ms = 1000;    // upper bound only: commands, packets and timers wake the poll

}  // namespace

class Stack::Impl final : private LegOwner {
public:
    explicit Impl(const StackConfig &config) : config_(config), mailbox_(max_events), commands_(max_commands) {}

    void start();
    void close();

    const StackConfig config_;
    Mailbox mailbox_;
    CommandQueue commands_;
    std::atomic<std::uint32_t> leg_count_{0}, transactions_{0}, dialogs_{0}, pending_{0}, ports_{0};
    std::atomic<std::uint64_t> relayed_{0};
    LegCounts counts_;
    std::atomic<bool> closing_{false}, stopping_{false};
    WakeUp wake_up_;
    std::vector<ListenerConfig> listeners_;  // written before the constructor returns

    // Below: SIP thread only.
    void run(std::promise<void> started);
    void open();
    MediaConfig media_config() const;
    void start_endpoint();
    void add_account();
    void execute();
    void execute(Command &command);
    void dial(Command &command);
    void refuse(LegId leg, const std::string &warning);
    void take_stock();
    LegCounts &counts() override { return counts_; }
    Mailbox &mailbox() override { return mailbox_; }
    Media &media() override { return *media_; }
    int module_id() const override { return leg_module_.id; }
    void set_reason(const std::string &from_tag, const std::string &reason) override {
        reasons_.set(from_tag, reason);
    }
    Leg *find(LegId leg) override;
    void forget(LegId leg) override;
    void hang_up_all();
    void update_gauges();
    void shut_down();
    static Leg *leg_of(const pjsip_inv_session *session);
    static void on_session_state(pjsip_inv_session *session, pjsip_event *event);
    static void on_transaction(pjsip_inv_session *session, pjsip_event *event);
    static void on_offer(pjsip_inv_session *session);
    static void make_offer(pjsip_inv_session *session, pjmedia_sdp_session **offer);
    static pj_status_t on_leg_request(pjsip_tx_data *tdata);

    std::unique_ptr<pj::Endpoint> endpoint_;
    std::unique_ptr<pj::Account> account_;
    std::unique_ptr<Media> media_;
    std::unique_ptr<Requests> requests_;
    std::unique_ptr<Names> names_;
    std::unordered_map<LegId, std::unique_ptr<Leg>> legs_;
    Release release_;
    Reasons reasons_;  // of legs that are hung up
    std::vector<Command> batch_;
    pjsip_module leg_module_{};
    std::thread thread_;

    static inline Impl *instance_ = nullptr;  // pjsip's module callbacks carry no user data
};

// --- the SIP thread ---------------------------------------------------------------------------------

namespace {

class LogToMailbox final : public pj::LogWriter {
public:
    explicit LogToMailbox(Mailbox &mailbox) : mailbox_(mailbox) {}
    void write(const pj::LogEntry &entry) override {
        Event event;
        event.kind = EventKind::logged;
        event.status = entry.level;
        event.text = entry.msg;
        hide_keys(event.text);
        mailbox_.post_droppable(std::move(event));
    }

private:
    Mailbox &mailbox_;
};

}  // namespace

void Stack::Impl::start() {
    std::promise<void> started;
    auto ready = started.get_future();
    thread_ = std::thread([this, promise = std::move(started)]() mutable { run(std::move(promise)); });
    try {
        ready.get();
    } catch (...) {
        thread_.join();
        throw;
    }
}

void Stack::Impl::run(std::promise<void> started) {
    try {
        open();
    } catch (const pj::Error &error) {
        shut_down();
        started.set_exception(std::make_exception_ptr(std::runtime_error(error.title + ": " + error.reason)));
        return;
    } catch (...) {
        shut_down();
        started.set_exception(std::current_exception());
        return;
    }
    started.set_value();
    std::chrono::steady_clock::time_point deadline{};
    bool ending = false;
    for (;;) {
        endpoint_->libHandleEvents(ending ? 10 : poll_ms);
        update_gauges();
        if (!closing_.load()) continue;
        if (!ending) {
            ending = true;
            deadline = std::chrono::steady_clock::now() +
                       std::chrono::milliseconds(static_cast<std::int64_t>(config_.shutdown_s * 1000));
            requests_->refuse_all();
            hang_up_all();
        }
        if (stopping_.load() && (legs_.empty() || std::chrono::steady_clock::now() >= deadline)) break;
    }
    while (!legs_.empty()) legs_.begin()->second->force_end();
    shut_down();
}

void Stack::Impl::open() {
    raise_descriptor_limit();
    instance_ = this;
    observe_sessions({&Impl::on_session_state, &Impl::on_transaction, &Impl::on_offer, &Impl::make_offer});
    start_endpoint();
    const auto t1 = static_cast<unsigned>(config_.t1_ms);
    pjsip_tsx_set_timers(t1, 8 * t1, 10 * t1, 64 * t1);
    media_ = std::make_unique<Media>(media_config(), mailbox_);
    for (const auto &listener : config_.listeners) listeners_.push_back(listen(config_, listener));
    endpoint_->audDevManager().setNoDev();
    choose_codecs(config_.codecs);
    requests_ = std::make_unique<Requests>(pjsua_get_pjsip_endpt(), mailbox_, pending_, config_.accept_register,
                                           config_.trace);
    start_in_dialog(pjsua_get_pjsip_endpt(), config_.transfers);
    start_challenges(pjsua_get_pjsip_endpt());
    static char leg_name[] = "mod-quickcall-leg";
    leg_module_.name = pj_str(leg_name);
    leg_module_.id = -1;
    leg_module_.priority = PJSIP_MOD_PRIORITY_APPLICATION;
    leg_module_.on_tx_request = &Impl::on_leg_request;
    pjsip_endpt_register_module(pjsua_get_pjsip_endpt(), &leg_module_);
    acknowledge_forked_answers(pjsua_get_pjsip_endpt());
    check_incoming(pjsua_get_pjsip_endpt());
    print_tightly(pjsua_get_pjsip_endpt());
    spell_received_hold_out(pjsua_get_pjsip_endpt());
    endpoint_->libStart();
    add_account();
    names_ = std::make_unique<Names>(pjsua_get_pjsip_endpt(), mailbox_);
    wake_up_.attach(pjsua_get_pjsip_endpt(), [this] { execute(); });
}

MediaConfig Stack::Impl::media_config() const {
    MediaConfig made;
    made.host = config_.media_host;
    made.first_port = config_.rtp_first;
    made.last_port = config_.rtp_last;
    made.latching = config_.latching;
    made.silent_s = config_.silent_s;
    made.silent_held_s = config_.silent_held_s;
    made.one_way_s = config_.one_way_s;
    return made;
}

void Stack::Impl::start_endpoint() {
    pj_log_set_level(0);  // until libInit hands the log to the mailbox
    endpoint_ = std::make_unique<pj::Endpoint>();
    endpoint_->libCreate();
    pj::EpConfig config;
    config.uaConfig.threadCnt = 0;
    config.uaConfig.maxCalls = static_cast<unsigned>(config_.max_legs);
    config.uaConfig.natTypeInSdp = 0;
    config.uaConfig.userAgent = config_.user_agent;
    config.medConfig.threadCnt = 0;
    config.medConfig.hasIoqueue = false;
    config.medConfig.noVad = true;
    config.medConfig.maxMediaPorts = 2;
    config.logConfig.msgLogging = 0;
    config.logConfig.level = static_cast<unsigned>(config_.log_level);
    config.logConfig.consoleLevel = 0;
    config.logConfig.decor = PJ_LOG_HAS_SENDER;
    config.logConfig.writer = new LogToMailbox(mailbox_);  // the endpoint deletes it
    endpoint_->libInit(config);
    clear_unused_callbacks();
    choose_answers();
}

void Stack::Impl::add_account() {
    const auto &host = listeners_.front().host;
    pj::AccountConfig config;
    config.idUri = "sip:quickcall@" + (is_v6(host) ? "[" + host + "]" : host);
    config.sipConfig.ipv6Use = PJSUA_IPV6_ENABLED_NO_PREFERENCE;
    config.mediaConfig.ipv6Use = PJSUA_IPV6_ENABLED_NO_PREFERENCE;
    config.mediaConfig.useLoopMedTp = true;  // ours replaces it, see create_media_transport
    config.mediaConfig.lockCodecEnabled = false;
    // Or pjsua would refuse descriptions with RTP/SAVP itself. It encrypts nothing, see pjsua_hooks.cpp.
    config.mediaConfig.srtpUse = PJMEDIA_SRTP_OPTIONAL;
    config.mediaConfig.srtpSecureSignaling = 0;
    config.callConfig.timerUse = config_.session_expires_s > 0 ? PJSUA_SIP_TIMER_ALWAYS : PJSUA_SIP_TIMER_INACTIVE;
    config.callConfig.timerMinSESec = min_session_s;
    const auto session_s = config_.session_expires_s > 0 ? config_.session_expires_s : bypass_session_s;
    config.callConfig.timerSessExpiresSec = std::max(static_cast<unsigned>(session_s), min_session_s);
    config.natConfig.iceEnabled = false;
    config.natConfig.sipStunUse = config.natConfig.mediaStunUse = PJSUA_STUN_USE_DISABLED;
    account_ = std::make_unique<pj::Account>();
    account_->create(config, true);
}

// --- commands -----------------------------------------------------------------------------------------

void Stack::Impl::execute() {
    batch_.clear();
    commands_.take(batch_);
    for (auto &command : batch_) execute(command);
}

void Stack::Impl::execute(Command &command) {
    const auto leg = legs_.find(command.leg);
    const auto other = legs_.find(command.other);
    switch (command.kind) {
    case CommandKind::dial:
        dial(command);
        return;
    case CommandKind::hang_up:
        if (leg != legs_.end()) leg->second->hang_up(command.reason);
        return;
    case CommandKind::join:
        media_->join(command.leg, command.other);
        return;
    case CommandKind::split:
        media_->split(command.leg);
        return;
    case CommandKind::reoffer:
        if (leg != legs_.end()) {
            leg->second->reoffer(command.hold, other != legs_.end() ? other->second->codec() : std::string(),
                                 command.media_of);
        }
        return;
    case CommandKind::free_media:
        if (leg != legs_.end() && other != legs_.end()) leg->second->free_media(*other->second);
        return;
    case CommandKind::notify_talk:
        if (leg != legs_.end()) leg->second->in_dialog().notify_talk();
        return;
    case CommandKind::transfer_progress:
        if (leg != legs_.end()) leg->second->in_dialog().transfer_progress(command.status, command.reason);
        return;
    case CommandKind::send_digits:
        if (leg != legs_.end()) leg->second->send_digits(command.digits, command.status);
        return;
    case CommandKind::respond:
        requests_->respond(command);
        return;
    case CommandKind::use_hops:
        names_->use(command);
        return;
    case CommandKind::take_stock:
        take_stock();
        return;
    case CommandKind::play:
        media_->play(command.leg, command.play, std::move(command.text), command.repeat);
        return;
    case CommandKind::stop_playing:
        media_->stop_playing(command.leg);
        return;
    case CommandKind::record:
        media_->record(command.leg, std::move(command.text), command.max_s);
        return;
    case CommandKind::stop_recording:
        media_->stop_recording(command.leg);
        return;
    }
}

void Stack::Impl::dial(Command &command) {
    if (closing_.load()) return refuse(command.leg, "the engine is closing");
    if (legs_.size() >= static_cast<std::size_t>(config_.max_legs)) {
        return refuse(command.leg, "max_legs reached");
    }
    if (mailbox_.congested()) return refuse(command.leg, "events are not taken fast enough");
    const auto like = legs_.find(command.media_of != 0 ? command.media_of : command.other);
    if (like != legs_.end()) command.first_codec = like->second->codec();
    if (command.first_codec.empty() && command.media_of != 0) {
        return refuse(command.leg, "the leg of media_of has no media");
    }
    if (command.media_of != 0) command.other_codecs = false;
    if (command.codecs.empty()) command.codecs = config_.codecs;
    const LegId id = command.leg;
    auto leg = std::make_unique<Leg>(static_cast<LegOwner &>(*this), *account_, std::move(command));
    auto *dialing = leg.get();
    legs_.emplace(id, std::move(leg));
    leg_count_.store(static_cast<std::uint32_t>(legs_.size()));
    release_.legs(legs_.size());
    dialing->dial();
}

void Stack::Impl::refuse(LegId leg, const std::string &warning) {
    Event event;
    event.kind = EventKind::leg_ended;
    event.leg = leg;
    event.party = Party::policy;
    event.detail = warning;
    mailbox_.post(std::move(event));
}

// Between two messages, so that nothing is half made or half gone.
void Stack::Impl::take_stock() {
    Event stock;
    stock.kind = EventKind::stock_taken;
    stock.legs.reserve(legs_.size());
    for (const auto &entry : legs_) stock.legs.push_back(entry.first);
    stock.media_ports = media_->ports_in_use();
    stock.dialogs = pjsip_ua_get_dlg_set_count();
    stock.transactions = pjsip_tsx_layer_get_tsx_count();
    mailbox_.post(std::move(stock));
}

Leg *Stack::Impl::find(LegId leg) {
    const auto found = legs_.find(leg);
    return found != legs_.end() ? found->second.get() : nullptr;
}

void Stack::Impl::forget(LegId leg) {
    legs_.erase(leg);
    leg_count_.store(static_cast<std::uint32_t>(legs_.size()));
    release_.legs(legs_.size());
    update_gauges();
}

void Stack::Impl::hang_up_all() {
    std::vector<LegId> ids;
    for (const auto &entry : legs_) ids.push_back(entry.first);
    for (const LegId id : ids) {
        const auto found = legs_.find(id);
        if (found != legs_.end()) found->second->hang_up({});
    }
}

Leg *Stack::Impl::leg_of(const pjsip_inv_session *session) {
    return instance_ != nullptr ? static_cast<Leg *>(session->dlg->mod_data[instance_->leg_module_.id]) : nullptr;
}

void Stack::Impl::on_session_state(pjsip_inv_session *session, pjsip_event *event) {
    auto *leg = leg_of(session);
    if (instance_ != nullptr && instance_->names_ != nullptr) instance_->names_->note_source(session, event);
    pass_to_pjsua(session, event);
    if (leg != nullptr) leg->on_state(session, event);
    if (session->state == PJSIP_INV_STATE_CONFIRMED) {
        send_waiting_bye(session);
        drop_invite(session);
    }
}

void Stack::Impl::on_transaction(pjsip_inv_session *session, pjsip_event *event) {
    if (auto *leg = leg_of(session)) leg->on_transaction(session, event);
}

void Stack::Impl::on_offer(pjsip_inv_session *session) {
    // What an answer changes must be told: not while nobody listens.
    auto *leg = instance_ != nullptr && !instance_->mailbox_.congested() ? leg_of(session) : nullptr;
    if (leg != nullptr) leg->offers().answer(session);
}

void Stack::Impl::make_offer(pjsip_inv_session *session, pjmedia_sdp_session **offer) {
    auto *leg = leg_of(session);
    *offer = leg != nullptr ? leg->offers().offer_all(session) : nullptr;
}

pj_status_t Stack::Impl::on_leg_request(pjsip_tx_data *tdata) {
    instance_->reasons_.write(tdata);
    return PJ_SUCCESS;
}

void Stack::Impl::update_gauges() {
    transactions_.store(pjsip_tsx_layer_get_tsx_count(), std::memory_order_relaxed);
    dialogs_.store(pjsip_ua_get_dlg_set_count(), std::memory_order_relaxed);
    ports_.store(media_->ports_in_use(), std::memory_order_relaxed);
    relayed_.store(media_->packets(), std::memory_order_relaxed);
}

// Also undoes an `open` that failed half way.
void Stack::Impl::shut_down() {
    if (requests_ != nullptr) requests_->refuse_all();
    wake_up_.detach();
    names_.reset();
    account_.reset();
    if (media_ != nullptr) media_->stop();
    if (endpoint_ != nullptr) {
        try {
            endpoint_->libDestroy(PJSUA_DESTROY_NO_NETWORK);
        } catch (const pj::Error &) {
            // Nothing is left to be done about it; the process keeps what pjlib did not give back.
        }
    }
    endpoint_.reset();
    requests_.reset();
    media_.reset();
    instance_ = nullptr;
}

// --- the facade ---------------------------------------------------------------------------------------

Stack::Stack(const StackConfig &config) : impl_(std::make_unique<Impl>(config)) { impl_->start(); }

Stack::~Stack() { close(); }

std::vector<ListenerConfig> Stack::listeners() const { return impl_->listeners_; }

int Stack::fd() const { return impl_->mailbox_.fd(); }

void Stack::drain(std::vector<Event> &into) { impl_->mailbox_.drain(into); }

bool Stack::submit(std::vector<Command> &&commands) {
    bool first = false;
    if (!impl_->commands_.push(std::move(commands), first)) return false;
    if (first) impl_->wake_up_.wake();
    return true;
}

Stats Stack::stats() const {
    Stats stats;
    stats.legs = impl_->leg_count_.load();
    stats.transactions = impl_->transactions_.load();
    stats.dialogs = impl_->dialogs_.load();
    stats.pending_requests = impl_->pending_.load();
    stats.media_ports = impl_->ports_.load();
    stats.relayed_packets = impl_->relayed_.load();
    stats.cancel_races = impl_->counts_.cancel_races.load();
    stats.glares = impl_->counts_.glares.load();
    stats.mailbox = static_cast<std::uint32_t>(impl_->mailbox_.size());
    stats.dropped = impl_->mailbox_.dropped();
    stats.blocked_max_ns = std::max(impl_->mailbox_.blocked_max_ns(), impl_->commands_.blocked_max_ns());
    return stats;
}

void Stack::begin_close() {
    impl_->closing_.store(true);
    impl_->wake_up_.wake();
}

void Stack::close() { impl_->close(); }

std::string Stack::pjproject_version() { return pj_get_version(); }

void Stack::Impl::close() {
    closing_.store(true);
    stopping_.store(true);
    wake_up_.wake();
    if (thread_.joinable()) thread_.join();
}

}  // namespace quickcall
