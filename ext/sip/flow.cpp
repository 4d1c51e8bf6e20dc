#include "flow.hpp"

#include <arpa/inet.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "headers.hpp"

namespace quickcall {
namespace {

// How far an address reaches; a name may be anywhere. An address of one kind leads nowhere from an address of another, except `global`.
enum class Scope { name, nowhere, host, link, site, global };

Scope scope_v4(std::uint32_t address) {
    const auto in = [&](std::uint32_t network, int bits) { return (address >> (32 - bits)) == (network >> (32 - bits)); };
    if (in(0x7f000000, 8)) return Scope::host;
    if (in(0xa9fe0000, 16)) return Scope::link;
    if (in(0x0a000000, 8) || in(0xac100000, 12) || in(0xc0a80000, 16) || in(0x64400000, 10)) return Scope::site;
    // This network, the three of documentation, multicast and above (RFC 6890).
    if (in(0, 8) || in(0xc0000200, 24) || in(0xc6336400, 24) || in(0xcb007100, 24) || address >= 0xe0000000) {
        return Scope::nowhere;
    }
    return Scope::global;
}

Scope scope_v6(const in6_addr &address) {
    const auto *byte = address.s6_addr;
    if (IN6_IS_ADDR_LOOPBACK(&address)) return Scope::host;
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        std::uint32_t v4;
        std::memcpy(&v4, byte + 12, sizeof v4);
        return scope_v4(ntohl(v4));
    }
    if (IN6_IS_ADDR_LINKLOCAL(&address)) return Scope::link;
    if ((byte[0] & 0xfe) == 0xfc) return Scope::site;
    const bool documentation = byte[0] == 0x20 && byte[1] == 0x01 && byte[2] == 0x0d && byte[3] == 0xb8;
    if (IN6_IS_ADDR_UNSPECIFIED(&address) || IN6_IS_ADDR_MULTICAST(&address) || documentation) return Scope::nowhere;
    return Scope::global;
}

Scope scope_of(const std::string &host) {
    in_addr v4;
    in6_addr v6;
    if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return scope_v4(ntohl(v4.s_addr));
    if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return scope_v6(v6);
    return Scope::name;
}

std::string host_of(const pj_sockaddr &address) {
    char text[PJ_INET6_ADDRSTRLEN];
    return pj_sockaddr_print(&address, text, sizeof text, 0);
}

const pjsip_sip_uri *sip_uri(const pjsip_uri *uri) {
    const auto *bare = static_cast<const pjsip_uri *>(pjsip_uri_get_uri(uri));
    if (!PJSIP_URI_SCHEME_IS_SIP(bare) && !PJSIP_URI_SCHEME_IS_SIPS(bare)) return nullptr;
    return reinterpret_cast<const pjsip_sip_uri *>(bare);
}

// Our own hop: `hide` keeps it off the wire, `ob` says that the peer opened the connection (RFC 5626).
bool has_parameter(const pjsip_route_hdr *route, const char *name) {
    const pj_str_t wanted = pj_str(const_cast<char *>(name));
    const auto *uri = sip_uri(reinterpret_cast<const pjsip_uri *>(&route->name_addr));
    return uri != nullptr && pjsip_param_cfind(&uri->other_param, &wanted) != nullptr;
}

bool leads_back(const pjsip_dialog *dialog, const pjsip_transaction *invite, const pjsip_rx_data *response) {
    const auto *contact = sip_uri(dialog->target);
    if (contact == nullptr || !pj_list_empty(&dialog->route_set)) return true;
    if (response->tp_info.transport->dir == PJSIP_TP_DIR_INCOMING) return false;
    const auto host = text_of(contact->maddr_param.slen > 0 ? contact->maddr_param : contact->host);
    const auto scope = scope_of(host);
    const auto used = host_of(invite->addr);
    if (scope != Scope::name && scope != Scope::global && scope != scope_of(used)) return false;
    const auto *dialled = sip_uri(invite->last_tx->msg->line.req.uri);
    if (dialled == nullptr || pj_stricmp(&dialled->host, &contact->host) != 0 || dialled->port != contact->port) return true;
    const auto type = static_cast<pjsip_transport_type_e>(response->tp_info.transport->key.type);
    const int port = contact->port != 0 ? contact->port : pjsip_transport_get_default_port_for_type(type);
    return host == used && port == pj_sockaddr_get_port(&invite->addr);
}

}  // namespace

void keep_flow(pjsip_dialog *dialog, const pjsip_transaction *invite, const pjsip_rx_data *response) {
    if (dialog->target == nullptr || invite->addr_len == 0) return;
    if (leads_back(dialog, invite, response)) return;
    const auto *transport = response->tp_info.transport;
    char address[PJ_INET6_ADDRSTRLEN + 10];
    pj_sockaddr_print(&invite->addr, address, sizeof address, 1 | 2);
    const auto text = "<sip:" + std::string(address) +
                      ";transport=" + lower(transport->type_name) + ";lr;hide" +
                      (transport->dir == PJSIP_TP_DIR_INCOMING ? ";ob>" : ">");
    const pj_str_t name = pj_str(const_cast<char *>("Route"));
    pj_str_t value;
    pj_strdup2_with_null(dialog->pool, &value, text.c_str());
    auto *hop = static_cast<pjsip_route_hdr *>(
        pjsip_parse_hdr(dialog->pool, &name, value.ptr, static_cast<pj_size_t>(value.slen), nullptr));
    if (hop != nullptr) pj_list_push_front(&dialog->route_set, hop);
}

void leave_flow(pjsip_tx_data *request) {
    auto *first = static_cast<pjsip_route_hdr *>(pjsip_msg_find_hdr(request->msg, PJSIP_H_ROUTE, nullptr));
    if (first == nullptr || !has_parameter(first, "ob") || !has_parameter(first, "hide")) return;
    pj_list_erase(first);
}

}  // namespace quickcall
