// Speex over libspeex (RFC 5574), narrow band, wide band and ultra-wide band: 20 ms a frame, several in a packet.
#include <speex/speex.h>

#include <algorithm>
#include <array>

#include "codec_kinds.hpp"

namespace quickcall {
namespace {

struct FreeEncoder {
    void operator()(void *state) const { speex_encoder_destroy(state); }
};
struct FreeDecoder {
    void operator()(void *state) const { speex_decoder_destroy(state); }
};

// 15 kbit/s in narrow band, 28 in wide band.
constexpr int quality = 8;
constexpr int complexity = 2;

class Bits {
public:
    Bits() { speex_bits_init(&bits_); }
    ~Bits() { speex_bits_destroy(&bits_); }
    Bits(const Bits &) = delete;
    Bits &operator=(const Bits &) = delete;
    SpeexBits *get() { return &bits_; }

private:
    SpeexBits bits_;
};

class Speex final : public Codec {
public:
    explicit Speex(unsigned clock)
        : rate_(clock),
          samples_(clock / 50),
          mode_(speex_lib_get_mode(clock == 8000    ? SPEEX_MODEID_NB
                                   : clock == 16000 ? SPEEX_MODEID_WB
                                                    : SPEEX_MODEID_UWB)) {}
    unsigned rate() const override { return rate_; }
    unsigned frame_ms() const override { return 20; }

    Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) override {
        if (!decoder_) decoder_.reset(speex_decoder_init(mode_));
        if (!decoder_) return {};
        speex_bits_read_from(heard_.get(), reinterpret_cast<const char *>(payload.data()),
                             static_cast<int>(payload.size()));
        Decoded result;
        while (result.samples + samples_ <= sound.size() && speex_bits_remaining(heard_.get()) >= shortest_frame) {
            if (speex_decode_int(decoder_.get(), heard_.get(), sound.data() + result.samples) != 0) break;
            result.samples += samples_;
        }
        return result;
    }

    std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) override {
        if (!encoder_) open_encoder();
        if (!encoder_) return 0;
        speex_bits_reset(said_.get());
        std::array<spx_int16_t, 640> frame;
        for (; sound.size() >= samples_; sound = sound.subspan(samples_)) {
            std::copy_n(sound.begin(), samples_, frame.begin());  // the encoder writes into it
            speex_encode_int(encoder_.get(), frame.data(), said_.get());
        }
        speex_bits_insert_terminator(said_.get());
        const int octets = speex_bits_write(said_.get(), reinterpret_cast<char *>(payload.data()),
                                            static_cast<int>(payload.size()));
        return static_cast<std::size_t>(octets > 0 ? octets : 0);
    }

private:
    static constexpr int shortest_frame = 5;  // bits: silence

    void open_encoder() {
        encoder_.reset(speex_encoder_init(mode_));
        if (!encoder_) return;
        int wanted = quality, effort = complexity;
        speex_encoder_ctl(encoder_.get(), SPEEX_SET_QUALITY, &wanted);
        speex_encoder_ctl(encoder_.get(), SPEEX_SET_COMPLEXITY, &effort);
    }

    const unsigned rate_;
    const std::size_t samples_;
    const SpeexMode *const mode_;
    std::unique_ptr<void, FreeEncoder> encoder_;
    std::unique_ptr<void, FreeDecoder> decoder_;
    Bits said_, heard_;
};

}  // namespace

std::unique_ptr<Codec> open_speex(const Format &format, unsigned) { return std::make_unique<Speex>(format.rate); }

}  // namespace quickcall
