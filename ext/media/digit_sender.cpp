#include "digit_sender.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "digits.hpp"

namespace quickcall {
namespace {

constexpr unsigned end_packets = 3;         // RFC 4733 2.5.1.4
constexpr std::uint8_t volume = 10;         // -10 dBm0, what telephones say
constexpr std::uint32_t longest = 0xFFFF;   // of one segment; more than 8 s at 8000 Hz
// -9 and -7 dBm0; a full-scale sine is +3.17 dBm0 (ITU-T G.711). The high tone is the louder one: lines lose
// more of it.
constexpr double low_level = 32767.0 * 0.2463;
constexpr double high_level = 32767.0 * 0.3101;
constexpr std::array low_hz{697.0, 770.0, 852.0, 941.0};
constexpr std::array high_hz{1209.0, 1336.0, 1477.0, 1633.0};
constexpr std::string_view keypad = "123A456B789C*0#D";  // four to a row

}  // namespace

bool DigitSender::add(std::string_view digits, unsigned duration_ms) {
    if (waiting_.size() + digits.size() > most_waiting) return false;
    for (const char digit : digits) {
        if (event_of_digit(digit) >= 0) waiting_.push_back({digit, std::max(duration_ms, frame_ms)});
    }
    return true;
}

void DigitSender::stop() {
    waiting_.clear();
    elapsed_ms_ = 0;
}

DigitFrame DigitSender::next(const DigitForm &form) {
    if (waiting_.empty()) return {};
    if (elapsed_ms_ == 0) form_ = form;
    if (form_.event) return event_frame();
    const auto &front = waiting_.front();
    DigitFrame frame{DigitFrame::Kind::tone, elapsed_ms_ == 0, {}};
    if (frame.first) low_ = high_ = 0;
    tone_ = front.digit;
    sounding_ms_ = std::min(front.duration_ms - std::min(front.duration_ms, elapsed_ms_), frame_ms);
    advance(front.duration_ms + pause_ms);
    return frame;
}

DigitFrame DigitSender::event_frame() {
    const auto &front = waiting_.front();
    const unsigned updates = (front.duration_ms + frame_ms - 1) / frame_ms;  // packets until the end
    const unsigned packet = elapsed_ms_ / frame_ms;
    DigitFrame frame;
    frame.first = packet == 0;
    const bool end = packet + 1 >= updates;
    if (packet + 1 < updates + end_packets) {
        const auto ms = end ? front.duration_ms : elapsed_ms_ + frame_ms;
        const auto length = std::min(static_cast<std::uint32_t>(std::uint64_t{ms} * form_.rate / 1000), longest);
        frame.kind = DigitFrame::Kind::event;
        frame.payload = {static_cast<std::uint8_t>(event_of_digit(front.digit)),
                         static_cast<std::uint8_t>((end ? 0x80 : 0) | volume), static_cast<std::uint8_t>(length >> 8),
                         static_cast<std::uint8_t>(length & 0xFF)};
    }
    advance(updates * frame_ms + pause_ms);
    return frame;
}

void DigitSender::advance(unsigned length_ms) {
    elapsed_ms_ += frame_ms;
    if (elapsed_ms_ < length_ms) return;
    waiting_.pop_front();
    elapsed_ms_ = 0;
}

void DigitSender::samples(std::span<std::int16_t> into) {
    const auto key = keypad.find(tone_);
    const double low = 2 * std::numbers::pi * low_hz[key / 4] / form_.rate;
    const double high = 2 * std::numbers::pi * high_hz[key % 4] / form_.rate;
    const auto sounding = std::min<std::size_t>(into.size(), std::size_t{form_.rate} * sounding_ms_ / 1000);
    for (auto &sample : into.first(sounding)) {
        sample = static_cast<std::int16_t>(std::lround(low_level * std::sin(low_) + high_level * std::sin(high_)));
        low_ += low;
        high_ += high;
    }
    std::fill(into.begin() + static_cast<std::ptrdiff_t>(sounding), into.end(), std::int16_t{0});
}

}  // namespace quickcall
