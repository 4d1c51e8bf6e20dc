// AMR and AMR-WB over opencore-amr and vo-amrwbenc: 20 ms a frame, at the bit rate the peer allows and asks for.
#include <opencore-amrnb/interf_dec.h>
#include <opencore-amrnb/interf_enc.h>
#include <opencore-amrwb/dec_if.h>
#include <vo-amrwbenc/enc_if.h>

#include <algorithm>

#include "amr_payload.hpp"
#include "codec_kinds.hpp"

namespace quickcall {
namespace {

struct Narrow {
    static constexpr bool wide = false;
    static constexpr unsigned rate = 8000, modes = 8, usual_mode = 7;  // 12.2 kbit/s
    static void *encoder() { return Encoder_Interface_init(0); }
    static void *decoder() { return Decoder_Interface_init(); }
    static void free_encoder(void *state) { Encoder_Interface_exit(state); }
    static void free_decoder(void *state) { Decoder_Interface_exit(state); }
    static int encode(void *state, unsigned mode, const std::int16_t *sound, std::uint8_t *out) {
        return Encoder_Interface_Encode(state, static_cast<Mode>(mode), sound, out, 0);
    }
    static void decode(void *state, const std::uint8_t *frame, std::int16_t *sound) {
        Decoder_Interface_Decode(state, frame, sound, 0);
    }
};

struct Wide {
    static constexpr bool wide = true;
    static constexpr unsigned rate = 16000, modes = 9, usual_mode = 2;  // 12.65 kbit/s
    static void *encoder() { return E_IF_init(); }
    static void *decoder() { return D_IF_init(); }
    static void free_encoder(void *state) { E_IF_exit(state); }
    static void free_decoder(void *state) { D_IF_exit(state); }
    static int encode(void *state, unsigned mode, const std::int16_t *sound, std::uint8_t *out) {
        return E_IF_encode(state, static_cast<int>(mode), sound, out, 0);
    }
    static void decode(void *state, const std::uint8_t *frame, std::int16_t *sound) {
        D_IF_decode(state, frame, sound, 0);
    }
};

// The modes of `mode-set`, a bit each; all of them when the peer names none.
unsigned allowed_modes(std::string_view fmtp, unsigned modes) {
    unsigned allowed = 0;
    for (const char digit : parameter(fmtp, "mode-set")) {
        const auto mode = static_cast<unsigned>(digit) - '0';
        if (mode < modes) allowed |= 1U << mode;
    }
    return allowed != 0 ? allowed : (1U << modes) - 1;
}

// The highest allowed mode that is not above `wanted`, or else the lowest allowed one.
unsigned mode_within(unsigned allowed, unsigned wanted) {
    for (unsigned mode = wanted + 1; mode-- > 0;) {
        if ((allowed >> mode & 1U) != 0) return mode;
    }
    unsigned mode = 0;
    while ((allowed >> mode & 1U) == 0) ++mode;
    return mode;
}

template <class Library>
class Amr final : public Codec {
public:
    explicit Amr(const Format &format)
        : received_{Library::wide, parameter_number(format.our_fmtp, "octet-align", 0) == 1},
          sent_{Library::wide, parameter_number(format.their_fmtp, "octet-align", 0) == 1},
          allowed_(allowed_modes(format.their_fmtp, Library::modes)),
          mode_(mode_within(allowed_, Library::usual_mode)) {}
    ~Amr() override {
        if (encoder_ != nullptr) Library::free_encoder(encoder_);
        if (decoder_ != nullptr) Library::free_decoder(decoder_);
    }
    unsigned rate() const override { return Library::rate; }
    unsigned frame_ms() const override { return 20; }

    Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) override {
        if (decoder_ == nullptr) decoder_ = Library::decoder();
        if (decoder_ == nullptr || !parse_amr(payload, received_, heard_)) return {};
        if (heard_.requested < Library::modes) mode_ = mode_within(allowed_, heard_.requested);
        Decoded result{0, true};
        for (std::size_t i = 0; i < heard_.count && result.samples + samples <= sound.size(); ++i) {
            Library::decode(decoder_, heard_.frames[i].stored.data(), sound.data() + result.samples);
            result.samples += samples;
            result.comfort = result.comfort && !heard_.frames[i].is_speech(Library::wide);
        }
        return result;
    }

    std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) override {
        if (encoder_ == nullptr) encoder_ = Library::encoder();
        if (encoder_ == nullptr) return 0;
        std::array<std::array<std::uint8_t, max_amr_frame>, max_packet_ms / 20> frames;
        std::size_t count = 0;
        for (; sound.size() >= samples && count < frames.size(); sound = sound.subspan(samples)) {
            if (Library::encode(encoder_, mode_, sound.data(), frames[count].data()) <= 0) return 0;
            ++count;
        }
        return pack_amr({frames.data(), count}, sent_, payload);
    }

private:
    static constexpr std::size_t samples = Library::rate / 50;
    const AmrLayout received_, sent_;
    const unsigned allowed_;
    unsigned mode_;
    AmrPacket heard_;
    void *encoder_ = nullptr, *decoder_ = nullptr;
};

// What nobody uses between telephones: checksums, sorted bits, interleaving (RFC 4867 4.4).
bool is_plain(std::string_view fmtp) {
    return parameter_number(fmtp, "crc", 0) == 0 && parameter_number(fmtp, "robust-sorting", 0) == 0 &&
           parameter_number(fmtp, "interleaving", 0) == 0 && parameter_number(fmtp, "channels", 1) == 1;
}

}  // namespace

std::unique_ptr<Codec> open_amr(const Format &format, unsigned) {
    if (!is_plain(format.our_fmtp) || !is_plain(format.their_fmtp)) return nullptr;
    if (format.name == "AMR") return std::make_unique<Amr<Narrow>>(format);
    return std::make_unique<Amr<Wide>>(format);
}

}  // namespace quickcall
