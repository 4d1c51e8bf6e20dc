// Whose RTP is let in, and where ours goes: symmetric RTP (RFC 4961) that a stranger cannot steal.
//
// Before a description of the peer nothing is let in. Its address may speak at once, and back whenever it speaks.
// Somebody else may take the stream over only
// * while nothing has come from that address, within `window` of an agreement or of the answer: a NAT;
//   from the host of the description (another port), or the host that its SIP came from, or, where the description
//   names an address that cannot be reached from outside (RFC 1918, 6598, 4193), from anywhere;
// * later, when the source has been silent for `silence` and the same SSRC goes on elsewhere with sequence numbers
//   that follow: a NAT that forgot its binding;
// and only with `enough` packets in sequence of one SSRC and of payload types that were agreed on, of which the last is
// let in. Where SRTP has proven who sent it one packet is enough, from wherever. After that the source is locked until
// an agreement on another address; what the former address still sends then is let in until the new one speaks.
//
// What is left: a peer behind a NAT whose proxy did not mend its description can be impersonated by whoever guesses the
// port and sends first; SRTP and ICE close that, and so does the mode `host`. A peer that sends from a third host is
// not heard.
#pragma once

#include <array>
#include <cstdint>

#include "address.hpp"
#include "latching.hpp"
#include "rtp.hpp"
#include "timers.hpp"

namespace quickcall {

class Latch {
public:
    static constexpr int enough = 5;  // packets in sequence
    static constexpr std::chrono::seconds window{20};
    static constexpr std::chrono::seconds silence{3};
    static constexpr std::chrono::seconds farewell{2};  // of the former address

    // What speaks for a packet: nothing, the payload type, the key of the peer.
    enum class Proof : std::uint8_t { none, negotiated, authentic };
    enum class Verdict : std::uint8_t { refused, accepted, moved };

    explicit Latch(Latching mode) : mode_(mode) {}

    // `described`: where the description wants RTP, family 0: nowhere. `signalling`: where its SIP came from,
    // family 0: not known.
    void agree(const sockaddr_storage &described, const sockaddr_storage &signalling, Time now);
    // The peer answered: it may begin to send only now.
    void answered(Time now) { until_ = now + window; }

    // `moved`: it is the first packet, or the source has changed.
    Verdict judge(const sockaddr_storage &from, const RtpHeader &rtp, Proof speaking, Time now) {
        if (same_address(from, current_)) {
            note(rtp, now);
            if (heard_) return Verdict::accepted;
            heard_ = true;
            return Verdict::moved;
        }
        return judge_other(from, rtp, speaking, now);
    }

    // Where RTP goes; family 0: nowhere.
    const sockaddr_storage &target() const { return current_; }
    bool heard() const { return heard_; }
    // When the last packet came that was let in, from whomever.
    Time last() const { return last_; }

private:
    struct Candidate {
        sockaddr_storage from{};
        std::uint32_t ssrc = 0;
        std::uint16_t next = 0;
        int seen = 0;
    };

    Verdict judge_other(const sockaddr_storage &from, const RtpHeader &rtp, Proof speaking, Time now);
    bool may_be_it(const sockaddr_storage &from) const;
    bool goes_on(const RtpHeader &rtp, Time now) const;
    bool proven(const sockaddr_storage &from, const RtpHeader &rtp);
    Verdict move(const sockaddr_storage &to, const RtpHeader &rtp, Time now);

    void note(const RtpHeader &rtp, Time now) {
        ssrc_ = rtp.ssrc;
        sequence_ = rtp.sequence;
        last_ = now;
    }

    const Latching mode_;
    sockaddr_storage described_{}, signalling_{}, current_{}, former_{};
    bool heard_ = false;  // from `current_`, since it is that
    Time until_{}, former_until_{}, last_{};
    std::uint32_t ssrc_ = 0;
    std::uint16_t sequence_ = 0;
    std::array<Candidate, 4> candidates_{};  // so that a stranger does not reset the count of the peer
    std::size_t oldest_ = 0;
};

}  // namespace quickcall
