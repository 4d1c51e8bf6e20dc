// G.711 and G.722 over spandsp. A payload is a row of octets without frames.
#include <cstdint>
// The headers of spandsp need the one above, and telephony.h first.
#include <spandsp/telephony.h>
#include <spandsp/bit_operations.h>
#include <spandsp/g711.h>
#include <spandsp/g722.h>

#include <algorithm>
#include <array>

#include "codec_kinds.hpp"

namespace quickcall {
namespace {

using Table = std::array<std::int16_t, 256>;

template <class Expand>
Table table_of(Expand expand) {
    Table table{};
    for (unsigned i = 0; i < table.size(); ++i) table[i] = expand(static_cast<std::uint8_t>(i));
    return table;
}

class G711 final : public Codec {
public:
    explicit G711(bool a_law) : a_law_(a_law) {}
    unsigned rate() const override { return 8000; }
    unsigned frame_ms() const override { return 10; }

    Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) override {
        static const Table ulaw = table_of([](std::uint8_t octet) { return ulaw_to_linear(octet); });
        static const Table alaw = table_of([](std::uint8_t octet) { return alaw_to_linear(octet); });
        const auto &table = a_law_ ? alaw : ulaw;
        const auto count = std::min(payload.size(), sound.size());
        std::transform(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(count), sound.begin(),
                       [&](std::uint8_t octet) { return table[octet]; });
        return {count};
    }

    std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) override {
        const auto count = std::min(payload.size(), sound.size());
        for (std::size_t i = 0; i < count; ++i) {
            payload[i] = a_law_ ? linear_to_alaw(sound[i]) : linear_to_ulaw(sound[i]);
        }
        return count;
    }

private:
    const bool a_law_;
};

struct FreeG722 {
    void operator()(g722_encode_state_t *state) const { g722_encode_free(state); }
    void operator()(g722_decode_state_t *state) const { g722_decode_free(state); }
};

// At 8 kHz only the lower band is coded, which is all that a narrow-band partner has.
class G722 final : public Codec {
public:
    explicit G722(unsigned rate) : rate_(rate == 8000 ? 8000 : 16000) {}
    unsigned rate() const override { return rate_; }
    unsigned frame_ms() const override { return 10; }

    Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) override {
        if (!decoder_) decoder_.reset(g722_decode_init(nullptr, bits, options()));
        const auto count = std::min(payload.size(), sound.size() / (rate_ / 8000));
        if (!decoder_ || count == 0) return {};
        const int samples = g722_decode(decoder_.get(), sound.data(), payload.data(), static_cast<int>(count));
        return {static_cast<std::size_t>(std::max(samples, 0))};
    }

    std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) override {
        if (!encoder_) encoder_.reset(g722_encode_init(nullptr, bits, options()));
        if (!encoder_ || sound.size() / (rate_ / 8000) > payload.size()) return 0;
        const int octets = g722_encode(encoder_.get(), payload.data(), sound.data(), static_cast<int>(sound.size()));
        return static_cast<std::size_t>(std::max(octets, 0));
    }

private:
    static constexpr int bits = 64000;  // per second, the one rate of RTP (RFC 3551 4.5.2)
    int options() const { return rate_ == 8000 ? G722_SAMPLE_RATE_8000 : 0; }

    const unsigned rate_;
    std::unique_ptr<g722_encode_state_t, FreeG722> encoder_;
    std::unique_ptr<g722_decode_state_t, FreeG722> decoder_;
};

}  // namespace

std::unique_ptr<Codec> open_g711(const Format &format, unsigned) {
    return std::make_unique<G711>(format.name == "PCMA");
}

std::unique_ptr<Codec> open_g722(const Format &, unsigned rate) { return std::make_unique<G722>(rate); }

}  // namespace quickcall
