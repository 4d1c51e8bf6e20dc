// Reads WAV files. A file is hostile until read: every size in it is checked against what is there.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "pcm.hpp"

namespace quickcall {

// PCM of 8 or 16 bit, mono, or stereo mixed down, 4000 to 192000 Hz, at most 10 minutes. Throws std::runtime_error
// saying what is wrong with it.
Pcm read_wav(const std::string &path);
// The same from its bytes.
Pcm parse_wav(std::span<const std::uint8_t> file);

}  // namespace quickcall
