#include "latch.hpp"

#include <algorithm>

namespace quickcall {
namespace {

constexpr std::int64_t packets_per_second = 200;  // 5 ms in a packet: the fastest that is usual
constexpr std::int64_t furthest = 0x7fff;

// Cannot be reached through a NAT from outside: RFC 1918, RFC 6598, RFC 3927; RFC 4193, RFC 4291 2.5.6.
bool is_private(const sockaddr_storage &address) {
    if (address.ss_family == AF_INET) {
        const auto host = ntohl(reinterpret_cast<const sockaddr_in &>(address).sin_addr.s_addr);
        return host >> 24 == 10 || host >> 20 == 0xac1 || host >> 16 == 0xc0a8 || host >> 22 == 0x64400000 >> 22 ||
               host >> 16 == 0xa9fe;
    }
    const auto &host = reinterpret_cast<const sockaddr_in6 &>(address).sin6_addr;
    return (host.s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(&host);
}

}  // namespace

void Latch::agree(const sockaddr_storage &described, const sockaddr_storage &signalling, Time now) {
    until_ = now + window;
    if (signalling.ss_family != 0) signalling_ = signalling;
    if (described_.ss_family != 0 && same_address(described, described_)) return;
    if (heard_) {
        former_ = current_;
        former_until_ = now + farewell;
    }
    described_ = current_ = described;
    heard_ = false;
    candidates_ = {};
}

Latch::Verdict Latch::judge_other(const sockaddr_storage &from, const RtpHeader &rtp, Proof speaking, Time now) {
    if (current_.ss_family == 0) return Verdict::refused;
    if (same_address(from, described_)) return move(from, rtp, now);
    if (!heard_ && now < former_until_ && same_address(from, former_)) {
        note(rtp, now);
        return Verdict::accepted;
    }
    if (mode_ == Latching::off || speaking == Proof::none) return Verdict::refused;
    if (speaking == Proof::authentic && mode_ == Latching::nat) return move(from, rtp, now);
    const bool open = heard_ ? goes_on(rtp, now) : now < until_;
    if (!open || !may_be_it(from) || !proven(from, rtp)) return Verdict::refused;
    return move(from, rtp, now);
}

bool Latch::may_be_it(const sockaddr_storage &from) const {
    if (same_host(from, described_) || (heard_ && same_host(from, current_))) return true;
    if (mode_ == Latching::host) return false;
    return heard_ || same_host(from, signalling_) || is_private(described_);
}

bool Latch::goes_on(const RtpHeader &rtp, Time now) const {
    if (now - last_ < silence || rtp.ssrc != ssrc_) return false;
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(now - last_).count() + 1;
    const auto ahead = static_cast<std::uint16_t>(rtp.sequence - sequence_);
    return ahead > 0 && ahead <= std::min(passed * packets_per_second, furthest);
}

bool Latch::proven(const sockaddr_storage &from, const RtpHeader &rtp) {
    for (auto &candidate : candidates_) {
        if (candidate.seen == 0 || candidate.ssrc != rtp.ssrc || !same_address(candidate.from, from)) continue;
        candidate.seen = rtp.sequence == candidate.next ? candidate.seen + 1 : 1;
        candidate.next = static_cast<std::uint16_t>(rtp.sequence + 1);
        return candidate.seen >= enough;
    }
    candidates_[oldest_] = {from, rtp.ssrc, static_cast<std::uint16_t>(rtp.sequence + 1), 1};
    oldest_ = (oldest_ + 1) % candidates_.size();
    return false;
}

Latch::Verdict Latch::move(const sockaddr_storage &to, const RtpHeader &rtp, Time now) {
    current_ = to;
    heard_ = true;
    candidates_ = {};
    note(rtp, now);
    return Verdict::moved;
}

}  // namespace quickcall
