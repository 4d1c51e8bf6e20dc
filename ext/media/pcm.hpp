// Samples of one channel.
#pragma once

#include <cstdint>
#include <vector>

namespace quickcall {

struct Pcm {
    unsigned rate = 8000;               // samples per second
    std::vector<std::int16_t> samples;  // mono
};

// The same sound at another rate.
Pcm at_rate(Pcm &&sound, unsigned rate);

}  // namespace quickcall
