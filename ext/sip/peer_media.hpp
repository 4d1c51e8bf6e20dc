// What the peer of a leg said of its media, kept to be told to the peer of another leg (bypass).
#pragma once

#include <pjmedia.h>

#include <string>
#include <vector>

namespace quickcall {

class PeerMedia {
public:
    // The peer made this offer.
    void offered(const pjmedia_sdp_session *sdp);
    // The peer gave this answer to an offer of ours that let it receive, or send.
    void answered(const pjmedia_sdp_session *sdp, bool may_receive, bool may_send);

    // Its description as it came last, empty before the first.
    const std::string &text() const { return text_; }
    // What it wants of its own accord: an answer to an offer that held it says nothing of that.
    bool sends() const { return sends_; }
    bool receives() const { return receives_; }

    // Writes its address, and its payload types and parameters of those `codecs` it takes, in their order, and of
    // telephone-event, into a line of ours: nothing else of the peer is passed on. The direction is what it wants.
    // False, and the line is as it was: it has none of the codecs, or not this transport.
    bool lend(pj_pool_t *pool, pjmedia_sdp_media *line, const std::vector<std::string> &codecs) const;

private:
    void keep(const pjmedia_sdp_session *sdp);

    std::string text_;
    std::string reachable_;  // the last one with an address, while `text_` has none
    bool sends_ = true, receives_ = true;
};

}  // namespace quickcall
