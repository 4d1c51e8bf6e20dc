#include "pcm.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "resampler.hpp"

namespace quickcall {

Pcm at_rate(Pcm &&sound, unsigned rate) {
    if (sound.rate == rate) return std::move(sound);
    constexpr std::size_t block = 4096;
    Resampler resampler(sound.rate, rate);
    std::vector<std::int16_t> piece(block * std::max(1U, rate / sound.rate + 1) + 16);
    Pcm result{rate, {}};
    result.samples.reserve(static_cast<std::size_t>(sound.samples.size() * std::uint64_t{rate} / sound.rate) + 16);
    for (std::size_t at = 0; at < sound.samples.size(); at += block) {
        const std::span all(sound.samples);
        const auto made = resampler.convert(all.subspan(at, std::min(block, all.size() - at)), piece);
        result.samples.insert(result.samples.end(), made.begin(), made.end());
    }
    return result;
}

}  // namespace quickcall
