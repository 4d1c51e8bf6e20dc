// The range of RTP ports: which pairs are bound, in use, or resting. SIP thread only.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "timers.hpp"

namespace quickcall {

class Stream;

// A bound pair of UDP sockets: [0] RTP on an even port, [1] RTCP on the next one (RFC 3550 11).
struct PortPair {
    PortPair() = default;
    ~PortPair();
    PortPair(const PortPair &) = delete;
    PortPair &operator=(const PortPair &) = delete;

    int fd[2] = {-1, -1};
    std::uint16_t port = 0;
    // Below: the media thread's, which reads and drops what comes while there is no stream.
    Stream *stream = nullptr;
    bool watched = false;
};

// Pairs stay bound when a call ends: the next call pays no system call for its media, and no other program gets a
// port that the peer of the last call may still send to. All are closed with the pool.
class PortPool {
public:
    // `host` is an IPv4 or IPv6 address, the range is inclusive. Throws std::runtime_error for anything else.
    PortPool(const std::string &host, int first, int last);

    // Both ports of a pair or none: a pair of which one is taken by another program is passed over for good.
    // Returns nullptr when every pair of the range is in use or cannot be bound.
    PortPair *acquire(Time now);
    // Counts as in use until `at`, and then rests.
    void release(PortPair *pair, Time at);

    const sockaddr_storage &local() const { return local_; }
    std::uint32_t in_use(Time now) const;

private:
    struct Idle {
        PortPair *pair;
        Time since;
    };

    PortPair *bind_new();
    bool bind(PortPair &pair) const;

    sockaddr_storage local_{};
    int next_port_;
    const int last_port_;
    std::vector<std::unique_ptr<PortPair>> pairs_;
    std::deque<Idle> idle_;  // longest idle first
};

}  // namespace quickcall
