// DTMF digits that come as tones in the audio (ITU-T Q.23, Q.24), found by libspandsp. No sockets, no clock, no pj.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "digits.hpp"

struct dtmf_rx_state_s;

namespace quickcall {

// Tells each digit once, when its tones have ended. A detector is for the audio of one source: 40 ms of both
// frequencies are a digit, and 40 ms without them its end.
class ToneDetector {
public:
    static constexpr unsigned rate = 8000;  // of the samples it takes

    ToneDetector();
    ToneDetector(const ToneDetector &) = delete;
    ToneDetector &operator=(const ToneDetector &) = delete;

    std::vector<HeardDigit> take(std::span<const std::int16_t> samples);
    // Packets were lost: `samples` that never came are taken for what was before them.
    void skip(unsigned samples);
    // True while a tone sounds: then silence, when the source stops sending, ends it.
    bool open() const { return sounding_ != 0; }
    std::vector<HeardDigit> end();

private:
    struct Free {
        void operator()(dtmf_rx_state_s *detector) const;
    };
    static void on_change(void *self, int code, int level, int delay);
    void change(char digit);

    std::unique_ptr<dtmf_rx_state_s, Free> detector_;
    std::vector<HeardDigit> heard_;  // since the last `take`
    char sounding_ = 0;
    std::uint64_t begun_ = 0;  // in samples
    std::uint64_t taken_ = 0;
};

}  // namespace quickcall
