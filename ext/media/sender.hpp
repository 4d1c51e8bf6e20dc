// The stream that a leg is sent: one SSRC, sequence and clock for its whole life, whoever feeds it.
#pragma once

#include <cstdint>

#include "rtp.hpp"
#include "timers.hpp"

namespace quickcall {

// Who made a packet: a leg, or 0 for what we make ourselves, and its SSRC.
struct Origin {
    std::uint64_t maker = 0;
    std::uint32_t ssrc = 0;
    bool operator==(const Origin &) const = default;
};

// Sequence numbers and timestamps move with those of the origin: its gaps and its order are kept. When the origin
// changes, or starts anew, the next packet has the marker bit, the next sequence number, and a timestamp that is later
// by the time that has passed.
class Sender {
public:
    Sender();

    // Rewrites the fields of a header. False: a straggler of an origin that another has just replaced, not to be sent.
    bool stamp(RtpHeader &header, const Origin &origin, unsigned rate, Time now) {
        if ((origin != origin_ || rate != rate_ || has_jumped(header.sequence)) &&
            !begin(header, origin, rate, now)) {
            return false;
        }
        source_sequence_ = header.sequence;
        header.sequence = static_cast<std::uint16_t>(header.sequence + sequence_offset_);
        header.timestamp += timestamp_offset_;
        header.ssrc = ssrc_;
        if (static_cast<std::int16_t>(header.sequence - highest_) > 0) {
            highest_ = header.sequence;
            timestamp_ = header.timestamp;
            sent_at_ = now;
        }
        return true;
    }

    std::uint32_t ssrc() const { return ssrc_; }
    bool started() const { return rate_ != 0; }
    // What the timestamp of a packet would be that is sent now.
    std::uint32_t timestamp_at(Time now) const;

private:
    static constexpr int furthest_ahead = 3000, furthest_behind = 100;  // MAX_DROPOUT, MAX_MISORDER of RFC 3550 A.1

    bool has_jumped(std::uint16_t sequence) const {
        const auto ahead = static_cast<std::int16_t>(sequence - source_sequence_);
        return ahead > furthest_ahead || ahead < -furthest_behind;
    }
    bool begin(RtpHeader &header, const Origin &origin, unsigned rate, Time now);

    std::uint32_t ssrc_;
    std::uint16_t highest_;      // sequence number sent last
    std::uint32_t timestamp_;    // of the packet with that number
    Time sent_at_{};
    Origin origin_, left_;
    Time left_until_{};
    unsigned rate_ = 0;          // 0: nothing has been sent
    std::uint16_t source_sequence_ = 0, sequence_offset_ = 0;
    std::uint32_t timestamp_offset_ = 0;
};

}  // namespace quickcall
