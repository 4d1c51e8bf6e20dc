#include "media_terms.hpp"

#include <pjlib.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string>
#include <utility>

#include "address.hpp"
#include "headers.hpp"
#include "sdp.hpp"

namespace quickcall {
namespace {

constexpr unsigned least_ptime_ms = 10, most_ptime_ms = 120;

bool set_address(pj_sockaddr &address, int family, const pj_str_t &host, unsigned port) {
    pj_bzero(&address, sizeof address);
    address.addr.sa_family = static_cast<pj_uint16_t>(family);
    if (pj_inet_pton(family, &host, pj_sockaddr_get_addr(&address)) != PJ_SUCCESS) return false;
    pj_sockaddr_set_port(&address, static_cast<pj_uint16_t>(port));
    return true;
}

// RTCP goes to the port after RTP unless `a=rtcp` says otherwise (RFC 3605).
pj_sockaddr rtcp_address(const pjmedia_sdp_media *media, const pj_sockaddr &rtp) {
    pj_sockaddr rtcp = rtp;
    pj_sockaddr_set_port(&rtcp, static_cast<pj_uint16_t>(media->desc.port + 1));
    const auto *attribute = pjmedia_sdp_media_find_attr2(media, "rtcp", nullptr);
    pjmedia_sdp_rtcp_attr where;
    if (attribute == nullptr || pjmedia_sdp_attr_get_rtcp(attribute, &where) != PJ_SUCCESS) return rtcp;
    pj_sockaddr elsewhere;
    if (where.addr.slen != 0 && set_address(elsewhere, rtp.addr.sa_family, where.addr, where.port)) return elsewhere;
    pj_sockaddr_set_port(&rtcp, static_cast<pj_uint16_t>(where.port));
    return rtcp;
}

bool has(const pjmedia_sdp_media *media, const char *attribute) {
    return pjmedia_sdp_media_find_attr2(media, attribute, nullptr) != nullptr;
}

unsigned ptime_of(const pjmedia_sdp_media *media) {
    const auto *attribute = pjmedia_sdp_media_find_attr2(media, "ptime", nullptr);
    if (attribute == nullptr) return Format().ptime_ms;
    return std::clamp(static_cast<unsigned>(pj_strtoul(&attribute->value)), least_ptime_ms, most_ptime_ms);
}

std::string fmtp_of(const pjmedia_sdp_media *media, const pj_str_t &format) {
    const auto *attribute = pjmedia_sdp_media_find_attr2(media, "fmtp", &format);
    if (attribute == nullptr) return {};
    auto value = text_of(attribute->value);
    const auto space = value.find(' ');
    return space == std::string::npos ? std::string() : value.substr(space + 1);
}

// One format of one line, its number as `theirs`, its parameters as `their_fmtp`; without a name when it has none.
Format read_format(const pjmedia_sdp_media *media, const pj_str_t &format) {
    struct Static {
        const char *type, *name;
        unsigned rate;
    };
    static constexpr Static known[] = {  // RFC 3551 6, of those that are still met
        {"0", "PCMU", 8000},  {"3", "GSM", 8000},   {"4", "G723", 8000}, {"8", "PCMA", 8000},
        {"9", "G722", 8000},  {"13", "CN", 8000},   {"15", "G728", 8000}, {"18", "G729", 8000},
    };
    Format read;
    const auto type = text_of(format);
    if (type.empty() || type.size() > 3 || !std::all_of(type.begin(), type.end(), [](unsigned char c) {
            return std::isdigit(c) != 0;
        })) {
        return read;
    }
    read.theirs = std::stoi(type);
    const auto *attribute = pjmedia_sdp_media_find_attr2(media, "rtpmap", &format);
    pjmedia_sdp_rtpmap map;
    if (attribute != nullptr && pjmedia_sdp_attr_get_rtpmap(attribute, &map) == PJ_SUCCESS) {
        read.name = text_of(map.enc_name);
        read.rate = map.clock_rate;
        if (map.param.slen > 0) read.channels = static_cast<unsigned>(std::max(1ul, pj_strtoul(&map.param)));
    } else {
        for (const auto &entry : known) {
            if (type == entry.type) read.name = entry.name, read.rate = entry.rate;
        }
    }
    std::transform(read.name.begin(), read.name.end(), read.name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (read.rate == 0 || read.theirs > 127) read.name.clear();
    read.their_fmtp = fmtp_of(media, format);
    return read;
}

}  // namespace

sockaddr_storage to_storage(const pj_sockaddr &address) {
    sockaddr_storage made{};
    std::memcpy(&made, &address, pj_sockaddr_get_len(&address));
    return made;
}

bool rtp_address(const pjmedia_sdp_session *sdp, unsigned index, int family, pj_sockaddr &rtp) {
    const auto *media = sdp->media[index];
    const auto *connection = media->conn != nullptr ? media->conn : sdp->conn;
    return connection != nullptr && set_address(rtp, family, connection->addr, media->desc.port);
}

std::vector<Format> shared_formats(const pjmedia_sdp_media *ours, const pjmedia_sdp_media *theirs) {
    std::vector<Format> mine, shared;
    for (unsigned i = 0; i < ours->desc.fmt_count; ++i) mine.push_back(read_format(ours, ours->desc.fmt[i]));
    const unsigned ptime = ptime_of(theirs);
    for (unsigned i = 0; i < theirs->desc.fmt_count; ++i) {
        auto format = read_format(theirs, theirs->desc.fmt[i]);
        if (format.name.empty()) continue;
        // Of several that are named alike (AMR, each with other parameters) the one with the same number.
        const auto matches = [&](const Format &one) { return one.ours < 0 && one.is_same(format); };
        auto match = std::find_if(mine.begin(), mine.end(), [&](const Format &one) {
            return matches(one) && one.theirs == format.theirs;
        });
        if (match == mine.end()) match = std::find_if(mine.begin(), mine.end(), matches);
        if (match == mine.end()) continue;
        match->ours = match->theirs;  // taken
        format.ours = match->theirs;
        format.our_fmtp = match->their_fmtp;
        format.ptime_ms = ptime;
        shared.push_back(std::move(format));
    }
    return shared;
}

MediaTerms media_terms(const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote, unsigned index,
                       const pj_sockaddr &rtp) {
    const auto *ours = local->media[index];
    const auto *theirs = remote->media[index];
    MediaTerms terms;
    const bool has_address = rtp.addr.sa_family != 0;
    if (has_address) terms.rtp = to_storage(rtp);
    terms.rtcp_mux = has(ours, "rtcp-mux") && has(theirs, "rtcp-mux");
    terms.rtcp = terms.rtcp_mux || !has_address ? terms.rtp : to_storage(rtcp_address(theirs, rtp));
    terms.sends = sends(ours);
    terms.receives = receives(ours);
    terms.formats = shared_formats(ours, theirs);
    return terms;
}

LegMedia describe(const MediaTerms &terms) {
    LegMedia made;
    if (!is_unspecified(terms.rtp)) made.address = text_of_address(terms.rtp);
    if (terms.sdes) made.security = terms.sdes->sent.suite;
    if (terms.dtls) made.security = "DTLS-SRTP";
    made.ice = terms.ice.has_value();
    for (const auto &format : terms.formats) {
        made.formats.emplace_back(format.name + "/" + std::to_string(format.rate), format.theirs);
    }
    return made;
}

}  // namespace quickcall
