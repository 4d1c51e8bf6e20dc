#include "codec.hpp"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string>

#include "codec_kinds.hpp"

namespace quickcall {
namespace {

using Open = std::unique_ptr<Codec> (*)(const Format &, unsigned rate);

struct Kind {
    std::string_view name;
    unsigned clock;      // of its timestamps
    unsigned only_rate;  // of its sound, 0: it can choose
    Open open;
};

constexpr Kind kinds[] = {
    {"PCMU", 8000, 8000, &open_g711},      {"PCMA", 8000, 8000, &open_g711},
    {"G722", 8000, 0, &open_g722},         {"OPUS", 48000, 0, &open_opus},
    {"GSM", 8000, 8000, &open_gsm},        {"G729", 8000, 8000, &open_g729},
    {"SPEEX", 8000, 8000, &open_speex},    {"SPEEX", 16000, 16000, &open_speex},
    {"SPEEX", 32000, 32000, &open_speex},  {"AMR", 8000, 8000, &open_amr},
    {"AMR-WB", 16000, 16000, &open_amr},
};

const Kind *kind_of(const Format &format) {
    for (const auto &kind : kinds) {
        if (kind.name == format.name && kind.clock == format.rate) return &kind;
    }
    return nullptr;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

}  // namespace

std::unique_ptr<Codec> open_codec(const Format &format, unsigned rate) {
    const auto *kind = kind_of(format);
    return kind == nullptr ? nullptr : kind->open(format, rate);
}

unsigned only_rate(const Format &format) {
    const auto *kind = kind_of(format);
    return kind == nullptr ? 0 : kind->only_rate;
}

bool is_same_payload(const Format &said, const Format &wanted) {
    if (!said.is_same(wanted)) return false;
    const bool amr = said.name == "AMR" || said.name == "AMR-WB";
    return !amr || parameter_number(said.our_fmtp, "octet-align", 0) ==
                       parameter_number(wanted.their_fmtp, "octet-align", 0);
}

bool can_code(std::string_view codec) {
    const auto name = codec.substr(0, codec.find('/'));
    const auto clock = name.size() < codec.size() ? codec.substr(name.size() + 1) : std::string_view("8000");
    return std::any_of(std::begin(kinds), std::end(kinds), [&](const Kind &kind) {
        return kind.name.size() == name.size() && ::strncasecmp(kind.name.data(), name.data(), name.size()) == 0 &&
               std::to_string(kind.clock) == clock;
    });
}

std::string_view parameter(std::string_view fmtp, std::string_view name) {
    while (!fmtp.empty()) {
        const auto end = std::min(fmtp.find(';'), fmtp.size());
        const auto one = fmtp.substr(0, end);
        const auto equals = std::min(one.find('='), one.size());
        const auto key = trimmed(one.substr(0, equals));
        if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), name.size()) == 0) {
            return equals < one.size() ? trimmed(one.substr(equals + 1)) : std::string_view{};
        }
        fmtp.remove_prefix(std::min(end + 1, fmtp.size()));
    }
    return {};
}

unsigned parameter_number(std::string_view fmtp, std::string_view name, unsigned otherwise) {
    const auto value = parameter(fmtp, name);
    unsigned number = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
    return parsed.ec == std::errc() && parsed.ptr == value.data() + value.size() ? number : otherwise;
}

}  // namespace quickcall
