#include "amr_payload.hpp"

#include <algorithm>

namespace quickcall {
namespace {

// Bits of speech by frame type (3GPP TS 26.101 and 26.201, tables 1a), -1: not in RTP.
constexpr int narrow_bits[16] = {95, 103, 118, 134, 148, 159, 204, 244, 39, -1, -1, -1, -1, -1, -1, 0};
constexpr int wide_bits[16] = {132, 177, 253, 285, 317, 365, 397, 461, 477, 40, -1, -1, -1, -1, 0, 0};

int bits_of(unsigned type, bool wide) { return wide ? wide_bits[type & 15] : narrow_bits[type & 15]; }

class Reader {
public:
    explicit Reader(std::span<const std::uint8_t> octets) : octets_(octets) {}
    std::size_t left() const { return octets_.size() * 8 - at_; }

    // Eight bits at most; the caller has asked `left`.
    unsigned take(unsigned count) {
        const auto byte = at_ / 8;
        const unsigned pair = octets_[byte] << 8 | (byte + 1 < octets_.size() ? octets_[byte + 1] : 0U);
        const unsigned value = pair >> (16 - at_ % 8 - count) & ((1U << count) - 1);
        at_ += count;
        return value;
    }
    void align() { at_ = (at_ + 7) / 8 * 8; }

private:
    std::span<const std::uint8_t> octets_;
    std::size_t at_ = 0;
};

class Writer {
public:
    explicit Writer(std::span<std::uint8_t> octets) : octets_(octets) {}

    void put(unsigned value, unsigned count) {
        for (; count > 0; --count, ++at_) {
            auto &octet = octets_[at_ / 8];
            if (at_ % 8 == 0) octet = 0;
            octet = static_cast<std::uint8_t>(octet | (value >> (count - 1) & 1U) << (7 - at_ % 8));
        }
    }
    // The first `count` bits of a row of octets.
    void copy(const std::uint8_t *from, unsigned count) {
        for (; count >= 8; count -= 8, ++from) put(*from, 8);
        if (count > 0) put(static_cast<unsigned>(*from) >> (8 - count), count);
    }
    void align() { put(0, static_cast<unsigned>((8 - at_ % 8) % 8)); }
    std::size_t octets() const { return (at_ + 7) / 8; }

private:
    std::span<std::uint8_t> octets_;
    std::size_t at_ = 0;
};

bool parse_contents(Reader &reader, AmrLayout layout, AmrPacket &packet) {
    packet.count = 0;
    for (bool more = true; more;) {
        if (packet.count == max_amr_frames || reader.left() < (layout.octet_aligned ? 8 : 6)) return false;
        auto &frame = packet.frames[packet.count++];
        more = reader.take(1) != 0;
        frame.type = reader.take(4);
        const unsigned good = reader.take(1);
        if (layout.octet_aligned) reader.take(2);
        if (bits_of(frame.type, layout.wide) < 0) return false;
        frame.stored[0] = static_cast<std::uint8_t>(frame.type << 3 | good << 2);
    }
    return true;
}

bool parse_speech(Reader &reader, AmrLayout layout, AmrFrame &frame) {
    auto bits = static_cast<unsigned>(bits_of(frame.type, layout.wide));
    if (reader.left() < bits) return false;
    auto *octet = frame.stored.data() + 1;
    for (; bits >= 8; bits -= 8) *octet++ = static_cast<std::uint8_t>(reader.take(8));
    if (bits > 0) *octet = static_cast<std::uint8_t>(reader.take(bits) << (8 - bits));
    if (layout.octet_aligned) reader.align();
    return true;
}

}  // namespace

std::size_t amr_stored_octets(std::uint8_t header, bool wide) {
    const int bits = bits_of(header >> 3 & 15U, wide);
    return 1 + static_cast<std::size_t>(std::max(bits, 0) + 7) / 8;
}

bool parse_amr(std::span<const std::uint8_t> payload, AmrLayout layout, AmrPacket &packet) {
    Reader reader(payload);
    if (reader.left() < 8) return false;
    packet.requested = reader.take(4);
    if (layout.octet_aligned) reader.take(4);
    if (!parse_contents(reader, layout, packet)) return false;
    for (std::size_t i = 0; i < packet.count; ++i) {
        if (!parse_speech(reader, layout, packet.frames[i])) return false;
    }
    return true;
}

std::size_t pack_amr(std::span<const std::array<std::uint8_t, max_amr_frame>> frames, AmrLayout layout,
                     std::span<std::uint8_t> payload) {
    std::size_t room = 1 + frames.size();
    for (const auto &frame : frames) room += amr_stored_octets(frame[0], layout.wide);
    if (frames.empty() || frames.size() > max_amr_frames || room > payload.size()) return 0;
    Writer writer(payload);
    writer.put(amr_no_request, 4);
    if (layout.octet_aligned) writer.align();
    for (std::size_t i = 0; i < frames.size(); ++i) {
        writer.put(i + 1 < frames.size() ? 1 : 0, 1);
        writer.put(frames[i][0] >> 2 & 31U, 5);  // type and quality, as stored
        if (layout.octet_aligned) writer.align();
    }
    for (const auto &frame : frames) {
        writer.copy(frame.data() + 1, static_cast<unsigned>(std::max(bits_of(frame[0] >> 3, layout.wide), 0)));
        if (layout.octet_aligned) writer.align();
    }
    return writer.octets();
}

}  // namespace quickcall
