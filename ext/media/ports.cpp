#include "ports.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "address.hpp"

namespace quickcall {
namespace {

// A pair rests this long before it is used again, so that stragglers of the last call die out. When the range is
// exhausted the longest idle pair is taken all the same.
constexpr std::chrono::seconds quarantine{5};

}  // namespace

PortPair::~PortPair() {
    for (const int socket : fd) {
        if (socket >= 0) ::close(socket);
    }
}

PortPool::PortPool(const std::string &host, int first, int last)
    : next_port_(first + (first & 1)), last_port_(last) {
    if (::inet_pton(AF_INET, host.c_str(), &reinterpret_cast<sockaddr_in &>(local_).sin_addr) == 1) {
        local_.ss_family = AF_INET;
    } else if (::inet_pton(AF_INET6, host.c_str(), &reinterpret_cast<sockaddr_in6 &>(local_).sin6_addr) == 1) {
        local_.ss_family = AF_INET6;
    } else {
        throw std::runtime_error("media_host: '" + host + "' is not an IPv4 or IPv6 address");
    }
}

bool PortPool::bind(PortPair &pair) const {
    for (int which = 0; which < 2; ++which) {
        pair.fd[which] = ::socket(local_.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        sockaddr_storage address = local_;
        port_of(address) = htons(static_cast<std::uint16_t>(pair.port + which));
        if (pair.fd[which] < 0 ||
            ::bind(pair.fd[which], reinterpret_cast<sockaddr *>(&address), length_of(address)) != 0) {
            return false;
        }
    }
    return true;
}

PortPair *PortPool::bind_new() {
    while (next_port_ + 1 <= last_port_) {
        auto pair = std::make_unique<PortPair>();
        pair->port = static_cast<std::uint16_t>(next_port_);
        const bool bound = bind(*pair);
        if (!bound && errno != EADDRINUSE) return nullptr;  // no descriptors: the port may do later
        next_port_ += 2;
        if (!bound) continue;
        pairs_.push_back(std::move(pair));
        return pairs_.back().get();
    }
    return nullptr;
}

PortPair *PortPool::acquire(Time now) {
    const bool rested = !idle_.empty() && now - idle_.front().since >= quarantine;
    PortPair *pair = rested ? nullptr : bind_new();
    if (pair == nullptr && !idle_.empty() && idle_.front().since <= now) {
        pair = idle_.front().pair;
        idle_.pop_front();
    }
    return pair;
}

void PortPool::release(PortPair *pair, Time at) {
    const auto later = std::find_if(idle_.rbegin(), idle_.rend(), [&](const Idle &idle) { return idle.since <= at; });
    idle_.insert(later.base(), {pair, at});
}

std::uint32_t PortPool::in_use(Time now) const {
    std::size_t idle = idle_.size();
    for (auto entry = idle_.rbegin(); entry != idle_.rend() && entry->since > now; ++entry) --idle;
    return static_cast<std::uint32_t>(pairs_.size() - idle);
}

}  // namespace quickcall
