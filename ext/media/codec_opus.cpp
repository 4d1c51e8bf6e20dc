// Opus over libopus (RFC 7587): its RTP clock is 48 kHz whatever rate its sound has here.
#include <opus/opus.h>

#include <algorithm>
#include <iterator>

#include "codec_kinds.hpp"

namespace quickcall {
namespace {

struct FreeOpus {
    void operator()(OpusEncoder *state) const { opus_encoder_destroy(state); }
    void operator()(OpusDecoder *state) const { opus_decoder_destroy(state); }
};

// Telephone speech; 10 costs twice the time for a difference few can hear.
constexpr int complexity = 5;
// Percent of loss that redundancy is laid out for, when the peer can use it.
constexpr int expected_loss = 5;
// Octets of a packet that says no more than "still silent" (RFC 6716 3.1: the first octet, and one more of DTX).
constexpr std::size_t dtx_octets = 2;

int bandwidth(unsigned rate) {
    if (rate <= 8000) return OPUS_BANDWIDTH_NARROWBAND;
    if (rate <= 12000) return OPUS_BANDWIDTH_MEDIUMBAND;
    if (rate <= 16000) return OPUS_BANDWIDTH_WIDEBAND;
    return rate <= 24000 ? OPUS_BANDWIDTH_SUPERWIDEBAND : OPUS_BANDWIDTH_FULLBAND;
}

class Opus final : public Codec {
public:
    Opus(const Format &format, unsigned rate)
        : rate_(rate),
          frame_ms_(format.ptime_ms < 20 ? 10 : 20),
          max_rate_(parameter_number(format.their_fmtp, "maxplaybackrate", 48000)),
          max_bits_(parameter_number(format.their_fmtp, "maxaveragebitrate", 0)),
          redundancy_(parameter_number(format.their_fmtp, "useinbandfec", 0) == 1),
          constant_(parameter_number(format.their_fmtp, "cbr", 0) == 1) {}
    unsigned rate() const override { return rate_; }
    unsigned frame_ms() const override { return frame_ms_; }

    Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) override {
        int error = OPUS_OK;
        if (!decoder_) decoder_.reset(opus_decoder_create(static_cast<opus_int32>(rate_), 1, &error));
        if (!decoder_ || payload.empty()) return {};
        const int samples = opus_decode(decoder_.get(), payload.data(), static_cast<opus_int32>(payload.size()),
                                        sound.data(), static_cast<int>(sound.size()), 0);
        return {static_cast<std::size_t>(std::max(samples, 0)), payload.size() <= dtx_octets};
    }

    std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) override {
        if (!encoder_) open_encoder();
        if (!encoder_) return 0;
        const auto octets = opus_encode(encoder_.get(), sound.data(), static_cast<int>(sound.size()), payload.data(),
                                        static_cast<opus_int32>(payload.size()));
        return static_cast<std::size_t>(std::max(octets, 0));
    }

private:
    void open_encoder() {
        int error = OPUS_OK;
        encoder_.reset(opus_encoder_create(static_cast<opus_int32>(rate_), 1, OPUS_APPLICATION_VOIP, &error));
        if (!encoder_) return;
        auto *state = encoder_.get();
        opus_encoder_ctl(state, OPUS_SET_COMPLEXITY(complexity));
        opus_encoder_ctl(state, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
        opus_encoder_ctl(state, OPUS_SET_MAX_BANDWIDTH(bandwidth(std::min(rate_, max_rate_))));
        opus_encoder_ctl(state, OPUS_SET_VBR(constant_ ? 0 : 1));
        opus_encoder_ctl(state, OPUS_SET_INBAND_FEC(redundancy_ ? 1 : 0));
        opus_encoder_ctl(state, OPUS_SET_PACKET_LOSS_PERC(redundancy_ ? expected_loss : 0));
        if (max_bits_ != 0) {
            const auto bits = std::clamp(max_bits_, 6000U, 510000U);  // RFC 7587 6.1
            opus_encoder_ctl(state, OPUS_SET_BITRATE(static_cast<opus_int32>(bits)));
        }
    }

    const unsigned rate_, frame_ms_, max_rate_, max_bits_;
    const bool redundancy_, constant_;
    std::unique_ptr<OpusEncoder, FreeOpus> encoder_;
    std::unique_ptr<OpusDecoder, FreeOpus> decoder_;
};

}  // namespace

std::unique_ptr<Codec> open_opus(const Format &format, unsigned rate) {
    constexpr unsigned rates[] = {8000, 12000, 16000, 24000, 48000};
    const auto *found = std::find(std::begin(rates), std::end(rates), rate);
    return std::make_unique<Opus>(format, found == std::end(rates) ? 48000 : rate);
}

}  // namespace quickcall
