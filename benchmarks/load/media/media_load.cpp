// Many telephones' RTP in one thread: every leg sends a packet each 20 ms and counts what it is sent.
//
//   media_load ADDRESS LEGS FIRST_PORT
//
// Leg n is at FIRST_PORT + 2n and sends 50 packets of G.711 a second, the legs one after the other within 20 ms.
// Packets are numbered and stamped with the time in their payload; the kernel stamps their arrival, so that nothing
// counts but what lies between. Commands are lines of standard input, answers lines of JSON:
//
//   to LEG HOST PORT    where this leg's packets go; until then, and after `to LEG - 0`, it sends none
//   keys LEG SENT RECEIVED
//                       from now on the leg speaks SRTP, AES_CM_128_HMAC_SHA1_80; each is key and salt, 60 hex digits
//   run SECONDS         send and count, from zero (at most 600 s); then the report
//   stop                end the run at once
//
// It ends with its input. `late_ms` is how far the load itself fell behind its clock: with more than a few
// milliseconds the machine was too busy to measure anything.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <srtp2/srtp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>
#include <string>
#include <vector>

#include "measure.hpp"

namespace {

using load::Histogram;
using load::Stream;

constexpr std::int64_t ms = 1'000'000, second = 1000 * ms;
constexpr std::int64_t interval = 20 * ms;
constexpr std::int64_t tick = 200'000;        // packets due within it leave together, as a network card hands them over
constexpr std::int64_t straggle = second / 2;  // how long packets may still come after the last was sent
constexpr std::size_t header = 12, packet_size = header + 160;
constexpr unsigned most_legs = 4096, longest = 600;
constexpr std::uint32_t magic = 0x51434d4c;

struct Payload {
    std::uint32_t magic, leg, number, unused;
    std::int64_t sent_at;
};

struct Leg {
    int rtp = -1, rtcp = -1;
    sockaddr_in to{};
    std::uint32_t partner = 0;   // whose packets come here, plus one; 0: nobody's yet
    std::int64_t transit = 0;    // of the packet before, 0: none
    std::int64_t met_at = 0;     // when the first packet came straight from another leg
    srtp_t sent = nullptr, received = nullptr;
    Stream stream;
};

[[noreturn]] void give_up(const char *what) {
    std::perror(what);
    std::exit(1);
}

// One direction of SRTP. Any SSRC: a session is that of one leg.
srtp_t session(const std::string &hex, srtp_ssrc_type_t direction) {
    std::vector<unsigned char> key;
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
        key.push_back(static_cast<unsigned char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
    }
    srtp_policy_t policy{};
    srtp_crypto_policy_set_rtp_default(&policy.rtp);
    srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
    policy.ssrc.type = direction;
    policy.key = key.data();
    policy.window_size = 1024;
    srtp_t made = nullptr;
    if (key.size() != SRTP_AES_ICM_128_KEY_LEN_WSALT || srtp_create(&made, &policy) != srtp_err_status_ok) give_up("keys");
    return made;
}

std::int64_t now(clockid_t clock) {
    timespec at;
    ::clock_gettime(clock, &at);
    return at.tv_sec * second + at.tv_nsec;
}

class Load {
public:
    Load(const char *address, unsigned legs, unsigned first_port) : legs_(legs) {
        if (::inet_pton(AF_INET, address, &own_.sin_addr) != 1) give_up("ADDRESS");
        own_.sin_family = AF_INET;
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        for (unsigned leg = 0; leg < legs; ++leg) {
            legs_[leg].rtp = bound(first_port + 2 * leg);
            legs_[leg].rtcp = bound(first_port + 2 * leg + 1);  // kept so that RTCP has where to go
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u32 = leg;
            ::epoll_ctl(epoll_, EPOLL_CTL_ADD, legs_[leg].rtp, &event);
        }
        for (std::size_t at = 0; at < sizeof packet_; ++at) packet_[at] = static_cast<unsigned char>(0xd5 ^ (at % 7));
        ::fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    }

    // Until the input ends.
    void serve() {
        while (!ended_) {
            pollfd input{STDIN_FILENO, POLLIN, 0};
            ::poll(&input, 1, -1);
            read_commands();
            if (run_for_ > 0) run();
        }
    }

private:
    int bound(unsigned port) {
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        own_.sin_port = htons(static_cast<std::uint16_t>(port));
        if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr *>(&own_), sizeof own_) != 0) give_up("bind");
        const int on = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        return fd;
    }

    void read_commands() {
        char buffer[4096];
        ssize_t size;
        while ((size = ::read(STDIN_FILENO, buffer, sizeof buffer)) > 0) input_.append(buffer, size);
        if (size == 0) ended_ = true;
        for (std::size_t end; (end = input_.find('\n')) != std::string::npos; input_.erase(0, end + 1)) {
            std::istringstream line(input_.substr(0, end));
            std::string word, host, other;
            unsigned number = 0, port = 0;
            line >> word;
            if (word == "to" && line >> number >> host >> port && number < legs_.size()) {
                auto &to = legs_[number].to;
                to.sin_family = ::inet_pton(AF_INET, host.c_str(), &to.sin_addr) == 1 ? AF_INET : AF_UNSPEC;
                to.sin_port = htons(static_cast<std::uint16_t>(port));
            } else if (word == "keys" && line >> number >> host >> other && number < legs_.size()) {
                legs_[number].sent = session(host, ssrc_any_outbound);
                legs_[number].received = session(other, ssrc_any_inbound);
            } else if (word == "run" && line >> number && number <= longest) {
                run_for_ = number * second;
            } else if (word == "stop") {
                run_for_ = 0;
            } else {
                std::fprintf(stderr, "not understood: %s\n", line.str().c_str());
                std::exit(1);
            }
        }
    }

    void run() {
        receive();  // what is still there from before does not count
        for (auto &leg : legs_) {
            leg.stream = Stream();
            leg.partner = 0;
            leg.transit = leg.met_at = 0;
        }
        latency_ = jitter_ = Histogram();
        strange_ = 0;
        late_ = 0;
        const auto began = now(CLOCK_MONOTONIC);
        const auto step = interval / static_cast<std::int64_t>(legs_.size());
        std::int64_t due = began, looked = began;
        std::size_t next = 0;
        while (!ended_ && due < began + run_for_) {
            const auto at = now(CLOCK_MONOTONIC);
            if (at > due) late_ = std::max(late_, at - due);
            for (; due <= at; due += step) {
                send(legs_[next], static_cast<std::uint32_t>(next));
                next = next + 1 == legs_.size() ? 0 : next + 1;
            }
            if (at - looked > 2 * ms) {
                receive();
                read_commands();
                looked = at;
            }
            sleep_until(std::max(due, at + tick));
        }
        for (const auto until = now(CLOCK_MONOTONIC) + straggle; now(CLOCK_MONOTONIC) < until;) {
            receive();
            sleep_until(now(CLOCK_MONOTONIC) + ms);
        }
        run_for_ = 0;
        report();
    }

    static void sleep_until(std::int64_t at) {
        const timespec when{at / second, at % second};
        ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr);
    }

    void send(Leg &leg, std::uint32_t number) {
        if (leg.to.sin_family != AF_INET) return;
        auto &stream = leg.stream;
        packet_[0] = 0x80;
        packet_[1] = 0;
        const std::uint16_t sequence = htons(static_cast<std::uint16_t>(stream.sent));
        const std::uint32_t stamp = htonl(stream.sent * 160), source = htonl(0x10000 + number);
        std::memcpy(packet_ + 2, &sequence, 2);
        std::memcpy(packet_ + 4, &stamp, 4);
        std::memcpy(packet_ + 8, &source, 4);
        const Payload payload{magic, number, stream.sent, 0, now(CLOCK_REALTIME)};
        std::memcpy(packet_ + header, &payload, sizeof payload);
        unsigned char packet[packet_size + SRTP_MAX_TRAILER_LEN];
        std::memcpy(packet, packet_, packet_size);
        int size = packet_size;
        if (leg.sent != nullptr) srtp_protect(leg.sent, packet, &size);
        ::sendto(leg.rtp, packet, static_cast<std::size_t>(size), 0, reinterpret_cast<sockaddr *>(&leg.to), sizeof leg.to);
        ++stream.sent;
    }

    void receive() {
        epoll_event events[256];
        int count;
        do {
            count = ::epoll_wait(epoll_, events, 256, 0);
            for (int at = 0; at < count; ++at) drain(legs_[events[at].data.u32], events[at].data.u32);
        } while (count == 256);
    }

    void drain(Leg &leg, std::uint32_t number) {
        unsigned char packet[2048];
        alignas(cmsghdr) char control[64];
        sockaddr_in source;
        iovec data{packet, sizeof packet};
        for (;;) {
            msghdr message{&source, sizeof source, &data, 1, control, sizeof control, 0};
            const auto size = ::recvmsg(leg.rtp, &message, 0);
            if (size < 0) return;
            const auto *stamp = CMSG_FIRSTHDR(&message);
            timespec at{};
            if (stamp != nullptr && stamp->cmsg_type == SCM_TIMESTAMPNS) std::memcpy(&at, CMSG_DATA(stamp), sizeof at);
            arrived(leg, number, packet, static_cast<std::size_t>(size), source, at.tv_sec * second + at.tv_nsec);
        }
    }

    void arrived(Leg &leg, std::uint32_t number, unsigned char *packet, std::size_t size, const sockaddr_in &source,
                 std::int64_t at) {
        Payload payload{};
        int plain = static_cast<int>(size);
        if (leg.received != nullptr && srtp_unprotect(leg.received, packet, &plain) == srtp_err_status_ok) {
            size = static_cast<std::size_t>(plain);
        }
        if (size == packet_size) std::memcpy(&payload, packet + header, sizeof payload);
        if (payload.magic != magic || payload.leg >= legs_.size()) {
            ++strange_;
            return;
        }
        if (leg.partner == 0) leg.partner = payload.leg + 1;
        if (leg.partner != payload.leg + 1 || payload.leg == number) ++strange_;
        if (leg.met_at == 0 && source.sin_addr.s_addr == own_.sin_addr.s_addr) leg.met_at = at;
        auto &stream = legs_[payload.leg].stream;
        if (payload.number >= stream.sent) return;  // of the run before
        stream.arrived(payload.number);
        const auto transit = at - payload.sent_at;
        latency_.add(transit);
        if (leg.transit != 0) jitter_.add(std::abs(transit - leg.transit));
        leg.transit = transit;
    }

    void report() const {
        std::uint64_t sent = 0, received = 0, lost = 0, duplicated = 0, reordered = 0, before = 0;
        for (const auto &leg : legs_) {
            sent += leg.stream.sent;
            received += leg.stream.received;
            lost += leg.stream.lost();
            duplicated += leg.stream.duplicated;
            reordered += leg.stream.reordered;
            before += leg.stream.before_first();
        }
        std::printf("{\"sent\": %lu, \"received\": %lu, \"lost\": %lu, \"before_first\": %lu, \"duplicated\": %lu, "
                    "\"reordered\": %lu, \"strange\": %lu, \"latency_p50_ms\": %.3f, \"latency_p99_ms\": %.3f, "
                    "\"latency_max_ms\": %.3f, \"jitter_p50_ms\": %.3f, \"jitter_p99_ms\": %.3f, \"late_ms\": %.3f, "
                    "\"met\": {",
                    sent, received, lost, before, duplicated, reordered, strange_, latency_.percentile(50),
                    latency_.percentile(99), latency_.most(), jitter_.percentile(50), jitter_.percentile(99),
                    static_cast<double>(late_) / 1e6);
        const char *comma = "";
        for (std::size_t at = 0; at < legs_.size(); ++at) {
            if (legs_[at].met_at == 0) continue;
            std::printf("%s\"%zu\": [%.6f, %u]", comma, at, static_cast<double>(legs_[at].met_at) / 1e9,
                        legs_[at].partner - 1);
            comma = ", ";
        }
        std::puts("}}");
        std::fflush(stdout);
    }

    std::vector<Leg> legs_;
    sockaddr_in own_{};
    int epoll_ = -1;
    bool ended_ = false;
    std::int64_t run_for_ = 0;
    std::int64_t late_ = 0;
    std::uint64_t strange_ = 0;  // packets that are none of ours, or came to the wrong leg
    std::string input_;
    unsigned char packet_[packet_size];
    Histogram latency_, jitter_;
};

}  // namespace

int main(int count, char **words) {
    if (count != 4) {
        std::fputs("media_load ADDRESS LEGS FIRST_PORT\n", stderr);
        return 2;
    }
    const auto legs = std::strtoul(words[2], nullptr, 10), port = std::strtoul(words[3], nullptr, 10);
    if (legs < 2 || legs > most_legs || port < 1024 || port + 2 * legs > 65535) {
        std::fputs("LEGS: 2 to 4096; FIRST_PORT: 1024 and more, with two ports for each leg\n", stderr);
        return 2;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    rlimit files;
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    srtp_init();
    Load(words[1], static_cast<unsigned>(legs), static_cast<unsigned>(port)).serve();
}
