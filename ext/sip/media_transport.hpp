// A pjmedia transport over a stream of the media plane: pjsua asks it for the address to offer, lets it choose the
// codecs of the offer and tells it where the peer wants its media. It never passes a packet to pjmedia.
#pragma once

#include <pjmedia.h>

#include <optional>
#include <string>
#include <vector>

#include "media.hpp"
#include "peer_media.hpp"
#include "sdes.hpp"
#include "webrtc_sdp.hpp"
#include "wire.hpp"

namespace quickcall {

// What an offer and its answer settled, as a leg tells it.
struct Agreement {
    std::string codec;  // `PCMU/8000`, empty when it cannot be told
    bool held = false;  // the peer takes no media: it sends only, or nothing (RFC 3264 8.4)
    LegMedia media;
    bool operator==(const Agreement &) const = default;
};

// What a leg learns from its media transport. Called on the SIP thread.
class MediaObserver {
public:
    virtual void on_media_started(const Agreement &agreement, const pjmedia_sdp_session *remote) = 0;
    // What was agreed on must not be used; the media stay as they were, if they had started.
    virtual void on_media_refused(const std::string &reason) = 0;
    virtual void on_media_closed() = 0;

protected:
    ~MediaObserver() = default;
};

struct MediaTransport {
    pjmedia_transport base{};
    pjmedia_transport *lifetime = nullptr;  // pjsua's own transport: carries the group lock
    Media *media = nullptr;
    LegId leg = 0;
    std::string call_id;
    std::uint16_t port = 0;                 // of our RTP, 0: given back (bypass)
    MediaObserver *observer = nullptr;      // reset to nullptr when the leg goes first
    bool started = false;                   // an offer and an answer have been agreed on
    std::vector<std::string> list;          // `NAME/RATE`, what the leg may use at all
    std::vector<std::string> codecs;        // those to offer or answer with, in their order
    bool other_codecs = false;              // the rest of `list` follows
    DtmfMethod dtmf = DtmfMethod::automatic;
    Sdes sdes;
    std::optional<WebrtcSdp> webrtc;        // then SDES is not looked at
    const PeerMedia *lender = nullptr;      // whose address is named, and whose payload types; nullptr: ours
};

// Wraps `base` (taken over, closed with the result). Returns nullptr when no port is left; `base` is closed then.
MediaTransport *create_media_transport(Media &media, LegId leg, const std::string &call_id, pjmedia_transport *base, MediaObserver &observer,
                                       std::vector<std::string> codecs);

// True when an offer of the peer names an address that packets can be sent to from here, or none to hold, or has one
// found by ICE; and when it is as secure as the leg wants it.
bool can_answer(const MediaTransport &transport, const pjmedia_sdp_session *sdp, unsigned index);

// Gives the ports of a stream back; what still comes is passed on for a while.
void give_port_back(MediaTransport &transport);

// Takes ports again for a stream that has none, and goes on as was agreed on last. False: none is left.
bool take_port(MediaTransport &transport, const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote);

}  // namespace quickcall
