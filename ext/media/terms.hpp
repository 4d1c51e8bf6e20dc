// What an offer and its answer settled for the media of one leg. Plain values, made by the SIP thread, used by the
// media thread; no pj types.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dtmf_method.hpp"

namespace quickcall {

// A codec, or telephone-event, that both sides take.
struct Format {
    std::string name;            // encoding name in upper case: `PCMU`, `TELEPHONE-EVENT`
    unsigned rate = 8000;        // clock of its timestamps (G.722: 8000, RFC 3551 4.5.2)
    unsigned channels = 1;       // as rtpmap says (opus: 2)
    int ours = -1;               // payload type the peer sends to us
    int theirs = -1;             // payload type we send to the peer
    std::string our_fmtp;        // format parameters of our description, empty: none
    std::string their_fmtp;
    unsigned ptime_ms = 20;      // what the peer wants a packet to hold

    bool is_event() const { return name == "TELEPHONE-EVENT"; }
    // What one side sends in it, the other side takes undecoded.
    bool is_same(const Format &other) const {
        return name == other.name && rate == other.rate && channels == other.channels;
    }
};

// One direction of SDES (RFC 4568).
struct SrtpKey {
    std::string suite;                   // `AES_CM_128_HMAC_SHA1_80`, ...
    std::vector<std::uint8_t> secret;    // master key and salt
    bool operator==(const SrtpKey &) const = default;
};

struct SdesTerms {
    SrtpKey sent, received;
    bool operator==(const SdesTerms &) const = default;
};

// DTLS-SRTP (RFC 5763): what the peer's certificate must hash to, and who begins.
struct DtlsTerms {
    std::string hash;         // `sha-256`
    std::string fingerprint;  // `AB:CD:...`
    bool active = false;      // we begin the handshake
    bool operator==(const DtlsTerms &) const = default;
};

// ICE (RFC 8445); we are the lite side, the peer checks.
struct IceTerms {
    std::string our_fragment, our_password, peer_fragment, peer_password;
    bool operator==(const IceTerms &) const = default;
};

struct MediaTerms {
    sockaddr_storage rtp{}, rtcp{};      // where the peer wants them; ss_family 0: nowhere
    sockaddr_storage signalling{};       // where its SIP came from; ss_family 0: not known
    bool rtcp_mux = false;               // RTCP on the port of RTP (RFC 5761)
    bool sends = true;                   // we may send
    bool receives = true;                // the peer may send
    std::vector<Format> formats;         // the preferred one first
    DtmfMethod dtmf = DtmfMethod::automatic;
    std::optional<SdesTerms> sdes;
    std::optional<DtlsTerms> dtls;
    std::optional<IceTerms> ice;
};

}  // namespace quickcall
