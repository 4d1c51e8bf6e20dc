#include "names.hpp"

#include <pjlib.h>

#include <string>
#include <utility>

#include "headers.hpp"

namespace quickcall {
namespace {

constexpr std::size_t max_waiting = 1024;  // requests at once whose next hop is being looked up

Names *living = nullptr;  // pjsip's resolver callback carries no user data

bool is_address(const pj_str_t &host, int family, pj_sockaddr &address) {
    if (host.slen <= 0) return false;
    pj_bzero(&address, sizeof address);
    address.addr.sa_family = static_cast<pj_uint16_t>(family);
    return pj_inet_pton(family, &host, pj_sockaddr_get_addr(&address)) == PJ_SUCCESS;
}

// Adds `host` when it is an address; `type` says the transport, with or without its IPv6 bit.
bool add_address(pjsip_server_addresses &found, const pj_str_t &host, int port, int type) {
    auto &entry = found.entry[found.count];
    const bool v4 = is_address(host, pj_AF_INET(), entry.addr);
    if (!v4 && !is_address(host, pj_AF_INET6(), entry.addr)) return false;
    const int known = (type & ~PJSIP_TRANSPORT_IPV6) | (v4 ? 0 : PJSIP_TRANSPORT_IPV6);
    entry.type = static_cast<pjsip_transport_type_e>(known);
    entry.name = host;
    entry.priority = entry.weight = 0;
    entry.addr_len = static_cast<int>(pj_sockaddr_get_len(&entry.addr));
    const int number = port != 0 ? port : pjsip_transport_get_default_port_for_type(entry.type);
    pj_sockaddr_set_port(&entry.addr, static_cast<pj_uint16_t>(number));
    ++found.count;
    return true;
}

// RFC 3263 4.1 for a target that does not name its transport.
int transport_of(const pjsip_host_info &target) {
    if (target.type != PJSIP_TRANSPORT_UNSPECIFIED) return target.type;
    if ((target.flag & PJSIP_TRANSPORT_SECURE) != 0) return PJSIP_TRANSPORT_TLS;
    return (target.flag & PJSIP_TRANSPORT_RELIABLE) != 0 ? PJSIP_TRANSPORT_TCP : PJSIP_TRANSPORT_UDP;
}

// A Via may name a host too (maddr): whoever sends us one must not have us ask for it.
bool is_response(const void *token) {
    // pjsip asks with this token for requests and responses alike, and we use no other caller of it.
    return static_cast<const pjsip_send_state *>(token)->tdata->msg->type == PJSIP_RESPONSE_MSG;
}

}  // namespace

Names::Names(pjsip_endpoint *endpoint, Mailbox &mailbox) : endpoint_(endpoint), mailbox_(mailbox) {
    static pjsip_ext_resolver ours{&Names::resolve};
    living = this;
    static char name[] = "mod-quickcall-source";
    sources_.name = pj_str(name);
    sources_.id = -1;
    sources_.priority = PJSIP_MOD_PRIORITY_APPLICATION;
    pjsip_endpt_register_module(endpoint, &sources_);
    pjsip_endpt_set_ext_resolver(endpoint, &ours);
}

Names::~Names() {
    const auto left = std::exchange(waiting_, {});
    for (const auto &entry : left) entry.second.callback(PJ_ERESOLVE, entry.second.token, nullptr);
    pjsip_endpt_unregister_module(endpoint_, &sources_);
    living = nullptr;
}

void Names::note_source(const pjsip_inv_session *session, const pjsip_event *event) {
    if (event == nullptr || event->type != PJSIP_EVENT_TSX_STATE) return;
    if (event->body.tsx_state.type != PJSIP_EVENT_RX_MSG) return;
    const auto *response = event->body.tsx_state.src.rdata;
    if (response->msg_info.msg->type != PJSIP_RESPONSE_MSG) return;
    auto *&slot = session->dlg->mod_data[sources_.id];
    if (slot == nullptr) slot = pj_pool_zalloc(session->dlg->pool, sizeof(pjsip_server_address_record));
    auto *source = static_cast<pjsip_server_address_record *>(slot);
    source->type = static_cast<pjsip_transport_type_e>(response->tp_info.transport->key.type);
    source->addr_len = response->pkt_info.src_addr_len;
    pj_sockaddr_cp(&source->addr, &response->pkt_info.src_addr);
}

void Names::resolve(pjsip_resolver_t *, pj_pool_t *, const pjsip_host_info *target, void *token,
                    pjsip_resolver_callback *callback) {
    pjsip_server_addresses found;
    found.count = 0;
    if (add_address(found, target->addr.host, target->addr.port, transport_of(*target))) {
        callback(PJ_SUCCESS, token, &found);
    } else if (living == nullptr || living->waiting_.size() >= max_waiting || is_response(token)) {
        callback(PJ_ERESOLVE, token, nullptr);
    } else {
        pjsip_server_address_record source{};
        const auto *request = static_cast<const pjsip_send_state *>(token)->tdata;
        const auto *dialog = static_cast<const pjsip_dialog *>(request->mod_data[pjsip_ua_instance()->id]);
        const auto *noted = dialog != nullptr ? dialog->mod_data[living->sources_.id] : nullptr;
        if (noted != nullptr) source = *static_cast<const pjsip_server_address_record *>(noted);
        living->ask(*target, {callback, token, source, text_of(target->addr.host)});
    }
}

void Names::ask(const pjsip_host_info &target, Waiting &&waiting) {
    const auto query = ++last_query_;
    Event event;
    event.kind = EventKind::hops_needed;
    event.leg = query;
    event.uri = "sip:" + waiting.host;
    if (target.addr.port != 0) event.uri += ":" + std::to_string(target.addr.port);
    if (target.type != PJSIP_TRANSPORT_UNSPECIFIED) {
        const auto plain = static_cast<pjsip_transport_type_e>(target.type & ~PJSIP_TRANSPORT_IPV6);
        event.uri += std::string(";transport=") + pjsip_transport_get_type_name(plain);
    } else if ((target.flag & PJSIP_TRANSPORT_SECURE) != 0) {
        event.uri += ";transport=tls";
    }
    waiting_.emplace(query, std::move(waiting));
    mailbox_.post(std::move(event));
}

void Names::use(const Command &command) {
    const auto entry = waiting_.find(command.leg);
    if (entry == waiting_.end()) return;
    auto waiting = std::move(entry->second);
    waiting_.erase(entry);
    pjsip_server_addresses found;
    found.count = 0;
    auto *pool = pjsip_endpt_create_pool(endpoint_, "hops", 2048, 1024);
    for (const auto &hop : command.routes) {
        if (found.count == PJ_ARRAY_SIZE(found.entry)) break;
        pj_str_t text;
        pj_strdup2_with_null(pool, &text, hop.c_str());
        auto *uri = pjsip_parse_uri(pool, text.ptr, static_cast<pj_size_t>(text.slen), 0);
        if (uri == nullptr) continue;
        const auto *sip = static_cast<const pjsip_sip_uri *>(pjsip_uri_get_uri(uri));
        add_address(found, sip->host, sip->port, pjsip_transport_get_type_from_name(&sip->transport_param));
    }
    if (waiting.source.addr_len > 0 && found.count < PJ_ARRAY_SIZE(found.entry)) {
        waiting.source.name = {waiting.host.data(), static_cast<pj_ssize_t>(waiting.host.size())};
        found.entry[found.count++] = waiting.source;
    }
    const auto status = found.count > 0 ? PJ_SUCCESS : PJ_ERESOLVE;
    waiting.callback(status, waiting.token, found.count > 0 ? &found : nullptr);
    pj_pool_release(pool);
}

}  // namespace quickcall

extern "C" {

pj_status_t __real_pj_getaddrinfo(int family, const pj_str_t *name, unsigned *count, pj_addrinfo *found);

// getaddrinfo blocks, and pjmedia calls it for the connection address of every SDP, whoever wrote it.
pj_status_t __wrap_pj_getaddrinfo(int family, const pj_str_t *name, unsigned *count, pj_addrinfo *found) {
    pj_sockaddr ignored;
    const bool numeric = quickcall::is_address(*name, pj_AF_INET(), ignored) ||
                         quickcall::is_address(*name, pj_AF_INET6(), ignored);
    if (quickcall::living != nullptr && !numeric) return PJ_ERESOLVE;
    return __real_pj_getaddrinfo(family, name, count, found);
}

}
