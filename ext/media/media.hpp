// The media plane as the SIP thread sees it: a stream per leg, all on one thread that owns every RTP socket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "latching.hpp"
#include "report.hpp"
#include "terms.hpp"

namespace quickcall {

class Mailbox;

using LegId = std::uint64_t;

struct MediaConfig {
    std::string host;          // IPv4 or IPv6 address the sockets bind to
    int first_port = 0, last_port = 0;
    Latching latching = Latching::nat;
    double silent_s = 0;       // without RTP from an answered leg that should send: `leg_silent`; 0: never
    double silent_held_s = 0;  // the same while the leg is on hold
    double one_way_s = 0;      // joined, the other leg heard and this one not: `leg_silent`, one_way; 0: never
};

// Functions may be called from the SIP thread alone; none of them but `stop` waits for the media thread, which does as
// it is told in the order of the calls. Unknown legs are ignored. What happens to a stream is posted to the mailbox.
class Media {
public:
    // Throws std::runtime_error.
    Media(const MediaConfig &config, Mailbox &mailbox);
    ~Media();
    Media(const Media &) = delete;
    Media &operator=(const Media &) = delete;

    // Reserves ports and begins a stream. Returns the RTP port (even; RTCP is the next), 0: none is left. A leg whose
    // ports were given back by `close_after` gets new ones, and goes on being joined and counted.
    std::uint16_t open(LegId leg);
    // Ends what is played and recorded and gives the ports back; nothing is left of the leg.
    void close(LegId leg);
    // Gives the ports back too, but passes what still comes on to the other for `seconds`. The leg stays known.
    void close_after(LegId leg, double seconds);

    // What was agreed on; a later agreement replaces an earlier one, and the stream we send goes on: same SSRC,
    // sequence numbers and clock.
    void agree(LegId leg, MediaTerms &&terms);
    // The peer answered the call: from now on it is missed when it sends nothing.
    void answered(LegId leg);
    void join(LegId one, LegId other);
    void split(LegId leg);
    bool joined(LegId leg) const;
    // DTMF digits, as telephone-event or as tones, by what was agreed on.
    void send_digits(LegId leg, std::string digits, unsigned duration_ms);
    // False for a leg whose ports were given back: its media go past us.
    bool has_ports(LegId leg) const;

    // Each `play` is answered by one `leg_played`, each `record` by one `leg_recorded`, for unknown legs too. A sound
    // is the path of a WAV file or `tone:...`; it wins over what the joined leg says.
    void play(LegId leg, std::uint64_t play, std::string &&sound, bool repeat);
    void stop_playing(LegId leg);
    void record(LegId leg, std::string &&path, double max_s);
    void stop_recording(LegId leg);

    // How it went until now, nothing for a leg without a stream.
    std::optional<MediaReport> report(LegId leg) const;
    // SHA-256 of the certificate for DTLS, as SDP writes it.
    const std::string &fingerprint() const;
    const sockaddr_storage &local() const;
    std::uint32_t ports_in_use() const;
    std::uint64_t packets() const;  // relayed since start

    // Ends every stream and the thread, before pjlib goes; later calls keep the books only.
    void stop();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace quickcall
