// RTCP (RFC 3550 6): what a leg is told of its stream, and what it tells of ours. Both ends of a relay have their own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "receiver.hpp"
#include "sender.hpp"
#include "timers.hpp"

namespace quickcall {

// What a compound packet says of us, and its sender report.
struct RtcpRead {
    struct Block {
        std::int32_t lost = 0;            // packets, below 0: more came than were sent
        std::uint32_t last_report = 0;    // middle of the time stamp of our last sender report, 0: it got none
        std::uint32_t delay = 0;          // since it came, in 1/65536 s
    };
    std::optional<std::uint32_t> report;  // middle 32 bits of its NTP time stamp
    std::optional<Block> about_us;
    bool valid = false;                   // begins with a report (RFC 3550 A.2)
};

// Reads as far as the lengths agree with each other. `ssrc` is ours.
RtcpRead read_rtcp(const std::uint8_t *data, std::size_t size, std::uint32_t ssrc);

class Rtcp {
public:
    static constexpr std::size_t max_size = 128;

    Rtcp();

    // SR, or RR while nothing has been sent, with SDES; `max_size` bytes have room in `data`. Returns its size.
    std::size_t write(std::uint8_t *data, const Sender &sender, Receiver &receiver, const Counters &counters, Time now);
    // False: it is no RTCP.
    bool read(const std::uint8_t *data, std::size_t size, std::uint32_t ssrc, Counters &counters, Time now);

private:
    struct Sent {
        std::uint32_t stamp = 0;
        Time at{};
    };

    std::string cname_;
    std::array<Sent, 4> sent_{};  // the last sender reports: only an answer to one of them says how long it took
    std::size_t next_ = 0;
    std::uint32_t their_stamp_ = 0;
    Time their_report_at_{};
};

}  // namespace quickcall
