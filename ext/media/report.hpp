// How the media of a leg went, as a value: engine.core.values.MediaReport.
#pragma once

#include <cstdint>

namespace quickcall {

struct MediaReport {
    std::uint64_t packets_received = 0, packets_sent = 0;
    std::uint64_t bytes_received = 0, bytes_sent = 0;  // payloads of RTP (RFC 3550 6.4.1)
    std::int64_t lost = 0;                             // of the peer's; duplicates count against it (RFC 3550 A.3)
    std::int64_t lost_by_peer = 0;                     // of ours, as its RTCP says
    double jitter_ms = 0;
    double round_trip_ms = -1;                         // below 0: the peer sent no report of ours
    double mos = 0;                                    // 0: nothing was heard
};

}  // namespace quickcall
