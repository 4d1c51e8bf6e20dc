#include "resampler.hpp"

#include <new>

namespace quickcall {
namespace {

constexpr int quality = 3;  // speexdsp's own for voice over IP

}  // namespace

Resampler::Resampler(unsigned from, unsigned to) {
    if (from == to) return;
    int error = RESAMPLER_ERR_SUCCESS;
    state_.reset(speex_resampler_init(1, from, to, quality, &error));
    if (!state_) throw std::bad_alloc();
}

std::span<const std::int16_t> Resampler::convert(std::span<const std::int16_t> in, std::span<std::int16_t> out) {
    if (!state_) return in;
    auto taken = static_cast<spx_uint32_t>(in.size());
    auto made = static_cast<spx_uint32_t>(out.size());
    speex_resampler_process_int(state_.get(), 0, in.data(), &taken, out.data(), &made);
    return out.first(made);
}

}  // namespace quickcall
