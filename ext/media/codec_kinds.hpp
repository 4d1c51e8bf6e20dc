// Who opens which codec; `open_codec` of codec.hpp chooses among them.
#pragma once

#include <memory>

#include "codec.hpp"

namespace quickcall {

std::unique_ptr<Codec> open_amr(const Format &format, unsigned rate);
std::unique_ptr<Codec> open_g711(const Format &format, unsigned rate);
std::unique_ptr<Codec> open_g722(const Format &format, unsigned rate);
std::unique_ptr<Codec> open_g729(const Format &format, unsigned rate);
std::unique_ptr<Codec> open_gsm(const Format &format, unsigned rate);
std::unique_ptr<Codec> open_opus(const Format &format, unsigned rate);
std::unique_ptr<Codec> open_speex(const Format &format, unsigned rate);

}  // namespace quickcall
