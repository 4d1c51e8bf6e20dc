// One rate of samples to another, over speexdsp. Costs nothing when they are equal.
#pragma once

#include <speex/speex_resampler.h>

#include <cstdint>
#include <memory>
#include <span>

namespace quickcall {

class Resampler {
public:
    // Throws std::bad_alloc.
    Resampler(unsigned from, unsigned to);

    // Writes the samples at the new rate and returns them; `in` itself when the rates are equal.
    std::span<const std::int16_t> convert(std::span<const std::int16_t> in, std::span<std::int16_t> out);

private:
    struct Free {
        void operator()(SpeexResamplerState *state) const { speex_resampler_destroy(state); }
    };
    std::unique_ptr<SpeexResamplerState, Free> state_;
};

}  // namespace quickcall
