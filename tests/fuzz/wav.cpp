// needs: ext/media/wav.cpp
// A WAV file against its bounds. The input is all of a file after `RIFF`, four bytes and `WAVE`.
#include "wav.hpp"

#include <cstring>
#include <stdexcept>
#include <vector>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    using quickcall::fuzz::expect;
    std::vector<std::uint8_t> file(12 + size);
    std::memcpy(file.data(), "RIFF\0\0\0\0WAVE", 12);
    if (size > 0) std::memcpy(file.data() + 12, data, size);
    try {
        const auto sound = quickcall::parse_wav(file);
        expect(sound.rate >= 4000 && sound.rate <= 192000, "the rate is within its bounds");
        expect(!sound.samples.empty(), "there is sound");
        expect(sound.samples.size() <= size, "every sample came from a byte of its own");
        expect(sound.samples.size() <= std::size_t{sound.rate} * 600, "it is not too long");
    } catch (const std::runtime_error &) {
    }
    return 0;
}
