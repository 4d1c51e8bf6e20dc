// G.729 with annexes A and B over bcg729: 10 octets for 10 ms, and 2 octets of background noise (SID) at the end of a
// packet (RFC 3551 4.5.6). We send speech only, which annexb=no and annexb=yes both allow.
#include "codec_kinds.hpp"

extern "C" {
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
}

namespace quickcall {
namespace {

struct FreeG729 {
    void operator()(bcg729EncoderChannelContextStruct *state) const { closeBcg729EncoderChannel(state); }
    void operator()(bcg729DecoderChannelContextStruct *state) const { closeBcg729DecoderChannel(state); }
};

class G729 final : public Codec {
public:
    unsigned rate() const override { return 8000; }
    unsigned frame_ms() const override { return 10; }

    Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) override {
        if (!decoder_) decoder_.reset(initBcg729DecoderChannel());
        Decoded result{0, payload.size() == sid_octets};
        while (payload.size() >= sid_octets && result.samples + frame_samples <= sound.size()) {
            const bool sid = payload.size() < octets;
            const auto length = sid ? sid_octets : octets;
            bcg729Decoder(decoder_.get(), payload.data(), static_cast<std::uint8_t>(length), 0, sid, 0,
                          sound.data() + result.samples);
            result.samples += frame_samples;
            payload = sid ? std::span<const std::uint8_t>{} : payload.subspan(length);
        }
        return result;
    }

    std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) override {
        if (!encoder_) encoder_.reset(initBcg729EncoderChannel(0));
        std::size_t written = 0;
        while (sound.size() >= frame_samples && written + octets <= payload.size()) {
            std::uint8_t length = 0;
            bcg729Encoder(encoder_.get(), sound.data(), payload.data() + written, &length);
            written += length;
            sound = sound.subspan(frame_samples);
        }
        return written;
    }

private:
    static constexpr std::size_t octets = 10, sid_octets = 2, frame_samples = 80;
    std::unique_ptr<bcg729EncoderChannelContextStruct, FreeG729> encoder_;
    std::unique_ptr<bcg729DecoderChannelContextStruct, FreeG729> decoder_;
};

}  // namespace

std::unique_ptr<Codec> open_g729(const Format &, unsigned) { return std::make_unique<G729>(); }

}  // namespace quickcall
