// Socket addresses, IPv4 and IPv6.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

namespace quickcall {

inline bool same_host(const sockaddr_storage &a, const sockaddr_storage &b) {
    if (a.ss_family != b.ss_family) return false;
    if (a.ss_family == AF_INET) {
        return reinterpret_cast<const sockaddr_in &>(a).sin_addr.s_addr ==
               reinterpret_cast<const sockaddr_in &>(b).sin_addr.s_addr;
    }
    return a.ss_family == AF_INET6 &&
           std::memcmp(&reinterpret_cast<const sockaddr_in6 &>(a).sin6_addr,
                       &reinterpret_cast<const sockaddr_in6 &>(b).sin6_addr, sizeof(in6_addr)) == 0;
}

// Port in network order; both families keep it at the same place.
inline in_port_t &port_of(sockaddr_storage &address) { return reinterpret_cast<sockaddr_in &>(address).sin_port; }
inline in_port_t port_of(const sockaddr_storage &address) {
    return reinterpret_cast<const sockaddr_in &>(address).sin_port;
}

inline bool same_address(const sockaddr_storage &a, const sockaddr_storage &b) {
    return port_of(a) == port_of(b) && same_host(a, b);
}

inline socklen_t length_of(const sockaddr_storage &address) {
    return address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

inline bool is_unspecified(const sockaddr_storage &address) {
    if (address.ss_family == AF_INET) {
        return reinterpret_cast<const sockaddr_in &>(address).sin_addr.s_addr == INADDR_ANY;
    }
    return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6 &>(address).sin6_addr);
}

// `ip:port`, IPv6 in brackets; empty for an address that is none.
inline std::string text_of_address(const sockaddr_storage &address) {
    char host[INET6_ADDRSTRLEN] = "";
    const void *bytes = address.ss_family == AF_INET6
                            ? static_cast<const void *>(&reinterpret_cast<const sockaddr_in6 &>(address).sin6_addr)
                            : static_cast<const void *>(&reinterpret_cast<const sockaddr_in &>(address).sin_addr);
    if (::inet_ntop(address.ss_family, bytes, host, sizeof host) == nullptr) return {};
    const auto port = ":" + std::to_string(ntohs(port_of(address)));
    return address.ss_family == AF_INET6 ? "[" + std::string(host) + "]" + port : host + port;
}

}  // namespace quickcall
