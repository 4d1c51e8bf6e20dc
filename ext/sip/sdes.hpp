// SRTP keys in session descriptions (RFC 4568): what a leg offers and answers, and what was agreed on.
#pragma once

#include <pjmedia.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "terms.hpp"
#include "wire.hpp"

namespace quickcall {

// One `a=crypto`.
struct KeyLine {
    unsigned tag = 0;
    SrtpKey key;
};

// Nothing for a line that cannot be used: an unknown suite, a key that does not fit it, more than one key or an MKI
// (RFC 4568 6.1), or session parameters that must not be passed over (6.3). A lifetime is taken as it is: packets
// enough for any call.
std::optional<KeyLine> parse_key_line(std::string_view value);

// The keys of one leg. Its key for a suite stays for the life of the leg, through all offers and answers, unless the
// suite falls out of use: a later use must not repeat the key stream.
class Sdes {
public:
    // Nothing is encrypted.
    Sdes() = default;
    // `suites` empty: every one there is, in the order of `srtp_suites`.
    Sdes(Encryption wanted, const std::vector<std::string> &suites);

    // Writes our keys into a line that we offer, those in use first.
    void offer(pj_pool_t *pool, pjmedia_sdp_media *ours);
    // Whether the policy of the leg has an answer to a line of the peer.
    bool can_answer(const pjmedia_sdp_media *theirs) const;
    // Writes our key into the line that answers it.
    void answer(pj_pool_t *pool, pjmedia_sdp_media *ours, const pjmedia_sdp_media *theirs);

    // Sets what two lines mean of which one answers the other; `terms` empty: in the clear. Returns why that must not
    // be, empty: it may.
    std::string agree(const pjmedia_sdp_media *ours, const pjmedia_sdp_media *theirs, std::optional<SdesTerms> &terms);

private:
    std::optional<KeyLine> choose(const pjmedia_sdp_media *theirs) const;
    const SrtpKey &key(const std::string &suite);
    void use(const std::string &suite);

    Encryption wanted_ = Encryption::off;
    std::vector<std::string> suites_;
    std::vector<SrtpKey> keys_;  // made when they are first needed
    std::string in_use_;         // suite, empty: in the clear
};

}  // namespace quickcall
