#include "tone_digits.hpp"

#include <cinttypes>
#include <cstdio>

#include <spandsp/telephony.h>
#include <spandsp/logging.h>
#include <spandsp/super_tone_rx.h>
#include <spandsp/dtmf.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace quickcall {
namespace {

constexpr std::size_t block = 102;  // samples spandsp decides upon at a time

}  // namespace

void ToneDetector::Free::operator()(dtmf_rx_state_s *detector) const { dtmf_rx_free(detector); }

ToneDetector::ToneDetector() : detector_(dtmf_rx_init(nullptr, nullptr, nullptr)) {
    if (detector_ == nullptr) throw std::bad_alloc();
    dtmf_rx_set_realtime_callback(detector_.get(), &ToneDetector::on_change, this);
}

std::vector<HeardDigit> ToneDetector::take(std::span<const std::int16_t> samples) {
    // In pieces of a block, so that a change is told close to the sample where it was seen.
    while (!samples.empty()) {
        const auto piece = samples.first(std::min(samples.size(), block));
        taken_ += piece.size();
        dtmf_rx(detector_.get(), piece.data(), static_cast<int>(piece.size()));
        samples = samples.subspan(piece.size());
    }
    return std::exchange(heard_, {});
}

void ToneDetector::skip(unsigned samples) {
    taken_ += samples;
    dtmf_rx_fillin(detector_.get(), static_cast<int>(samples));
}

std::vector<HeardDigit> ToneDetector::end() {
    constexpr std::array<std::int16_t, 4 * block> silence{};
    return take(silence);
}

void ToneDetector::on_change(void *self, int code, int, int) {
    static_cast<ToneDetector *>(self)->change(static_cast<char>(code));
}

void ToneDetector::change(char digit) {
    if (sounding_ != 0) {
        const auto ms = (taken_ - begun_) * 1000 / rate;
        heard_.push_back({sounding_, static_cast<unsigned>(std::min<std::uint64_t>(ms, max_digit_ms))});
    }
    sounding_ = digit;
    begun_ = taken_;
}

}  // namespace quickcall
