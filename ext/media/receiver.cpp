#include "receiver.hpp"

#include <algorithm>
#include <cstdlib>

namespace quickcall {
namespace {

constexpr std::uint16_t max_dropout = 3000, max_misorder = 100;  // RFC 3550 A.1

}  // namespace

void Receiver::begin(const RtpHeader &rtp) {
    expected_before_ = counters_.expected.get();
    counted_before_ = counters_.counted.get();
    started_ = true;
    ssrc_ = rtp.ssrc;
    max_ = rtp.sequence;
    base_ = rtp.sequence;
    cycles_ = 0;
    bad_ = none;
    rate_ = 0;
}

// False: the packet is out of its row, and counts only when the next one follows it.
bool Receiver::advance(const RtpHeader &rtp) {
    const auto ahead = static_cast<std::uint16_t>(rtp.sequence - max_);
    if (ahead < max_dropout) {
        if (rtp.sequence < max_) cycles_ += 0x10000;
        max_ = rtp.sequence;
    } else if (ahead <= 0x10000 - max_misorder) {
        if (rtp.sequence != bad_) {
            bad_ = static_cast<std::uint16_t>(rtp.sequence + 1);
            return false;
        }
        begin(rtp);
    }
    return true;
}

void Receiver::count(const RtpHeader &rtp, unsigned rate, Time now) {
    counters_.packets_received.add(1);
    counters_.bytes_received.add(rtp.payload_size);
    if (!started_ || rtp.ssrc != ssrc_) {
        begin(rtp);
    } else if (!advance(rtp)) {
        return;
    }
    counters_.counted.add(1);
    counters_.expected.set(expected_before_ + highest() - base_ + 1);
    if (rate != 0) measure(rtp, rate, now);
}

Receiver::Loss Receiver::report_loss() {
    const auto expected = counters_.expected.get(), counted = counters_.counted.get();
    const auto due = static_cast<std::int64_t>(expected - expected_reported_);
    const auto lost = due - static_cast<std::int64_t>(counted - counted_reported_);
    expected_reported_ = expected;
    counted_reported_ = counted;
    const auto all = static_cast<std::int64_t>(expected - expected_before_) -
                     static_cast<std::int64_t>(counted - counted_before_);
    return {static_cast<std::int32_t>(std::clamp<std::int64_t>(all, INT32_MIN, INT32_MAX)),
            static_cast<std::uint8_t>(due > 0 && lost > 0 ? std::min<std::int64_t>(255, lost * 256 / due) : 0)};
}

void Receiver::measure(const RtpHeader &rtp, unsigned rate, Time now) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
    const auto arrival = static_cast<std::uint32_t>(microseconds * static_cast<std::int64_t>(rate) / 1'000'000);
    const auto transit = arrival - rtp.timestamp;
    if (rate == rate_) {
        const auto change = std::abs(static_cast<double>(static_cast<std::int32_t>(transit - transit_)));
        jitter_ += (change - jitter_) / 16;
        counters_.jitter_ms.set(jitter_ * 1000 / rate);
    }
    rate_ = rate;
    transit_ = transit;
}

}  // namespace quickcall
