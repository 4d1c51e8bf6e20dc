// A codec as one leg speaks it: payloads of RTP packets to samples and back. No clock, no jitter buffer, no port.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "terms.hpp"

namespace quickcall {

// Samples of one decoded packet at most: 120 ms of opus at 48 kHz, 0.7 s at 8 kHz. What is beyond is not decoded.
inline constexpr std::size_t max_decoded = 5760;
// Milliseconds of one encoded packet at most, whatever the peer's ptime says.
inline constexpr unsigned max_packet_ms = 60;
// Bytes of one encoded packet at most (60 ms of G.711; opus and the others stay below).
inline constexpr std::size_t max_payload = 1276;

struct Decoded {
    std::size_t samples = 0;  // 0: nothing that could be made sound of
    bool comfort = false;     // background noise of a silent talker (SID, DTX), not speech
};

// Used by one thread at a time. Samples are mono, 16 bits. Encoder and decoder are made when they are first needed.
class Codec {
public:
    virtual ~Codec() = default;
    Codec() = default;
    Codec(const Codec &) = delete;
    Codec &operator=(const Codec &) = delete;

    // Samples per second of its sound.
    virtual unsigned rate() const = 0;
    // Milliseconds of its shortest packet; a packet holds a multiple.
    virtual unsigned frame_ms() const = 0;
    // `sound` has room for `max_decoded` samples.
    virtual Decoded decode(std::span<const std::uint8_t> payload, std::span<std::int16_t> sound) = 0;
    // Whole frames, `max_packet_ms` at most, into `max_payload` bytes. Returns the bytes, 0: it failed.
    virtual std::size_t encode(std::span<const std::int16_t> sound, std::span<std::uint8_t> payload) = 0;
};

// `rate` is what the other side's sound has, for codecs that can choose: no resampling is the best resampling.
// nullptr: not built in, or the parameters ask for what we do not have.
std::unique_ptr<Codec> open_codec(const Format &format, unsigned rate);

// The rate of a codec that has only one; 0: it can choose, or is not built in.
unsigned only_rate(const Format &format);

// Whether what one leg says in a format is what the other one takes, bit by bit: AMR comes in two packings.
bool is_same_payload(const Format &said, const Format &wanted);

// Whether a codec of that `NAME/RATE`, in any case, is among those above.
bool can_code(std::string_view codec);

// Value of a format parameter (`octet-align` in `octet-align=1; mode-set=0,2`), empty when absent. Case is ignored.
std::string_view parameter(std::string_view fmtp, std::string_view name);
// The same as a number; `otherwise` when absent or no number.
unsigned parameter_number(std::string_view fmtp, std::string_view name, unsigned otherwise);

}  // namespace quickcall
