// The lite side of ICE for one stream (RFC 8445 2.5): the peer checks and nominates, we answer. One component: RTCP
// goes with RTP. Bytes and values only; media thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <span>

#include "address.hpp"
#include "stun.hpp"
#include "terms.hpp"
#include "timers.hpp"

namespace quickcall {

class Ice {
public:
    explicit Ice(const IceTerms &terms) : terms_(terms) {}

    // What a later agreement says. With other credentials it is a restart (RFC 8445 9): the peer must prove the new
    // ones; until it has, media go on as before.
    void agree(const IceTerms &terms);

    // Takes a datagram that looks like STUN. Returns the bytes of `answer` to send back to its source, 0: none.
    // Nothing is learned of a source that does not prove our password.
    std::size_t receive(std::span<const std::uint8_t> packet, const sockaddr_storage &source, Time now,
                        StunAnswer &answer);

    // The address that the peer nominated: the only one media are sent to. nullptr while there is none, or when it
    // has not been checked for 30 s, which withdraws the consent to be sent anything (RFC 7675 5.1).
    const sockaddr_storage *selected(Time now) const;
    // Media are accepted from the nominated address alone.
    bool accepts(const sockaddr_storage &source) const { return same_address(source, selected_); }

private:
    void nominate(const sockaddr_storage &source, std::uint32_t priority, Time now);

    IceTerms terms_;
    sockaddr_storage selected_{};      // ss_family 0: none yet
    std::uint32_t priority_ = 0;       // that its checks told
    Time checked_at_{};
};

}  // namespace quickcall
