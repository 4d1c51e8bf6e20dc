#include "requests.hpp"

#include "request_checks.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "headers.hpp"
#include "sdp.hpp"

namespace quickcall {
namespace {

// REGISTERs that may wait for Python at once. Beyond it phones are told to come back (RFC 3261 21.5.4):
// a registration storm must not fill the mailbox.
constexpr std::size_t max_pending = 2048;
constexpr const char *allowed = "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, OPTIONS, REGISTER";

Requests *instance = nullptr;  // pjsip's module callbacks carry no user data

std::string uri_text(const pjsip_uri *uri, pjsip_uri_context_e context) {
    char buffer[PJSIP_MAX_URL_SIZE];
    const auto size = pjsip_uri_print(context, uri, buffer, sizeof buffer);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : std::string();
}

std::string address_text(const char *host, int port) {
    const bool v6 = std::strchr(host, ':') != nullptr;
    return (v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + std::to_string(port);
}


}  // namespace

Requests::Requests(pjsip_endpoint *endpoint, Mailbox &mailbox, std::atomic<std::uint32_t> &gauge,
                   bool accept_register, bool trace)
    : endpoint_(endpoint),
      mailbox_(mailbox),
      gauge_(gauge),
      accept_register_(accept_register),
      tracing_(trace) {
    instance = this;
    static char requests_name[] = "mod-quickcall-requests";
    requests_.name = pj_str(requests_name);
    requests_.id = -1;
    // Behind the dialogs, before pjsua, which would take an INVITE for an incoming call.
    requests_.priority = PJSIP_MOD_PRIORITY_DIALOG_USAGE + 1;
    requests_.on_rx_request = &Requests::on_request;
    requests_.on_tsx_state = &Requests::on_transaction_state;
    pjsip_endpt_register_module(endpoint_, &requests_);
    if (!tracing_) return;
    static char tracer_name[] = "mod-quickcall-trace";
    tracer_.name = pj_str(tracer_name);
    tracer_.id = -1;
    tracer_.priority = PJSIP_MOD_PRIORITY_TRANSPORT_LAYER - 1;  // what is on the wire, nothing else
    tracer_.on_rx_request = tracer_.on_rx_response = &Requests::on_rx;
    tracer_.on_tx_request = tracer_.on_tx_response = &Requests::on_tx;
    pjsip_endpt_register_module(endpoint_, &tracer_);
}

Requests::~Requests() { instance = nullptr; }

pj_bool_t Requests::on_request(pjsip_rx_data *rdata) { return instance->handle(rdata); }

void Requests::refuse(pjsip_rx_data *rdata, int status, const char *header, const char *value) {
    pjsip_hdr list;
    pj_list_init(&list);
    if (header != nullptr) {
        const pj_str_t name = pj_str(const_cast<char *>(header));
        const pj_str_t text = pj_str(const_cast<char *>(value));
        pj_list_push_back(&list, pjsip_generic_string_hdr_create(rdata->tp_info.pool, &name, &text));
    }
    pjsip_endpt_respond_stateless(endpoint_, rdata, status, nullptr, &list, nullptr);
}

pj_bool_t Requests::handle(pjsip_rx_data *rdata) {
    const auto method = rdata->msg_info.msg->line.req.method.id;
    if (method == PJSIP_ACK_METHOD) return PJ_TRUE;
    if (is_malformed(rdata->msg_info.msg)) {
        refuse(rdata, PJSIP_SC_BAD_REQUEST);
        return PJ_TRUE;
    }
    const auto lacking = unsupported_tags(rdata->msg_info.msg);
    if (!lacking.empty() && method != PJSIP_CANCEL_METHOD) {
        refuse(rdata, PJSIP_SC_BAD_EXTENSION, "Unsupported", lacking.c_str());
        return PJ_TRUE;
    }
    switch (method) {
    case PJSIP_OPTIONS_METHOD:
        refuse(rdata, refusing_ ? PJSIP_SC_SERVICE_UNAVAILABLE : PJSIP_SC_OK, "Allow", allowed);
        return PJ_TRUE;
    case PJSIP_REGISTER_METHOD:
        if (!accept_register_) {
            refuse(rdata, PJSIP_SC_METHOD_NOT_ALLOWED, "Allow", allowed);
        } else if (refusing_ || pending_.size() >= max_pending || mailbox_.congested()) {
            refuse(rdata, PJSIP_SC_SERVICE_UNAVAILABLE, "Retry-After", "5");
        } else {
            take_register(rdata);
        }
        return PJ_TRUE;
    case PJSIP_INVITE_METHOD:
        refuse(rdata, PJSIP_SC_FORBIDDEN);
        return PJ_TRUE;
    case PJSIP_BYE_METHOD:
    case PJSIP_CANCEL_METHOD:
        refuse(rdata, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST);
        return PJ_TRUE;
    default:
        refuse(rdata, PJSIP_SC_METHOD_NOT_ALLOWED, "Allow", allowed);
        return PJ_TRUE;
    }
}

void Requests::take_register(pjsip_rx_data *rdata) {
    auto *message = rdata->msg_info.msg;
    Waiting waiting{};
    if (pjsip_endpt_create_response(endpoint_, rdata, PJSIP_SC_OK, nullptr, &waiting.response) != PJ_SUCCESS) return;
    if (pjsip_tsx_create_uas2(&requests_, rdata, nullptr, &waiting.transaction) != PJ_SUCCESS) {
        pjsip_tx_data_dec_ref(waiting.response);
        return;
    }
    pjsip_tsx_recv_msg(waiting.transaction, rdata);

    Event event;
    event.kind = EventKind::register_received;
    event.leg = ++last_transaction_;
    event.uri = uri_text(message->line.req.uri, PJSIP_URI_IN_REQ_URI);
    event.to = uri_text(static_cast<pjsip_uri *>(pjsip_uri_get_uri(rdata->msg_info.to->uri)), PJSIP_URI_IN_OTHER);
    event.from = uri_text(static_cast<pjsip_uri *>(pjsip_uri_get_uri(rdata->msg_info.from->uri)), PJSIP_URI_IN_OTHER);
    event.call_id = text_of(rdata->msg_info.cid->id);
    event.cseq = rdata->msg_info.cseq->cseq;
    event.source = address_text(rdata->pkt_info.src_name, rdata->pkt_info.src_port);
    event.transport = lower(rdata->tp_info.transport->type_name);
    const auto *expires =
        static_cast<pjsip_expires_hdr *>(pjsip_msg_find_hdr(message, PJSIP_H_EXPIRES, nullptr));
    event.status = expires != nullptr ? static_cast<int>(std::min<unsigned>(expires->ivalue, 0x7fffffffU)) : -1;
    for (auto *header = message->hdr.next; header != &message->hdr; header = header->next) {
        if (header->type == PJSIP_H_CONTACT) event.contacts.push_back(value_of(header));
        if (header->type == PJSIP_H_AUTHORIZATION) event.authorization.push_back(value_of(header));
    }
    for (const auto *header : headers_named(message, "Path")) event.path.push_back(value_of(header));
    for (const auto *header : headers_named(message, "User-Agent")) event.detail = value_of(header);
    if (const auto *supported = static_cast<pjsip_supported_hdr *>(
            pjsip_msg_find_hdr(message, PJSIP_H_SUPPORTED, nullptr))) {
        for (unsigned i = 0; i < supported->count; ++i) event.supported.push_back(text_of(supported->values[i]));
    }
    waiting.transaction->mod_data[requests_.id] = reinterpret_cast<void *>(event.leg);
    pending_.emplace(event.leg, waiting);
    gauge_.fetch_add(1);
    mailbox_.post(std::move(event));
}

void Requests::respond(const Command &command) {
    const auto found = pending_.find(command.leg);
    if (found == pending_.end()) return;  // its transaction ended meanwhile (transport closed)
    const auto waiting = found->second;
    remove(found);
    waiting.transaction->mod_data[requests_.id] = nullptr;
    auto *response = waiting.response;
    response->msg->line.status.code = command.status;
    if (command.reason.empty()) {
        response->msg->line.status.reason = *pjsip_get_status_text(command.status);
    } else {
        pj_strdup2(response->pool, &response->msg->line.status.reason, command.reason.c_str());
    }
    for (const auto &[name, value] : command.headers) {
        pjsip_msg_add_hdr(response->msg, make_header(response->pool, name.c_str(), value));
    }
    if (pjsip_tsx_send_msg(waiting.transaction, response) != PJ_SUCCESS) {
        pjsip_tsx_terminate(waiting.transaction, PJSIP_SC_INTERNAL_SERVER_ERROR);
        pjsip_tx_data_dec_ref(response);
    }
}

void Requests::refuse_all() {
    refusing_ = true;
    while (!pending_.empty()) {
        Command command;
        command.kind = CommandKind::respond;
        command.leg = pending_.begin()->first;
        command.status = PJSIP_SC_SERVICE_UNAVAILABLE;
        respond(command);
    }
}

// A transaction that ends before its answer (its TCP connection closed) must not be answered any more.
void Requests::on_transaction_state(pjsip_transaction *transaction, pjsip_event *) {
    if (transaction->state < PJSIP_TSX_STATE_COMPLETED) return;
    auto *data = transaction->mod_data[instance->requests_.id];
    const auto found = instance->pending_.find(reinterpret_cast<std::uint64_t>(data));
    if (data == nullptr || found == instance->pending_.end()) return;
    pjsip_tx_data_dec_ref(found->second.response);
    instance->remove(found);
}

void Requests::remove(std::unordered_map<std::uint64_t, Waiting>::iterator waiting) {
    pending_.erase(waiting);
    gauge_.fetch_sub(1);
}

void Requests::trace(bool sent, const std::string &source, const std::string &destination, const char *transport,
                     const pj_str_t &call_id, const char *text, std::size_t size) {
    Event event;
    event.kind = EventKind::message_seen;
    event.sent = sent;
    event.at = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    event.from = source;
    event.to = destination;
    event.transport = lower(transport);
    event.call_id = text_of(call_id);
    event.text.assign(text, size);
    hide_keys(event.text);
    mailbox_.post_droppable(std::move(event));
}

pj_bool_t Requests::on_rx(pjsip_rx_data *rdata) {
    const auto &local = rdata->tp_info.transport->local_name;
    instance->trace(false, address_text(rdata->pkt_info.src_name, rdata->pkt_info.src_port),
                    address_text(text_of(local.host).c_str(), local.port), rdata->tp_info.transport->type_name,
                    rdata->msg_info.cid->id, rdata->msg_info.msg_buf, static_cast<std::size_t>(rdata->msg_info.len));
    return PJ_FALSE;
}

pj_status_t Requests::on_tx(pjsip_tx_data *tdata) {
    const auto &local = tdata->tp_info.transport->local_name;
    const auto *call_id = static_cast<pjsip_cid_hdr *>(pjsip_msg_find_hdr(tdata->msg, PJSIP_H_CALL_ID, nullptr));
    instance->trace(true, address_text(text_of(local.host).c_str(), local.port),
                    address_text(tdata->tp_info.dst_name, tdata->tp_info.dst_port),
                    tdata->tp_info.transport->type_name, call_id != nullptr ? call_id->id : pj_str_t{nullptr, 0},
                    tdata->buf.start, static_cast<std::size_t>(tdata->buf.cur - tdata->buf.start));
    return PJ_SUCCESS;
}

}  // namespace quickcall
