#include "webrtc_sdp.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "dtls.hpp"
#include "sdp.hpp"

namespace quickcall {
namespace {

constexpr const char *profile = "UDP/TLS/RTP/SAVPF";
constexpr std::size_t max_token = 256;  // RFC 8839 5.4
// Type preference 126, local preference 65535, component 1 (RFC 8445 5.1.2.1).
constexpr unsigned host_priority = (126u << 24) | (65535u << 8) | 255u;
// What pjsua writes for a transport of its own.
constexpr const char *replaced[] = {"rtcp", "rtcp-mux", "ssrc", "rtcp-fb"};

std::string_view view(const pj_str_t &text) {
    return {text.ptr, static_cast<std::size_t>(std::max<pj_ssize_t>(text.slen, 0))};
}

// Of the media line, or of the session when the line says nothing (RFC 8839 5.4, RFC 8122 5, RFC 4145 4).
std::string_view attribute(const pjmedia_sdp_session *sdp, const pjmedia_sdp_media *media, const char *name) {
    const auto *found = pjmedia_sdp_media_find_attr2(media, name, nullptr);
    if (found == nullptr) found = pjmedia_sdp_attr_find2(sdp->attr_count, sdp->attr, name, nullptr);
    return found != nullptr ? view(found->value) : std::string_view();
}

bool has(const pjmedia_sdp_session *sdp, const pjmedia_sdp_media *media, const char *name) {
    return pjmedia_sdp_media_find_attr2(media, name, nullptr) != nullptr ||
           pjmedia_sdp_attr_find2(sdp->attr_count, sdp->attr, name, nullptr) != nullptr;
}

void add(pj_pool_t *pool, pjmedia_sdp_media *media, const char *name, const std::string &value = {}) {
    if (media->attr_count >= PJMEDIA_MAX_SDP_ATTR) return;
    const pj_str_t text{const_cast<char *>(value.data()), static_cast<pj_ssize_t>(value.size())};
    pjmedia_sdp_media_add_attr(media, pjmedia_sdp_attr_create(pool, name, value.empty() ? nullptr : &text));
}

void add(pj_pool_t *pool, pjmedia_sdp_session *sdp, const char *name, const std::string &value = {}) {
    const pj_str_t text{const_cast<char *>(value.data()), static_cast<pj_ssize_t>(value.size())};
    if (sdp->attr_count >= PJMEDIA_MAX_SDP_ATTR) return;
    sdp->attr[sdp->attr_count++] = pjmedia_sdp_attr_create(pool, name, value.empty() ? nullptr : &text);
}

// Characters that ICE allows (RFC 8839 5.4): six random bits each.
std::string random_token(std::size_t size) {
    static constexpr std::string_view characters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string made(size, ' ');
    std::vector<unsigned char> random(size);
    if (RAND_bytes(random.data(), static_cast<int>(size)) != 1) throw std::runtime_error("no random numbers for ICE");
    std::transform(random.begin(), random.end(), made.begin(), [](unsigned char byte) { return characters[byte % 64]; });
    return made;
}

bool is_token(std::string_view text, std::size_t least) {
    return text.size() >= least && text.size() <= max_token &&
           std::all_of(text.begin(), text.end(), [](unsigned char character) {
               return std::isalnum(character) != 0 || character == '+' || character == '/';
           });
}

// The strongest that is known of the fingerprints of a list; they all belong to one certificate (RFC 8122 5).
void choose_fingerprint(pjmedia_sdp_attr *const *attributes, unsigned count, DtlsTerms &chosen) {
    for (unsigned i = 0; i < count; ++i) {
        const auto value = view(attributes[i]->value);
        const auto space = value.find(' ');
        if (view(attributes[i]->name) != "fingerprint" || space == std::string_view::npos) continue;
        std::string hash(value.substr(0, space)), fingerprint(value.substr(space + 1));
        std::transform(hash.begin(), hash.end(), hash.begin(), [](unsigned char c) { return std::tolower(c); });
        std::transform(fingerprint.begin(), fingerprint.end(), fingerprint.begin(),
                       [](unsigned char c) { return std::toupper(c); });
        if (!is_known_hash(hash) || hash < chosen.hash) continue;  // sha-256 < sha-384 < sha-512
        chosen.hash = std::move(hash);
        chosen.fingerprint = std::move(fingerprint);
    }
}

DtlsTerms fingerprint_of(const pjmedia_sdp_session *sdp, const pjmedia_sdp_media *media) {
    DtlsTerms found;
    choose_fingerprint(media->attr, media->attr_count, found);
    if (found.hash.empty()) choose_fingerprint(sdp->attr, sdp->attr_count, found);
    return found;
}

}  // namespace

bool has_ice(const pjmedia_sdp_session *sdp, const pjmedia_sdp_media *media) {
    return !has(sdp, media, "ice-lite") && !has(sdp, media, "ice-mismatch") &&
           is_token(attribute(sdp, media, "ice-ufrag"), 4) && is_token(attribute(sdp, media, "ice-pwd"), 22);
}

void WebrtcSdp::renew() {
    fragment_ = random_token(8);
    password_ = random_token(24);
}

bool WebrtcSdp::write(pj_pool_t *pool, pjmedia_sdp_session *local, const pjmedia_sdp_session *offer, unsigned index) {
    auto *media = local->media[index];
    const auto *offered = offer != nullptr ? offer->media[index] : nullptr;
    const char *setup = "actpass";
    if (offered != nullptr) {
        const auto theirs = fingerprint_of(offer, offered);
        if (theirs.hash.empty()) return false;
        const auto role = attribute(offer, offered, "setup");
        const bool same = dtls_ && theirs.hash == dtls_->hash && theirs.fingerprint == dtls_->fingerprint;
        // An association that goes on keeps its roles (RFC 8842 5.3); for a new one the answer is active.
        const bool active = role == "passive" || (role != "active" && (!same || dtls_->active));
        setup = active ? "active" : "passive";
        if (ice_ && has_ice(offer, offered) && attribute(offer, offered, "ice-ufrag") != ice_->peer_fragment) renew();
    }
    if (fragment_.empty()) renew();
    media->desc.transport = offered != nullptr ? offered->desc.transport : pj_str(const_cast<char *>(profile));
    for (const auto *name : replaced) pjmedia_sdp_media_remove_all_attr(media, name);
    const auto *connection = media->conn != nullptr ? media->conn : local->conn;
    if (offered == nullptr || has_ice(offer, offered)) {
        add(pool, local, "ice-lite");
        add(pool, media, "ice-ufrag", fragment_);
        add(pool, media, "ice-pwd", password_);
        add(pool, media, "candidate",
            "1 1 udp " + std::to_string(host_priority) + " " + std::string(view(connection->addr)) + " " +
                std::to_string(media->desc.port) + " typ host");
        add(pool, media, "end-of-candidates");
    }
    if (offered == nullptr || has(offer, offered, "rtcp-mux")) add(pool, media, "rtcp-mux");
    add(pool, media, "fingerprint", "sha-256 " + fingerprint_);
    add(pool, media, "setup", setup);
    // One bundle of one line: browsers ask for it, others ignore it (RFC 9143).
    const auto name = offered != nullptr ? attribute(offer, offered, "mid") : std::string_view("0");
    if (!name.empty()) add(pool, media, "mid", std::string(name));
    if (offered == nullptr || (!name.empty() && pjmedia_sdp_attr_find2(offer->attr_count, offer->attr, "group", nullptr))) {
        add(pool, local, "group", "BUNDLE " + std::string(name));
    }
    return true;
}

bool WebrtcSdp::read(const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote, unsigned index,
                     MediaTerms &terms) {
    const auto *media = remote->media[index];
    auto dtls = fingerprint_of(remote, media);
    if (dtls.hash.empty()) return false;
    const auto ours = attribute(local, local->media[index], "setup");
    // Without a role an answer is passive (RFC 4145 4.1).
    dtls.active = ours == "active" || (ours == "actpass" && attribute(remote, media, "setup") != "active");
    terms.dtls = dtls_ = std::move(dtls);
    terms.ice = ice_ = std::nullopt;
    if (has_ice(remote, media)) {
        terms.ice = ice_ = IceTerms{fragment_, password_, std::string(attribute(remote, media, "ice-ufrag")),
                                    std::string(attribute(remote, media, "ice-pwd"))};
        terms.rtp.ss_family = 0;  // the peer's checks say where it is
    }
    // RTCP on a port of its own would need keys of its own: there is none then.
    if (!terms.rtcp_mux || terms.ice) terms.rtcp.ss_family = 0;
    return true;
}

}  // namespace quickcall
