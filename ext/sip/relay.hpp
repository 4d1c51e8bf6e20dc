// Relays RTP and RTCP between joined ports, undecoded, on a thread of its own that knows nothing of pj.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace quickcall {

// A bound pair of UDP sockets: [0] RTP on an even port, [1] RTCP on the next one. Pairs are kept bound and
// registered when a call ends, so the next call pays no system call for its media.
struct MediaPort {
    int fd[2] = {-1, -1};
    std::uint16_t port = 0;
    bool in_use = false;
    MediaPort *peer = nullptr;                 // guarded by Relay::mutex_
    sockaddr_storage remote[2] = {};           // ss_family 0: not known yet
    bool to_peer = true;                       // media may be sent to the peer
    bool from_peer = true;                     // media of the peer is passed on
    std::chrono::steady_clock::time_point released_at{};
};

class Relay {
public:
    // `host` is the local address (IPv4 or IPv6), the range is inclusive. Throws std::runtime_error.
    Relay(const std::string &host, int first, int last);
    ~Relay();
    Relay(const Relay &) = delete;
    Relay &operator=(const Relay &) = delete;

    // Returns nullptr when every pair of the range is in use or cannot be bound.
    MediaPort *acquire();
    void release(MediaPort *port);

    // Where this leg wants its media. Only packets from these addresses are relayed.
    void set_remote(MediaPort *port, const sockaddr *rtp, const sockaddr *rtcp, socklen_t length);
    // Which ways packets may go, as offer and answer say (RFC 3264 5.1): held media stop.
    void set_direction(MediaPort *port, bool to_peer, bool from_peer);
    void join(MediaPort *one, MediaPort *other);
    void split(MediaPort *port);
    bool joined(MediaPort *port);

    const sockaddr_storage &local() const { return local_; }
    std::uint32_t in_use() const { return in_use_.load(std::memory_order_relaxed); }
    std::uint64_t packets() const { return packets_.load(std::memory_order_relaxed); }

private:
    MediaPort *bind_new();
    void run();
    void forward(MediaPort &port, int which);

    sockaddr_storage local_{};
    socklen_t local_length_ = 0;
    int next_port_;
    const int last_port_;
    int epoll_ = -1;
    int wake_ = -1;
    std::mutex mutex_;
    std::vector<std::unique_ptr<MediaPort>> ports_;
    std::deque<MediaPort *> idle_;  // longest idle first
    std::atomic<std::uint32_t> in_use_{0};
    std::atomic<std::uint64_t> packets_{0};
    std::thread thread_;
};

}  // namespace quickcall
