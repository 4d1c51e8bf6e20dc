// What strangers may send to a port of RTP: headers, RTCP, and whole rows of packets through latch, receiver and sender.
//
// An input is bytes, for once. They are read as one datagram, and in pieces of 16 as packets: who sends it, how much
// later, and the header.
#include <cstring>

#include "fuzz.hpp"
// Compiled with the sanitizers of this target.
#include "latch.cpp"
#include "receiver.cpp"
#include "rtcp.cpp"
#include "sender.cpp"

namespace {

using namespace quickcall;
using quickcall::fuzz::expect;

constexpr std::uint32_t our_ssrc = 0x01020304;

void check_datagram(std::vector<std::uint8_t> bytes) {
    RtpHeader header;
    if (parse_rtp(bytes.data(), bytes.size(), header)) {
        expect(header.size >= rtp_header_size && header.size + header.payload_size <= bytes.size(),
               "header and payload are inside of the datagram");
        auto again = bytes;
        rewrite_rtp(again.data(), header);
        expect(again == bytes, "what was read is what is written");
    }
    const auto found = read_rtcp(bytes.data(), bytes.size(), our_ssrc);
    expect(found.valid || (!found.report && !found.about_us), "only what begins with a report says anything");
    Counters counters;
    Rtcp rtcp;
    const Time now{std::chrono::hours(1)};
    expect(rtcp.read(bytes.data(), bytes.size(), our_ssrc, counters, now) == found.valid, "both agree");
    Receiver receiver(counters);
    const Sender sender;
    std::uint8_t made[Rtcp::max_size];
    const auto size = rtcp.write(made, sender, receiver, counters, now);
    expect(size <= sizeof made && size % 4 == 0 && read_rtcp(made, size, our_ssrc).valid, "ours can be read");
}

sockaddr_storage address(std::uint8_t who) {
    sockaddr_storage made{};
    auto &v4 = reinterpret_cast<sockaddr_in &>(made);
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(0xc0000200u + (who & 3));
    v4.sin_port = htons(static_cast<std::uint16_t>(4000 + (who >> 2 & 3)));
    return made;
}

// Address 0 is the peer's. Once it has spoken nobody else is heard before it has been silent for long enough.
void check_row(const std::uint8_t *data, std::size_t size) {
    Counters counters;
    Latch latch(Latching::nat);
    Receiver receiver(counters);
    Sender sender;
    Time now{std::chrono::hours(1)}, heard{};
    latch.agree(address(0), address(1), now);
    std::uint16_t sequence = 0;
    for (bool first = true; size >= 16; data += 16, size -= 16) {
        now += std::chrono::milliseconds(16 * data[1]);
        RtpHeader header;
        if (!parse_rtp(data + 4, 12, header)) continue;
        const auto verdict = latch.judge(address(data[0]), header, data[2] & 1 ? Latch::Proof::negotiated : Latch::Proof::none, now);
        if (data[0] % 16 == 0) expect(verdict != Latch::Verdict::refused, "the peer may always speak");
        if (heard != Time{} && now - heard < Latch::silence && data[0] % 16 != 0 &&
            !same_address(address(data[0]), latch.target())) {
            expect(verdict == Latch::Verdict::refused, "nobody speaks in between");
        }
        if (verdict == Latch::Verdict::refused) continue;
        heard = now;
        receiver.count(header, 8000, now);
        expect(counters.counted.get() <= counters.packets_received.get(), "no more count than came");
        expect(same_address(latch.target(), address(data[0])), "the answer goes where it came from");
        if (!sender.stamp(header, {data[3] & 3u, header.ssrc}, data[3] & 4 ? 8000 : 48000, now)) continue;
        expect(header.ssrc == sender.ssrc(), "one stream");
        const auto ahead = static_cast<std::int16_t>(header.sequence - sequence);
        expect(first || (ahead > -32000 && ahead <= 3001), "no jumps");
        if (first || ahead > 0) sequence = header.sequence;
        first = false;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    check_datagram({data, data + size});
    check_row(data, size);
    return 0;
}
