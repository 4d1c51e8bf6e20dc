// What two descriptions agree on, as values of the media plane. Knows nothing of calls.
#pragma once

#include <pjmedia.h>

#include <vector>

#include "terms.hpp"
#include "wire.hpp"

namespace quickcall {

// Where a description wants its RTP. False: it names no address of that family, or a host name: looking one up would
// block the SIP thread at a peer's wish.
bool rtp_address(const pjmedia_sdp_session *sdp, unsigned index, int family, pj_sockaddr &rtp);

// Every codec, and telephone-event, that both lines name, in the order of the second one: the peer's wish counts.
std::vector<Format> shared_formats(const pjmedia_sdp_media *ours, const pjmedia_sdp_media *theirs);

// Addresses, directions and formats of one stream; `rtp` as `rtp_address` gives it,
// or all zeros: nowhere.
MediaTerms media_terms(const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote, unsigned index,
                       const pj_sockaddr &rtp);

// The same for people and for call control; who described it is not known here.
LegMedia describe(const MediaTerms &terms);

sockaddr_storage to_storage(const pj_sockaddr &address);

}  // namespace quickcall
