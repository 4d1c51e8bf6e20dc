#include "digits.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace quickcall {
namespace {

constexpr std::string_view digits = "0123456789*#ABCD";
constexpr std::int64_t longest_segment = 0xFFFF;
// A packet that says it is older than this is not late: its sender has begun a new clock.
constexpr std::int64_t latest_s = 10;

}  // namespace

int event_of_digit(char digit) {
    const auto found = digits.find(digit);
    return found == std::string_view::npos ? -1 : static_cast<int>(found);
}

std::vector<HeardDigit> EventReceiver::take(std::span<const std::uint8_t> payload, std::uint32_t timestamp,
                                            unsigned rate, bool carried, std::int64_t now_ms) {
    std::vector<HeardDigit> heard;
    if (payload.size() < 4 || payload[0] >= digits.size() || rate == 0) return heard;
    const std::uint8_t code = payload[0];
    const bool end = (payload[1] & 0x80) != 0;
    const auto length = static_cast<std::uint16_t>(payload[2] << 8 | payload[3]);
    if (current_ && timestamp != current_->timestamp) {
        const std::int64_t later = static_cast<std::int32_t>(timestamp - current_->timestamp);
        if (later < 0 && later > -latest_s * rate) return heard;
        if (continues(code, timestamp)) {
            current_->before += longest_segment;
            current_->timestamp = timestamp;
            current_->length = 0;
        } else {
            tell(heard, now_ms);
            current_.reset();
        }
    }
    if (!current_) current_ = Current{code, timestamp, 0, 0, rate, now_ms, false, false};
    if (current_->code != code) return heard;
    current_->length = std::max(current_->length, length);
    current_->last_ms = now_ms;
    current_->carried = current_->carried || carried;
    if (end) tell(heard, now_ms);
    return heard;
}

std::vector<HeardDigit> EventReceiver::expire(std::int64_t now_ms) {
    std::vector<HeardDigit> heard;
    if (current_ && now_ms - current_->last_ms >= silence_ms) tell(heard, now_ms);
    return heard;
}

std::vector<HeardDigit> EventReceiver::restart(std::int64_t now_ms) {
    std::vector<HeardDigit> heard;
    tell(heard, now_ms);
    current_.reset();
    return heard;
}

// The last packets of a segment may be lost, so its length need not have been seen in full.
bool EventReceiver::continues(std::uint8_t code, std::uint32_t timestamp) const {
    const std::int64_t later = static_cast<std::int32_t>(timestamp - current_->timestamp);
    return code == current_->code && std::llabs(later - longest_segment) <= current_->rate / 10;
}

void EventReceiver::tell(std::vector<HeardDigit> &into, std::int64_t now_ms) {
    if (!current_ || std::exchange(current_->told, true)) return;
    if (now_ms - second_ms_ >= 1000) {
        second_ms_ = now_ms;
        told_in_second_ = 0;
    }
    if (++told_in_second_ > most_per_s) return;
    const auto ms = (current_->before + current_->length) * 1000 / current_->rate;
    const auto told_ms = static_cast<unsigned>(std::min<std::uint64_t>(ms, max_digit_ms));
    into.push_back({digits[current_->code], told_ms, current_->carried});
}

}  // namespace quickcall
