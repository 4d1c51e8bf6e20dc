#include "sender.hpp"

#include "entropy.hpp"

namespace quickcall {
namespace {

// What was under way when another origin took over is late, and would only be taken for one more change.
constexpr std::chrono::milliseconds straggling{200};

std::uint32_t ticks(Time::duration passed, unsigned rate) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
    return static_cast<std::uint32_t>(microseconds * static_cast<std::int64_t>(rate) / 1'000'000);
}

}  // namespace

// Below 2^15, so that an SRTP peer which misses the first packets cannot guess a wrong rollover (RFC 3711 3.3.1).
Sender::Sender()
    : ssrc_(random32()), highest_(static_cast<std::uint16_t>(random32() & 0x7fff)), timestamp_(random32()) {}

std::uint32_t Sender::timestamp_at(Time now) const { return timestamp_ + ticks(now - sent_at_, rate_); }

bool Sender::begin(RtpHeader &header, const Origin &origin, unsigned rate, Time now) {
    if (origin != origin_) {
        if (started() && origin == left_ && now < left_until_) return false;
        left_ = origin_;
        left_until_ = now + straggling;
        origin_ = origin;
    }
    const auto passed = started() ? ticks(now - sent_at_, rate) : 0;
    rate_ = rate;
    sequence_offset_ = static_cast<std::uint16_t>(highest_ + 1 - header.sequence);
    timestamp_offset_ = timestamp_ + passed - header.timestamp;
    header.marker = true;
    return true;
}

}  // namespace quickcall
