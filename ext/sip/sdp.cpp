#include "sdp.hpp"

#include <pjlib.h>
#include <strings.h>

#include <algorithm>
#include <string_view>

#include "codec.hpp"

namespace quickcall {
namespace {

constexpr std::size_t max_sdp = 4096;
// Payload types that need no rtpmap (RFC 3551 6), those that telephones still use.
struct StaticCodec {
    const char *payload, *name;
};
constexpr StaticCodec static_codecs[] = {{"0", "PCMU/8000"}, {"3", "GSM/8000"},   {"4", "G723/8000"},
                                         {"8", "PCMA/8000"}, {"9", "G722/8000"},  {"15", "G728/8000"},
                                         {"18", "G729/8000"}};
constexpr unsigned first_dynamic = 96, last_dynamic = 127;
constexpr const char *directions[] = {"sendrecv", "sendonly", "recvonly", "inactive"};

std::string_view view(const pj_str_t &text) {
    return {text.ptr, static_cast<std::size_t>(std::max<pj_ssize_t>(text.slen, 0))};
}

// `NAME/RATE` of a format: from its rtpmap, or from the static table of RFC 3551.
std::string codec_name(const pjmedia_sdp_media *media, const pj_str_t &format) {
    const auto *attribute = pjmedia_sdp_media_find_attr2(media, "rtpmap", &format);
    pjmedia_sdp_rtpmap map;
    if (attribute != nullptr && pjmedia_sdp_attr_get_rtpmap(attribute, &map) == PJ_SUCCESS) {
        return std::string(view(map.enc_name)) + "/" + std::to_string(map.clock_rate);
    }
    for (const auto &known : static_codecs) {
        if (view(format) == known.payload) return known.name;
    }
    return {};
}

// A codec is named with or without its clock rate, in any case.
bool names(const std::string &wanted, const std::string &codec) {
    if (::strcasecmp(wanted.c_str(), codec.c_str()) == 0) return true;
    const auto slash = codec.find('/');
    return wanted.size() == slash && ::strncasecmp(wanted.c_str(), codec.c_str(), slash) == 0;
}

bool is_event(const std::string &codec) { return ::strncasecmp(codec.c_str(), "telephone-event", 15) == 0; }

// Attributes of formats that are left out go with them (RFC 4566 6, rtpmap and fmtp name a format).
void keep_formats(pjmedia_sdp_media *media, const std::vector<pj_str_t> &kept) {
    for (unsigned i = 0; i < media->attr_count;) {
        const auto *attribute = media->attr[i];
        const auto name = view(attribute->name);
        bool keep = name != "rtpmap" && name != "fmtp";
        for (const auto &format : kept) {
            const auto value = view(attribute->value);
            const auto payload = view(format);
            keep = keep || (value.substr(0, payload.size()) == payload && value.size() > payload.size() &&
                            value[payload.size()] == ' ');
        }
        if (keep) {
            ++i;
        } else {
            pj_array_erase(media->attr, sizeof(media->attr[0]), media->attr_count--, i);
        }
    }
    media->desc.fmt_count = 0;
    for (const auto &format : kept) media->desc.fmt[media->desc.fmt_count++] = format;
}

// A codec that is not built in gets a payload type of its own; what it carries is relayed. False: there is no room.
bool add_codec(pj_pool_t *pool, pjmedia_sdp_media *media, const std::string &codec) {
    if (media->desc.fmt_count >= PJMEDIA_MAX_SDP_FMT || media->attr_count >= PJMEDIA_MAX_SDP_ATTR) return false;
    std::string payload;
    for (const auto &known : static_codecs) {
        if (names(codec, known.name)) payload = known.payload;
    }
    const auto taken = [&](const std::string &number) {
        const auto *formats = media->desc.fmt;
        return std::any_of(formats, formats + media->desc.fmt_count,
                           [&](const pj_str_t &format) { return view(format) == number; });
    };
    for (unsigned i = first_dynamic; payload.empty() && i <= last_dynamic; ++i) {
        if (!taken(std::to_string(i))) payload = std::to_string(i);
    }
    if (payload.empty() || taken(payload)) return false;
    const auto map = payload + " " + codec + (codec.find('/') == std::string::npos ? "/8000" : "");
    pj_str_t format, value;
    pj_strdup2(pool, &format, payload.c_str());
    pj_strdup2(pool, &value, map.c_str());
    media->desc.fmt[media->desc.fmt_count++] = format;
    pjmedia_sdp_media_add_attr(media, pjmedia_sdp_attr_create(pool, "rtpmap", &value));
    return true;
}

bool has(const pjmedia_sdp_media *media, const char *attribute) {
    return pjmedia_sdp_media_find_attr2(media, attribute, nullptr) != nullptr;
}

}  // namespace

std::string sdp_text(const pjmedia_sdp_session *sdp) {
    if (sdp == nullptr) return {};
    char buffer[max_sdp];
    const int size = pjmedia_sdp_print(sdp, buffer, sizeof buffer);
    std::string text(buffer, static_cast<std::size_t>(std::max(size, 0)));
    hide_keys(text);
    return text;
}

void hide_keys(std::string &text) {
    constexpr std::string_view ends = "|; \t\r\n";
    const auto same = [](char in_text, char wanted) { return pj_tolower(in_text) == wanted; };
    for (const std::string_view before : {"inline:", "ice-pwd:"}) {
        for (auto at = text.begin();;) {
            at = std::search(at, text.end(), before.begin(), before.end(), same);
            if (at == text.end()) break;
            at += static_cast<std::ptrdiff_t>(before.size());
            for (; at != text.end() && ends.find(*at) == std::string_view::npos; ++at) *at = '*';
        }
    }
}

std::string first_codec(const pjmedia_sdp_media *media) {
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        auto codec = codec_name(media, media->desc.fmt[i]);
        if (!codec.empty() && !is_event(codec)) return codec;
    }
    return {};
}

std::vector<std::string> codecs_of(const pjmedia_sdp_media *media) {
    std::vector<std::string> found;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        auto codec = codec_name(media, media->desc.fmt[i]);
        if (!codec.empty() && !is_event(codec)) found.push_back(std::move(codec));
    }
    return found;
}

bool has_codec(const pjmedia_sdp_media *media, const std::vector<std::string> &codecs) {
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        const auto codec = codec_name(media, media->desc.fmt[i]);
        for (const auto &wanted : codecs) {
            if (names(wanted, codec)) return true;
        }
    }
    return false;
}

bool share_codec(const pjmedia_sdp_media *one, const pjmedia_sdp_media *other) {
    return has_codec(other, codecs_of(one));
}

bool share_coded(const pjmedia_sdp_media *one, const pjmedia_sdp_media *other) {
    auto codecs = codecs_of(one);
    std::erase_if(codecs, [](const std::string &codec) { return !can_code(codec); });
    return has_codec(other, codecs);
}

void choose_codecs(pj_pool_t *pool, pjmedia_sdp_media *media, const std::vector<std::string> &wanted) {
    std::vector<pj_str_t> kept, events;
    for (const auto &want : wanted) {
        const auto find = [&] {
            bool found = false;
            for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
                const auto &format = media->desc.fmt[i];
                if (!names(want, codec_name(media, format))) continue;
                found = true;
                const auto same = [&](const pj_str_t &other) { return view(other) == view(format); };
                if (std::none_of(kept.begin(), kept.end(), same)) kept.push_back(format);
            }
            return found;
        };
        if (!find() && add_codec(pool, media, want)) find();
    }
    if (kept.empty()) return;  // nothing was asked for: the whole line is better than none
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        if (is_event(codec_name(media, media->desc.fmt[i]))) events.push_back(media->desc.fmt[i]);
    }
    kept.insert(kept.end(), events.begin(), events.end());
    keep_formats(media, kept);
}

void leave_events_out(pjmedia_sdp_media *media) {
    std::vector<pj_str_t> kept;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        if (!is_event(codec_name(media, media->desc.fmt[i]))) kept.push_back(media->desc.fmt[i]);
    }
    if (!kept.empty()) keep_formats(media, kept);
}

bool sends(const pjmedia_sdp_media *media) { return !has(media, "recvonly") && !has(media, "inactive"); }

bool receives(const pjmedia_sdp_media *media) { return !has(media, "sendonly") && !has(media, "inactive"); }

const char *direction(bool sends, bool receives) {
    return directions[(sends ? 0 : 2) + (receives ? 0 : 1)];
}

void set_direction(pj_pool_t *pool, pjmedia_sdp_media *media, const char *direction) {
    for (const auto *old : directions) pjmedia_sdp_media_remove_all_attr(media, old);
    pjmedia_sdp_media_add_attr(media, pjmedia_sdp_attr_create(pool, direction, nullptr));
}

bool has_no_address(const pjmedia_sdp_session *sdp, const pjmedia_sdp_media *media) {
    const auto *connection = media->conn != nullptr ? media->conn : sdp->conn;
    if (connection == nullptr || has(media, "ice-ufrag")) return false;  // no candidates yet (RFC 8840 4.1)
    const auto address = view(connection->addr);
    return address == "0.0.0.0" || address == "::" || address == "0";
}

void spell_hold_out(pj_pool_t *pool, pjmedia_sdp_session *sdp) {
    for (unsigned i = 0; i < sdp->media_count; ++i) {
        auto *media = sdp->media[i];
        if (!has_no_address(sdp, media) || !receives(media)) continue;
        if (media->attr_count >= PJMEDIA_MAX_SDP_ATTR) continue;  // no room for another
        set_direction(pool, media, sends(media) ? "sendonly" : "inactive");
    }
}

}  // namespace quickcall
