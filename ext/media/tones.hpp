// Makes the samples of a tone from its text, as engine/core/tones.py writes it.
#pragma once

#include <string_view>

#include "pcm.hpp"

namespace quickcall {

bool is_tone(std::string_view text);

// One period of `tone:425/1000,0/4000`. A part that follows silence begins at a zero crossing, one that follows
// sound goes on in phase. Throws std::runtime_error for what is no such text.
Pcm make_tone(std::string_view text, unsigned rate);

}  // namespace quickcall
