// A pjmedia transport over a port of the relay: pjsua asks it for the address to offer, lets it choose the
// codecs of the offer and tells it where the peer wants its media. It never passes a packet to pjmedia.
#pragma once

#include <pjmedia.h>

#include <string>
#include <vector>

#include "relay.hpp"

namespace quickcall {

// What a leg learns from its media transport. Called on the SIP thread.
class MediaObserver {
public:
    virtual void on_media_started(const pjmedia_sdp_session *remote, unsigned index) = 0;
    virtual void on_media_closed() = 0;

protected:
    ~MediaObserver() = default;
};

struct MediaTransport {
    pjmedia_transport base{};
    pjmedia_transport *lifetime = nullptr;  // pjsua's own transport: carries the group lock
    Relay *relay = nullptr;
    MediaPort *port = nullptr;
    MediaObserver *observer = nullptr;      // reset to nullptr when the leg goes first
    std::vector<std::string> codecs;        // `NAME/RATE` in the order to offer, empty: as pjsua made it
};

// Wraps `base` (taken over, closed with the result). Returns nullptr when no port is left; `base` is closed then.
MediaTransport *create_media_transport(Relay &relay, pjmedia_transport *base, MediaObserver &observer,
                                       std::vector<std::string> codecs);

// `PCMU/8000` of the first format of a media line, empty when it cannot be told.
std::string first_codec(const pjmedia_sdp_session *sdp, unsigned index);

}  // namespace quickcall
