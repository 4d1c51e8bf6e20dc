// The header of RTP (RFC 3550 5.1), read and rewritten in place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quickcall {

// A datagram in a buffer that has room behind it: SRTP appends to it.
struct Datagram {
    std::uint8_t *data = nullptr;
    std::size_t size = 0;
    std::size_t room = 0;  // bytes of the buffer, `size` included
};

// What shares a port, told by its first byte (RFC 7983 7), RTCP by its second one (RFC 5761 4).
enum class Kind : std::uint8_t { stun, dtls, rtp, rtcp, other };

inline Kind kind_of(const Datagram &datagram) {
    if (datagram.size < 2) return Kind::other;
    const auto first = datagram.data[0];
    if (first >= 128 && first < 192) {
        return datagram.data[1] >= 192 && datagram.data[1] < 224 ? Kind::rtcp : Kind::rtp;
    }
    if (first < 4) return Kind::stun;
    return first >= 20 && first < 64 ? Kind::dtls : Kind::other;
}

inline std::uint16_t read16(const std::uint8_t *at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
inline std::uint32_t read32(const std::uint8_t *at) {
    return static_cast<std::uint32_t>(read16(at)) << 16 | read16(at + 2);
}
inline void write16(std::uint8_t *at, std::uint16_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}
inline void write32(std::uint8_t *at, std::uint32_t value) {
    write16(at, static_cast<std::uint16_t>(value >> 16));
    write16(at + 2, static_cast<std::uint16_t>(value));
}

struct RtpHeader {
    bool marker = false;
    std::uint8_t payload_type = 0;
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t ssrc = 0;
    std::size_t size = 0;          // of the header, with contributing sources and extension
    std::size_t payload_size = 0;  // without padding
};

constexpr std::size_t rtp_header_size = 12;

// False for what is no RTP packet: too short for what it says of itself.
inline bool parse_rtp(const std::uint8_t *data, std::size_t size, RtpHeader &header) {
    if (size < rtp_header_size || data[0] >> 6 != 2) return false;
    std::size_t end = rtp_header_size + 4 * static_cast<std::size_t>(data[0] & 0x0f);
    if (data[0] & 0x10) {  // an extension: 4 bytes, then as many words as they say
        if (size < end + 4) return false;
        end += 4 + 4 * static_cast<std::size_t>(read16(data + end + 2));
    }
    if (size < end) return false;
    const std::size_t padding = data[0] & 0x20 ? data[size - 1] : 0;
    if (padding > size - end) return false;
    header.marker = data[1] & 0x80;
    header.payload_type = data[1] & 0x7f;
    header.sequence = read16(data + 2);
    header.timestamp = read32(data + 4);
    header.ssrc = read32(data + 8);
    header.size = end;
    header.payload_size = size - end - padding;
    return true;
}

// Writes the fixed fields over those that are there; version, padding, extension and sources stay.
inline void rewrite_rtp(std::uint8_t *data, const RtpHeader &header) {
    data[1] = static_cast<std::uint8_t>(header.payload_type | (header.marker ? 0x80 : 0));
    write16(data + 2, header.sequence);
    write32(data + 4, header.timestamp);
    write32(data + 8, header.ssrc);
}

// Makes a header without sources and extension; `rtp_header_size` bytes.
inline void write_rtp(std::uint8_t *data, const RtpHeader &header) {
    data[0] = 0x80;
    rewrite_rtp(data, header);
}

}  // namespace quickcall
