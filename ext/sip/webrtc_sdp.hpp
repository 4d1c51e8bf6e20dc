// What session descriptions say of ICE and DTLS-SRTP (RFC 8839, RFC 8842): ours is written, the peer's read. One
// stream of one leg; SIP thread only.
#pragma once

#include <pjmedia.h>

#include <cstdint>
#include <optional>
#include <string>

#include "terms.hpp"

namespace quickcall {

class WebrtcSdp {
public:
    // `fingerprint` of our certificate, SHA-256.
    explicit WebrtcSdp(std::string fingerprint) : fingerprint_(std::move(fingerprint)) {}

    // Makes the media line that pjsua wrote one of ICE and DTLS-SRTP. `offer`: what it answers, nullptr when it is
    // an offer itself. False: the offer cannot be answered, it wants media in the clear.
    bool write(pj_pool_t *pool, pjmedia_sdp_session *local, const pjmedia_sdp_session *offer, unsigned index);

    // Reads what the peer agreed to into `terms`; `local` is our side of it. False: media in the clear, or keys
    // that cannot be made sure of. Nothing is changed then.
    bool read(const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote, unsigned index, MediaTerms &terms);

private:
    void renew();

    const std::string fingerprint_;
    std::string fragment_, password_;         // ours, until the peer restarts ICE
    std::optional<DtlsTerms> dtls_;           // agreed on last
    std::optional<IceTerms> ice_;
};

// True when the peer is to check addresses, for it is no lite side and found nothing wrong with our description: then its `c=` and port are only a guess of it (RFC 8839 4.3.2), and
// an address of zeros means that it has not found any yet.
bool has_ice(const pjmedia_sdp_session *sdp, const pjmedia_sdp_media *media);

}  // namespace quickcall
