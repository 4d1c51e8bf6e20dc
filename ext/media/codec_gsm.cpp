// GSM 06.10 full rate over libgsm: 33 octets for 20 ms (RFC 3551 4.5.8).
#include <gsm/gsm.h>

#include <algorithm>

#include "codec_kinds.hpp"

namespace quickcall {
namespace {

struct FreeGsm {
    void operator()(gsm_state *state) const { gsm_destroy(state); }
};
using State = std::unique_ptr<gsm_state, FreeGsm>;

class Gsm final : public Codec {
public:
    unsigned rate() const override { return 8000; }
    unsigned frame_ms() const override { return 20; }

    Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) override {
        if (!decoder_) decoder_.reset(gsm_create());
        std::size_t samples = 0;
        gsm_byte frame[octets];
        while (payload.size() >= octets && samples + frame_samples <= sound.size()) {
            std::copy_n(payload.begin(), octets, frame);
            if (gsm_decode(decoder_.get(), frame, sound.data() + samples) != 0) break;  // no GSM frame
            samples += frame_samples;
            payload = payload.subspan(octets);
        }
        return {samples};
    }

    std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) override {
        if (!encoder_) encoder_.reset(gsm_create());
        std::size_t written = 0;
        gsm_signal frame[frame_samples];
        while (sound.size() >= frame_samples && written + octets <= payload.size()) {
            std::copy_n(sound.begin(), frame_samples, frame);
            gsm_encode(encoder_.get(), frame, payload.data() + written);
            written += octets;
            sound = sound.subspan(frame_samples);
        }
        return written;
    }

private:
    static constexpr std::size_t octets = 33, frame_samples = 160;
    State encoder_, decoder_;
};

}  // namespace

std::unique_ptr<Codec> open_gsm(const Format &, unsigned) { return std::make_unique<Gsm>(); }

}  // namespace quickcall
