// What a leg sends, counted (RFC 3550 6.4.1, A.1, A.3, A.8).
#pragma once

#include <atomic>
#include <cstdint>

#include "rtp.hpp"
#include "timers.hpp"

namespace quickcall {

struct Impairment;

// Written by the media thread alone, read by any.
template <typename T>
class Gauge {
public:
    Gauge(T value = {}) : value_(value) {}
    T get() const { return value_.load(std::memory_order_relaxed); }
    void set(T value) { value_.store(value, std::memory_order_relaxed); }
    void add(T more) { set(get() + more); }

private:
    std::atomic<T> value_;
};

// The figures of one stream, alive as long as anybody wants to read them.
struct Counters {
    Gauge<std::uint64_t> packets_received, packets_sent, bytes_received, bytes_sent;
    Gauge<std::uint64_t> expected;         // packets of the peer, by its sequence numbers
    Gauge<std::uint64_t> counted;          // of these, how many came; duplicates count (RFC 3550 A.3)
    Gauge<double> jitter_ms;
    Gauge<std::int64_t> lost_by_peer;
    Gauge<double> round_trip_ms{-1};       // below 0: not known
    Gauge<const Impairment *> codec;       // of the packets that came last, nullptr: none came
    Gauge<std::uint64_t> refused;          // packets of strangers, and what is no RTP
    Gauge<std::uint64_t> not_passed_on;    // packets that the joined leg cannot take
};

// A new SSRC, or a jump in sequence numbers that goes on, is a new source; what was lost before it stays counted.
class Receiver {
public:
    explicit Receiver(Counters &counters) : counters_(counters) {}

    // `rate` 0: the packet has no clock of audio (telephone-event), its jitter is not looked at.
    void count(const RtpHeader &rtp, unsigned rate, Time now);

    // What is lost of this source, and which part since the last time, in 1/256 (RFC 3550 A.3).
    struct Loss {
        std::int32_t packets;
        std::uint8_t fraction;
    };
    Loss report_loss();

    std::uint32_t ssrc() const { return ssrc_; }
    bool started() const { return started_; }
    // Extended highest sequence number of the source (RFC 3550 6.4.1).
    std::uint32_t highest() const { return cycles_ + max_; }
    // In units of the timestamp.
    std::uint32_t jitter() const { return static_cast<std::uint32_t>(jitter_); }

private:
    void begin(const RtpHeader &rtp);
    bool advance(const RtpHeader &rtp);
    void measure(const RtpHeader &rtp, unsigned rate, Time now);

    Counters &counters_;
    bool started_ = false;
    std::uint32_t ssrc_ = 0;
    std::uint16_t max_ = 0;
    std::uint32_t cycles_ = 0, base_ = 0;
    std::uint64_t expected_before_ = 0, counted_before_ = 0;      // of sources that are gone
    std::uint64_t expected_reported_ = 0, counted_reported_ = 0;  // at the last report
    std::uint32_t bad_ = none;           // the number that would prove a jump
    unsigned rate_ = 0;                  // of `transit_`, 0: there is none
    std::uint32_t transit_ = 0;
    double jitter_ = 0;

    static constexpr std::uint32_t none = 0x10000;
};

}  // namespace quickcall
