// The only user of pjsua2. One thread creates the endpoint, polls it, runs commands and destroys it; no other
// thread calls pj. Legs report what happened through the mailbox and never call anything else.
#include "stack.hpp"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <unordered_map>

#include <pjsua2.hpp>
// pjsua's own state: the dialog of a call before its INVITE is sent, and the callback table that pjsua2 fills.
// 2.17 is pinned and checked at import.
#include <pjsua-lib/pjsua_internal.h>

#include "mailbox.hpp"
#include "media_transport.hpp"
#include "relay.hpp"
#include "requests.hpp"

namespace quickcall {
namespace {

constexpr std::size_t max_commands = 65536;
constexpr std::size_t max_events = 65536;
constexpr int max_provisionals = 32;  // 18x reported per leg: a peer that repeats them cannot fill the mailbox
constexpr unsigned poll_ms = 1000;    // upper bound only: commands, packets and timers wake the poll

std::string sdp_text(const pjmedia_sdp_session *sdp) {
    if (sdp == nullptr) return {};
    char buffer[PJSUA2_MAX_SDP_BUF_LEN];
    const int size = pjmedia_sdp_print(sdp, buffer, sizeof buffer);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : std::string();
}

std::string error_text(pj_status_t status) {
    char buffer[PJ_ERR_MSG_SIZE];
    return text_of(pj_strerror(status, buffer, sizeof buffer));
}

// The message that caused a change of state, nullptr when a timer, the transport or we ourselves did.
pjsip_msg *received(const pjsip_event *event) {
    if (event == nullptr || event->type != PJSIP_EVENT_TSX_STATE) return nullptr;
    if (event->body.tsx_state.type != PJSIP_EVENT_RX_MSG) return nullptr;
    return event->body.tsx_state.src.rdata->msg_info.msg;
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

// pjsip calls one set of session callbacks, pjsua's. Ours is put in front of it when pjsua registers them
// (see __wrap_pjsip_inv_usage_init at the end of this file).
void (*pjsua_on_session_state)(pjsip_inv_session *session, pjsip_event *event) = nullptr;
void (*our_on_session_state)(pjsip_inv_session *session, pjsip_event *event) = nullptr;

}  // namespace

class Stack::Impl {
public:
    explicit Impl(const StackConfig &config) : config_(config), mailbox_(max_events), commands_(max_commands) {}

    void start();
    void wake();
    void close();

    class Leg;

    const StackConfig config_;
    Mailbox mailbox_;
    CommandQueue commands_;
    std::atomic<std::uint32_t> leg_count_{0}, transactions_{0}, dialogs_{0}, pending_{0}, ports_{0};
    std::atomic<std::uint64_t> relayed_{0};
    std::atomic<bool> closing_{false}, stopping_{false};
    std::vector<ListenerConfig> listeners_;  // written before the constructor returns

    // Below: SIP thread only.
    void run(std::promise<void> started);
    void open();
    void listen(const ListenerConfig &listener);
    void choose_codecs();
    void add_wake_up();
    void add_account();
    void execute();
    void execute(Command &command);
    void dial(Command &command);
    void refuse(LegId leg, int status, const std::string &warning);
    void erase(LegId leg);
    void hang_up_all();
    void update_gauges();
    void shut_down();
    static void on_wake_up(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *op, pj_ssize_t read);
    static void on_session_state(pjsip_inv_session *session, pjsip_event *event);
    static pj_status_t on_leg_request(pjsip_tx_data *tdata);

    std::unique_ptr<pj::Endpoint> endpoint_;
    std::unique_ptr<pj::Account> account_;
    std::unique_ptr<Relay> relay_;
    std::unique_ptr<Requests> requests_;
    std::unordered_map<LegId, std::unique_ptr<Leg>> legs_;
    std::unordered_map<std::string, std::string> reasons_;  // From tag -> Reason of a leg that is hung up
    std::vector<Command> batch_;
    pjsip_module leg_usage_{};
    int wake_pair_[2] = {-1, -1};
    pj_pool_t *pool_ = nullptr;
    pj_ioqueue_key_t *wake_key_ = nullptr;
    pj_ioqueue_op_key_t wake_op_{};
    char wake_buffer_[64]{};
    std::thread thread_;

    static Impl *instance_;  // pjsip's module callbacks carry no user data
};

Stack::Impl *Stack::Impl::instance_ = nullptr;

// A half-call. It lives from Dial to LegEnded. pjsua reports a call as gone as soon as we ask for it to be hung
// up, long before the peer knows; so the states come from pjsip's INVITE session, see `on_session_state`.
class Stack::Impl::Leg final : public pj::Call, public MediaObserver {
public:
    Leg(Impl &stack, pj::Account &account, Command &&command)
        : pj::Call(account), stack_(stack), command_(std::move(command)) {}

    ~Leg() {
        if (media_ != nullptr) media_->observer = nullptr;
    }

    void dial();
    void hang_up(const std::string &reason);
    void on_state(pjsip_inv_session *session, const pjsip_event *event);
    void force_end() { finish(Party::timeout, PJSIP_SC_REQUEST_TIMEOUT, "shut down before the peer answered", 0); }

    const std::string &codec() const { return codec_; }
    MediaPort *port() const { return media_ != nullptr ? media_->port : nullptr; }

    void onCreateMediaTransport(pj::OnCreateMediaTransportParam &prm) override;
    void on_media_started(const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote,
                          unsigned index) override;
    void on_media_closed() override { media_ = nullptr; }

private:
    Event event(EventKind kind) const {
        Event made;
        made.kind = kind;
        made.leg = command_.leg;
        return made;
    }
    void prepare_dialog(pjsip_dialog *dialog);
    void on_provisional(const pjsip_msg *message);
    void on_answer(const pjsip_inv_session *session);
    void on_end(const pjsip_inv_session *session, const pjsip_event *event);
    void finish(Party party, int status, const std::string &text, int q850);

    Impl &stack_;
    Command command_;
    MediaTransport *media_ = nullptr;
    pjsip_dialog *dialog_ = nullptr;  // valid until `finish`
    bool dialing_ = false;
    bool hanging_up_ = false;
    bool answered_ = false;
    bool ended_ = false;
    int provisionals_ = 0;
    int early_status_ = 0;
    std::string early_reason_;
    std::string codec_;
    std::string remote_sdp_;
    std::string user_agent_;
};

void Stack::Impl::Leg::dial() {
    pj::CallOpParam prm(true);
    prm.opt.audioCount = 1;
    prm.opt.videoCount = 0;
    prm.opt.textCount = 0;
    prm.opt.customCallId = command_.call_id;
    prm.txOption.targetUri = command_.request_uri;
    prm.txOption.localUri = command_.from_uri;
    prm.txOption.headers.reserve(command_.headers.size());
    for (const auto &header : command_.headers) {
        pj::SipHeader made;
        made.hName = header.first;
        made.hValue = header.second;
        prm.txOption.headers.push_back(std::move(made));
    }
    dialing_ = true;  // makeCall writes to this when it returns: the end must wait for it
    std::string failure;
    try {
        makeCall(command_.to_uri, prm);
    } catch (const pj::Error &error) {
        failure = error.reason;
    }
    dialing_ = false;
    if (ended_) return stack_.erase(command_.leg);
    auto *session = dialog_ != nullptr && failure.empty() ? pjsip_dlg_get_inv_session(dialog_) : nullptr;
    if (session == nullptr) {
        dialog_ = nullptr;  // pjsua destroyed it
        return finish(Party::policy, 0, failure, 0);
    }
    Event dialed = event(EventKind::leg_dialed);
    dialed.from = text_of(dialog_->local.info->tag);
    const pjmedia_sdp_session *offer = nullptr;
    pjmedia_sdp_neg_get_neg_local(session->neg, &offer);
    dialed.text = sdp_text(offer);
    stack_.mailbox_.post(std::move(dialed));
}

// The dialog exists, the INVITE does not yet: the one moment to set what pjsua takes from an account only.
void Stack::Impl::Leg::prepare_dialog(pjsip_dialog *dialog) {
    dialog_ = dialog;
    dialog->mod_data[stack_.leg_usage_.id] = this;
    if (!command_.username.empty()) {
        pjsip_cred_info credential{};
        credential.realm = pj_str(command_.realm.data());
        credential.scheme = pj_str(const_cast<char *>("digest"));
        credential.username = pj_str(command_.username.data());
        credential.data_type = PJSIP_CRED_DATA_PLAIN_PASSWD;
        credential.data = pj_str(command_.password.data());
        pjsip_auth_clt_set_credentials(&dialog->auth_sess, 1, &credential);
    }
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

void Stack::Impl::Leg::onCreateMediaTransport(pj::OnCreateMediaTransportParam &prm) {
    if (dialog_ == nullptr) prepare_dialog(pjsua_var.calls[getId()].async_call.dlg);
    auto *base = static_cast<pjmedia_transport *>(prm.mediaTp);
    media_ = create_media_transport(*stack_.relay_, base, *this, command_.codecs);
    prm.mediaTp = media_;
}

void Stack::Impl::Leg::on_media_started(const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote,
                                        unsigned index) {
    PJ_UNUSED_ARG(local);
    codec_ = first_codec(remote, index);
    remote_sdp_ = sdp_text(remote);
    // A later re-INVITE of either side keeps to what was agreed: the joined leg cannot follow a change.
    if (media_ != nullptr && !codec_.empty()) media_->codecs = {codec_};
    const auto *session = pjsip_dlg_get_inv_session(dialog_);
    if (hanging_up_ || session->state != PJSIP_INV_STATE_EARLY || provisionals_ > max_provisionals) return;
    Event early = event(EventKind::leg_gave_early_media);
    early.status = early_status_;
    early.reason = early_reason_;
    early.codec = codec_;
    early.text = remote_sdp_;
    stack_.mailbox_.post(std::move(early));
}

void Stack::Impl::Leg::on_state(pjsip_inv_session *session, const pjsip_event *event) {
    if (session->state == PJSIP_INV_STATE_DISCONNECTED) return on_end(session, event);
    if (hanging_up_) return;  // 200 crossed our CANCEL: pjsip acknowledges it and says BYE
    const auto *message = received(event);
    switch (session->state) {
    case PJSIP_INV_STATE_EARLY:
        if (message != nullptr) on_provisional(message);
        return;
    case PJSIP_INV_STATE_CONNECTING:
        if (message != nullptr) user_agent_ = agent_of(message);
        return;
    case PJSIP_INV_STATE_CONFIRMED:
        if (!answered_) on_answer(session);
        return;
    default:
        return;
    }
}

void Stack::Impl::Leg::on_provisional(const pjsip_msg *message) {
    if (++provisionals_ > max_provisionals) return;
    early_status_ = message->line.status.code;
    early_reason_ = text_of(message->line.status.reason);
    // pjsip negotiates the first SDP right after this call: `on_media_started` reports it then.
    if (has_sdp(message) && codec_.empty()) return;
    Event rang = event(EventKind::leg_rang);
    rang.status = early_status_;
    rang.reason = early_reason_;
    stack_.mailbox_.post(std::move(rang));
}

void Stack::Impl::Leg::on_answer(const pjsip_inv_session *session) {
    answered_ = true;
    Event up = event(EventKind::leg_answered);
    up.codec = codec_;
    up.reason = text_of(session->dlg->remote.info->tag);
    up.detail = user_agent_;
    up.text = remote_sdp_;
    stack_.mailbox_.post(std::move(up));
}

void Stack::Impl::Leg::on_end(const pjsip_inv_session *session, const pjsip_event *event) {
    const auto *message = received(event);
    int status = session->cause;
    std::string text = text_of(session->cause_text);
    auto party = Party::remote;
    if (hanging_up_) {
        party = Party::local;
    } else if (message == nullptr) {
        party = Party::timeout;  // a timer or the transport: pjsip makes up 408 and 503
    } else if (!answered_ && status / 100 == 2) {
        status = PJSIP_SC_NOT_ACCEPTABLE_HERE;
        text = "200 without a usable SDP";
    }
    finish(party, status, text, message != nullptr ? q850_of(message) : 0);
}

void Stack::Impl::Leg::hang_up(const std::string &reason) {
    if (hanging_up_) return;
    hanging_up_ = true;
    if (!reason.empty()) stack_.reasons_[text_of(dialog_->local.info->tag)] = reason;
    pjsua_call_hangup(getId(), 0, nullptr, nullptr);  // may end the leg, and with it this, at once
}

// Reports the end once. Deletes this unless a call of ours is still on the stack.
void Stack::Impl::Leg::finish(Party party, int status, const std::string &text, int q850) {
    if (ended_) return;
    ended_ = true;
    if (dialog_ != nullptr) {
        dialog_->mod_data[stack_.leg_usage_.id] = nullptr;
        stack_.reasons_.erase(text_of(dialog_->local.info->tag));
    }
    Event end = event(EventKind::leg_ended);
    end.party = party;
    end.status = status;
    end.q850 = q850;
    (party == Party::policy ? end.detail : end.reason) = text;
    stack_.mailbox_.post(std::move(end));
    if (!dialing_) stack_.erase(command_.leg);
}

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
        mailbox_.post_droppable(std::move(event));
    }

private:
    Mailbox &mailbox_;
};

pjsip_transport_type_e transport_type(const ListenerConfig &listener) {
    const int v6 = listener.host.find(':') != std::string::npos ? PJSIP_TRANSPORT_IPV6 : 0;
    if (listener.transport == "udp") return static_cast<pjsip_transport_type_e>(PJSIP_TRANSPORT_UDP + v6);
    if (listener.transport == "tcp") return static_cast<pjsip_transport_type_e>(PJSIP_TRANSPORT_TCP + v6);
    if (listener.transport == "tls") return static_cast<pjsip_transport_type_e>(PJSIP_TRANSPORT_TLS + v6);
    throw std::runtime_error("listeners: transport '" + listener.transport + "' is not udp, tcp or tls");
}

// Thousands of RTP sockets do not fit into the usual soft limit of 1024 descriptors.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

void Stack::Impl::start() {
    std::promise<void> started;
    auto ready = started.get_future();
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, wake_pair_) != 0) {
        throw std::runtime_error("no descriptors left for the wake-up socket");
    }
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
    our_on_session_state = &Impl::on_session_state;
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
    // pjsua2 copies whole messages and SDPs for callbacks that no Leg needs.
    auto &callbacks = pjsua_var.ua_cfg.cb;
    callbacks.on_call_state = nullptr;
    callbacks.on_call_sdp_created = nullptr;
    callbacks.on_call_tsx_state = nullptr;
    callbacks.on_call_media_state = nullptr;
    callbacks.on_call_media_transport_state = nullptr;
    callbacks.on_stream_precreate = nullptr;
    callbacks.on_stream_created2 = nullptr;
    callbacks.on_stream_destroyed = nullptr;
    callbacks.on_call_rx_offer = nullptr;
    callbacks.on_call_rx_reinvite = nullptr;
    callbacks.on_call_tx_offer = nullptr;
    callbacks.on_auth_challenge = nullptr;
    relay_ = std::make_unique<Relay>(config_.media_host, config_.rtp_first, config_.rtp_last);
    for (const auto &listener : config_.listeners) listen(listener);
    endpoint_->audDevManager().setNoDev();
    choose_codecs();
    requests_ = std::make_unique<Requests>(pjsua_get_pjsip_endpt(), mailbox_, config_.accept_register, config_.trace);
    static char usage_name[] = "mod-quickcall-leg";
    leg_usage_.name = pj_str(usage_name);
    leg_usage_.id = -1;
    leg_usage_.priority = PJSIP_MOD_PRIORITY_APPLICATION;
    leg_usage_.on_tx_request = &Impl::on_leg_request;
    pjsip_endpt_register_module(pjsua_get_pjsip_endpt(), &leg_usage_);
    endpoint_->libStart();
    add_account();
    add_wake_up();
}

void Stack::Impl::listen(const ListenerConfig &listener) {
    pj::TransportConfig config;
    config.port = static_cast<unsigned>(listener.port);
    config.boundAddress = listener.host;
    config.publicAddress = config_.public_host;
    if (listener.transport == "tls") {
        config.tlsConfig.certFile = config_.tls_certificate;
        config.tlsConfig.privKeyFile = config_.tls_private_key;
    }
    const auto type = transport_type(listener);
    try {
        const auto id = endpoint_->transportCreate(type, config);
        const auto name = endpoint_->transportGetInfo(id).localAddress;
        const auto colon = name.rfind(':');
        listeners_.push_back({listener.transport, listener.host, std::stoi(name.substr(colon + 1))});
    } catch (const pj::Error &error) {
        throw std::runtime_error("listeners: cannot listen on " + listener.transport + " " + listener.host + ":" +
                                 std::to_string(listener.port) + ": " + error.reason);
    }
}

void Stack::Impl::choose_codecs() {
    for (const auto &codec : endpoint_->codecEnum2()) endpoint_->codecSetPriority(codec.codecId, 0);
    int priority = 255;
    for (const auto &wanted : config_.codecs) {
        bool known = false;
        // By name alone: SDP and pjmedia disagree on the clock rate of G.722 (RFC 3551 4.5.2).
        const auto name = wanted.substr(0, wanted.find('/'));
        for (const auto &codec : endpoint_->codecEnum2()) {
            const auto candidate = codec.codecId.substr(0, codec.codecId.find('/'));
            if (pj_ansi_stricmp(candidate.c_str(), name.c_str()) != 0) continue;
            endpoint_->codecSetPriority(codec.codecId, static_cast<pj_uint8_t>(priority--));
            known = true;
        }
        if (!known) throw std::runtime_error("codecs: '" + wanted + "' is not built in");
    }
}

void Stack::Impl::add_account() {
    const auto &first = listeners_.front();
    const bool v6 = first.host.find(':') != std::string::npos;
    pj::AccountConfig config;
    config.idUri = "sip:quickcall@" + (v6 ? "[" + first.host + "]" : first.host);
    config.sipConfig.ipv6Use = PJSUA_IPV6_ENABLED_NO_PREFERENCE;
    config.mediaConfig.ipv6Use = PJSUA_IPV6_ENABLED_NO_PREFERENCE;
    config.mediaConfig.useLoopMedTp = true;  // ours replaces it, see create_media_transport
    config.mediaConfig.lockCodecEnabled = false;
    config.mediaConfig.srtpUse = PJMEDIA_SRTP_DISABLED;
    config.natConfig.iceEnabled = false;
    config.natConfig.sipStunUse = config.natConfig.mediaStunUse = PJSUA_STUN_USE_DISABLED;
    account_ = std::make_unique<pj::Account>();
    account_->create(config, true);
}

// --- commands -----------------------------------------------------------------------------------------

void Stack::Impl::add_wake_up() {
    pool_ = pjsua_pool_create("quickcall", 1000, 1000);
    pj_ioqueue_callback callback{};
    callback.on_read_complete = &Impl::on_wake_up;
    const auto status = pj_ioqueue_register_sock(pool_, pjsip_endpt_get_ioqueue(pjsua_get_pjsip_endpt()),
                                                 wake_pair_[1], this, &callback, &wake_key_);
    if (status != PJ_SUCCESS) throw std::runtime_error("wake-up socket: " + error_text(status));
    pj_ioqueue_op_key_init(&wake_op_, sizeof wake_op_);
    pj_ssize_t size = sizeof wake_buffer_;
    pj_ioqueue_recv(wake_key_, &wake_op_, wake_buffer_, &size, PJ_IOQUEUE_ALWAYS_ASYNC);
}

void Stack::Impl::wake() {
    const char one = 1;
    // A full socket buffer means that a wake-up is on its way already.
    [[maybe_unused]] const auto sent = ::send(wake_pair_[0], &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Stack::Impl::on_wake_up(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *op, pj_ssize_t) {
    auto *stack = static_cast<Impl *>(pj_ioqueue_get_user_data(key));
    stack->execute();
    pj_ssize_t size = sizeof stack->wake_buffer_;
    pj_ioqueue_recv(key, op, stack->wake_buffer_, &size, PJ_IOQUEUE_ALWAYS_ASYNC);
}

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
        if (leg != legs_.end() && other != legs_.end() && leg->second->port() && other->second->port()) {
            relay_->join(leg->second->port(), other->second->port());
        }
        return;
    case CommandKind::split:
        if (leg != legs_.end() && leg->second->port()) relay_->split(leg->second->port());
        return;
    case CommandKind::respond:
        requests_->respond(command);
        return;
    }
}

void Stack::Impl::dial(Command &command) {
    if (closing_.load()) return refuse(command.leg, 0, "the engine is closing");
    if (legs_.size() >= static_cast<std::size_t>(config_.max_legs)) {
        return refuse(command.leg, 0, "max_legs reached");
    }
    if (mailbox_.congested()) return refuse(command.leg, 0, "events are not taken fast enough");
    const auto like = legs_.find(command.other);
    if (like != legs_.end() && !like->second->codec().empty()) command.codecs = {like->second->codec()};
    const LegId id = command.leg;
    auto leg = std::make_unique<Leg>(*this, *account_, std::move(command));
    auto *dialing = leg.get();
    legs_.emplace(id, std::move(leg));
    leg_count_.store(static_cast<std::uint32_t>(legs_.size()));
    dialing->dial();
}

void Stack::Impl::refuse(LegId leg, int status, const std::string &warning) {
    Event event;
    event.kind = EventKind::leg_ended;
    event.leg = leg;
    event.party = Party::policy;
    event.status = status;
    event.detail = warning;
    mailbox_.post(std::move(event));
}

void Stack::Impl::erase(LegId leg) {
    legs_.erase(leg);
    leg_count_.store(static_cast<std::uint32_t>(legs_.size()));
}

void Stack::Impl::hang_up_all() {
    std::vector<LegId> ids;
    for (const auto &entry : legs_) ids.push_back(entry.first);
    for (const LegId id : ids) {
        const auto found = legs_.find(id);
        if (found != legs_.end()) found->second->hang_up({});
    }
}

void Stack::Impl::on_session_state(pjsip_inv_session *session, pjsip_event *event) {
    auto *leg = instance_ != nullptr ? static_cast<Leg *>(session->dlg->mod_data[instance_->leg_usage_.id]) : nullptr;
    pjsua_on_session_state(session, event);  // frees the call slot when the session is over
    if (leg != nullptr) leg->on_state(session, event);
}

// pjsip may hold a CANCEL back until the first 1xx and then forgets the headers it was asked for: the Reason
// (RFC 3326) is added where CANCEL and BYE leave.
pj_status_t Stack::Impl::on_leg_request(pjsip_tx_data *tdata) {
    const auto method = tdata->msg->line.req.method.id;
    if (method != PJSIP_CANCEL_METHOD && method != PJSIP_BYE_METHOD) return PJ_SUCCESS;
    const pj_str_t name = pj_str(const_cast<char *>("Reason"));
    if (pjsip_msg_find_hdr_by_name(tdata->msg, &name, nullptr) != nullptr) return PJ_SUCCESS;
    const auto *from = static_cast<pjsip_from_hdr *>(pjsip_msg_find_hdr(tdata->msg, PJSIP_H_FROM, nullptr));
    const auto found = instance_->reasons_.find(text_of(from->tag));
    if (found == instance_->reasons_.end()) return PJ_SUCCESS;
    const pj_str_t value = pj_str(const_cast<char *>(found->second.c_str()));
    pjsip_msg_add_hdr(tdata->msg,
                      reinterpret_cast<pjsip_hdr *>(pjsip_generic_string_hdr_create(tdata->pool, &name, &value)));
    return PJ_SUCCESS;
}

void Stack::Impl::update_gauges() {
    transactions_.store(pjsip_tsx_layer_get_tsx_count(), std::memory_order_relaxed);
    dialogs_.store(pjsip_ua_get_dlg_set_count(), std::memory_order_relaxed);
    pending_.store(static_cast<std::uint32_t>(requests_->pending()), std::memory_order_relaxed);
    ports_.store(relay_->in_use(), std::memory_order_relaxed);
    relayed_.store(relay_->packets(), std::memory_order_relaxed);
}

// Also undoes an `open` that failed half way.
void Stack::Impl::shut_down() {
    if (requests_ != nullptr) requests_->refuse_all();
    if (wake_key_ != nullptr) pj_ioqueue_unregister(wake_key_);  // closes wake_pair_[1]
    wake_key_ = nullptr;
    account_.reset();
    if (pool_ != nullptr) pj_pool_release(pool_);
    pool_ = nullptr;
    if (endpoint_ != nullptr) {
        try {
            endpoint_->libDestroy(PJSUA_DESTROY_NO_NETWORK);
        } catch (const pj::Error &) {
            // Nothing is left to be done about it; the process keeps what pjlib did not give back.
        }
    }
    endpoint_.reset();
    requests_.reset();
    relay_.reset();
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
    if (first) impl_->wake();
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
    stats.mailbox = static_cast<std::uint32_t>(impl_->mailbox_.size());
    stats.dropped = impl_->mailbox_.dropped();
    stats.blocked_max_ns = std::max(impl_->mailbox_.blocked_max_ns(), impl_->commands_.blocked_max_ns());
    return stats;
}

void Stack::begin_close() {
    impl_->closing_.store(true);
    impl_->wake();
}

void Stack::close() { impl_->close(); }

std::string Stack::pjproject_version() { return pj_get_version(); }

void Stack::Impl::close() {
    closing_.store(true);
    stopping_.store(true);
    wake();
    if (thread_.joinable()) thread_.join();
    if (wake_pair_[0] >= 0) ::close(wake_pair_[0]);
    wake_pair_[0] = -1;
}

}  // namespace quickcall

// --- linked in front of pjsua (ld --wrap) -----------------------------------------------------------------

extern "C" {

// pjsua would create a codec, a jitter buffer and a conference port for every leg. Legs are relayed undecoded
// by their media transport, which has been started by now: there is nothing more to do.
pj_status_t __wrap_pjsua_aud_channel_update(pjsua_call_media *, pj_pool_t *, pjmedia_stream_info *,
                                            const pjmedia_sdp_session *, const pjmedia_sdp_session *) {
    return PJ_SUCCESS;
}

pj_status_t __real_pjsip_inv_usage_init(pjsip_endpoint *endpoint, const pjsip_inv_callback *callbacks);

pj_status_t __wrap_pjsip_inv_usage_init(pjsip_endpoint *endpoint, const pjsip_inv_callback *callbacks) {
    pjsip_inv_callback ours = *callbacks;
    quickcall::pjsua_on_session_state = callbacks->on_state_changed;
    ours.on_state_changed = quickcall::our_on_session_state;
    return __real_pjsip_inv_usage_init(endpoint, &ours);
}

}
