#include "relay.hpp"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace quickcall {
namespace {

// A pair rests this long before it is used again, so that stragglers of the last call die out
// (sip-practice 5, pain 25). When the range is exhausted the longest idle pair is taken all the same.
constexpr std::chrono::seconds quarantine{2};
constexpr std::size_t max_datagram = 2048;   // RTP over Ethernet is below 1500
constexpr int burst = 32;                    // packets taken from one socket before others get a turn

bool same_host(const sockaddr_storage &a, const sockaddr_storage &b) {
    if (a.ss_family != b.ss_family) return false;
    if (a.ss_family == AF_INET) {
        return reinterpret_cast<const sockaddr_in &>(a).sin_addr.s_addr ==
               reinterpret_cast<const sockaddr_in &>(b).sin_addr.s_addr;
    }
    return std::memcmp(&reinterpret_cast<const sockaddr_in6 &>(a).sin6_addr,
                       &reinterpret_cast<const sockaddr_in6 &>(b).sin6_addr, sizeof(in6_addr)) == 0;
}

bool unspecified(const sockaddr_storage &address) {
    if (address.ss_family == AF_INET) {
        return reinterpret_cast<const sockaddr_in &>(address).sin_addr.s_addr == INADDR_ANY;
    }
    return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6 &>(address).sin6_addr);
}

in_port_t &port_of(sockaddr_storage &address) {
    return address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 &>(address).sin6_port
                                         : reinterpret_cast<sockaddr_in &>(address).sin_port;
}

socklen_t length_of(const sockaddr_storage &address) {
    return address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

}  // namespace

Relay::Relay(const std::string &host, int first, int last)
    : next_port_(first + (first & 1)), last_port_(last) {
    auto &v4 = reinterpret_cast<sockaddr_in &>(local_);
    auto &v6 = reinterpret_cast<sockaddr_in6 &>(local_);
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        local_.ss_family = AF_INET;
    } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
        local_.ss_family = AF_INET6;
    } else {
        throw std::runtime_error("media_host: '" + host + "' is not an IPv4 or IPv6 address");
    }
    local_length_ = length_of(local_);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (epoll_ < 0 || wake_ < 0) throw std::runtime_error("relay: no descriptors left");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;  // a port index is never 0, see bind_new
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
    thread_ = std::thread([this] { run(); });
}

Relay::~Relay() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
    thread_.join();
    for (auto &port : ports_) {
        ::close(port->fd[0]);
        ::close(port->fd[1]);
    }
    ::close(epoll_);
    ::close(wake_);
}

MediaPort *Relay::bind_new() {
    while (next_port_ + 1 <= last_port_) {
        auto port = std::make_unique<MediaPort>();
        port->port = static_cast<std::uint16_t>(next_port_);
        next_port_ += 2;
        bool bound = true;
        for (int which = 0; which < 2 && bound; ++which) {
            port->fd[which] = ::socket(local_.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            sockaddr_storage address = local_;
            port_of(address) = htons(static_cast<std::uint16_t>(port->port + which));
            bound = port->fd[which] >= 0 &&
                    ::bind(port->fd[which], reinterpret_cast<sockaddr *>(&address), local_length_) == 0;
        }
        if (!bound) {  // somebody else has it: the pair is skipped for good
            for (int fd : port->fd) {
                if (fd >= 0) ::close(fd);
            }
            continue;
        }
        ports_.push_back(std::move(port));
        for (int which = 0; which < 2; ++which) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = ports_.size() * 2 + static_cast<std::size_t>(which);  // from 2 up
            ::epoll_ctl(epoll_, EPOLL_CTL_ADD, ports_.back()->fd[which], &event);
        }
        return ports_.back().get();
    }
    return nullptr;
}

MediaPort *Relay::acquire() {
    std::lock_guard lock(mutex_);
    MediaPort *port = nullptr;
    const bool rested = !idle_.empty() &&
                        std::chrono::steady_clock::now() - idle_.front()->released_at >= quarantine;
    if (!rested) port = bind_new();
    if (port == nullptr && !idle_.empty()) {
        port = idle_.front();
        idle_.pop_front();
    }
    if (port == nullptr) return nullptr;
    port->in_use = true;
    in_use_.fetch_add(1, std::memory_order_relaxed);
    return port;
}

void Relay::release(MediaPort *port) {
    std::lock_guard lock(mutex_);
    if (port->peer != nullptr) port->peer->peer = nullptr;
    port->peer = nullptr;
    port->in_use = false;
    port->to_peer = port->from_peer = true;
    port->remote[0].ss_family = port->remote[1].ss_family = 0;
    port->released_at = std::chrono::steady_clock::now();
    idle_.push_back(port);
    in_use_.fetch_sub(1, std::memory_order_relaxed);
}

void Relay::set_remote(MediaPort *port, const sockaddr *rtp, const sockaddr *rtcp, socklen_t length) {
    std::lock_guard lock(mutex_);
    std::memcpy(&port->remote[0], rtp, length);
    std::memcpy(&port->remote[1], rtcp, length);
    if (unspecified(port->remote[0])) {  // hold in the manner of RFC 2543: send nothing
        port->remote[0].ss_family = port->remote[1].ss_family = 0;
    }
}

void Relay::set_direction(MediaPort *port, bool to_peer, bool from_peer) {
    std::lock_guard lock(mutex_);
    port->to_peer = to_peer;
    port->from_peer = from_peer;
}

void Relay::join(MediaPort *one, MediaPort *other) {
    std::lock_guard lock(mutex_);
    for (MediaPort *port : {one, other}) {
        if (port->peer != nullptr) port->peer->peer = nullptr;
    }
    one->peer = other;
    other->peer = one;
}

void Relay::split(MediaPort *port) {
    std::lock_guard lock(mutex_);
    if (port->peer != nullptr) port->peer->peer = nullptr;
    port->peer = nullptr;
}

bool Relay::joined(MediaPort *port) {
    std::lock_guard lock(mutex_);
    return port->peer != nullptr;
}

void Relay::forward(MediaPort &port, int which) {
    char packet[max_datagram];
    for (int i = 0; i < burst; ++i) {
        sockaddr_storage source{};
        socklen_t length = sizeof source;
        const auto size = ::recvfrom(port.fd[which], packet, sizeof packet, 0,
                                     reinterpret_cast<sockaddr *>(&source), &length);
        if (size < 0) return;
        auto &remote = port.remote[which];
        // Only the host that the SDP named may speak; its port may differ from the SDP (symmetric RTP,
        // RFC 4961), and is then where we answer to.
        if (!port.in_use || !same_host(source, remote)) continue;
        port_of(remote) = port_of(source);
        MediaPort *peer = port.peer;
        if (peer == nullptr || peer->remote[which].ss_family == 0) continue;
        if (which == 0 && !(port.from_peer && peer->to_peer)) continue;  // RTCP goes on (RFC 3264 5.1)
        if (::sendto(peer->fd[which], packet, static_cast<std::size_t>(size), 0,
                     reinterpret_cast<sockaddr *>(&peer->remote[which]), length_of(peer->remote[which])) == size) {
            packets_.fetch_add(1, std::memory_order_relaxed);
        }
    }
}

void Relay::run() {
    epoll_event events[64];
    for (;;) {
        const int count = ::epoll_wait(epoll_, events, 64, -1);
        if (count < 0 && errno != EINTR) return;
        std::lock_guard lock(mutex_);
        for (int i = 0; i < count; ++i) {
            const auto key = events[i].data.u64;
            if (key == 0) return;
            forward(*ports_[key / 2 - 1], static_cast<int>(key & 1));
        }
    }
}

}  // namespace quickcall
