// The RTP payload of AMR and AMR-WB (RFC 4867 4.3, 4.4): a mode request, a table of contents, the frames; packed bit
// by bit (bandwidth-efficient) or in whole octets. No codec here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace quickcall {

inline constexpr std::size_t max_amr_frames = 16;
// Octets of one frame with its header at most (AMR-WB 23.85 kbit/s), as in the storage format of RFC 4867 5.3.
inline constexpr std::size_t max_amr_frame = 61;
inline constexpr unsigned amr_no_request = 15;

struct AmrLayout {
    bool wide = false;
    bool octet_aligned = false;
};

struct AmrFrame {
    unsigned type = 15;  // speech mode, silence descriptor or 15, no data
    std::array<std::uint8_t, max_amr_frame> stored{};  // header octet, then the bits

    bool is_speech(bool wide) const { return type < (wide ? 9U : 8U); }
};

struct AmrPacket {
    unsigned requested = amr_no_request;  // mode the sender wants to be sent
    std::size_t count = 0;
    std::array<AmrFrame, max_amr_frames> frames;
};

// False: the payload is malformed, and `packet` means nothing.
bool parse_amr(std::span<const std::uint8_t> payload, AmrLayout layout, AmrPacket &packet);

// Octets written, 0: no room. The first octet of each frame is its header in the storage format.
std::size_t pack_amr(std::span<const std::array<std::uint8_t, max_amr_frame>> frames, AmrLayout layout,
                     std::span<std::uint8_t> payload);

// Octets of a frame in the storage format with its header, from that header.
std::size_t amr_stored_octets(std::uint8_t header, bool wide);

}  // namespace quickcall
