#include "headers.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace quickcall {
namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// `cause` of one Reason value, 0 when it is missing or out of bounds.
int cause_of(const std::vector<std::string_view> &parts, int first, int last) {
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const auto equals = parts[i].find('=');
        if (equals == std::string_view::npos || lower(trimmed(parts[i].substr(0, equals))) != "cause") continue;
        const auto value = trimmed(parts[i].substr(equals + 1));
        int cause = 0;
        const auto read = std::from_chars(value.data(), value.data() + value.size(), cause);
        const bool whole = read.ec == std::errc() && read.ptr == value.data() + value.size();
        return whole && cause >= first && cause <= last ? cause : 0;
    }
    return 0;
}

}  // namespace

std::string text_of(const pj_str_t &text) {
    return text.slen > 0 ? std::string(text.ptr, static_cast<std::size_t>(text.slen)) : std::string();
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char &c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

std::string value_of(const pjsip_hdr *header) {
    char buffer[4096];
    const int size = pjsip_hdr_print_on(const_cast<pjsip_hdr *>(header), buffer, sizeof buffer);
    if (size <= 0) return {};
    const std::string_view printed(buffer, static_cast<std::size_t>(size));
    const auto colon = printed.find(':');
    if (colon == std::string_view::npos) return {};
    return std::string(trimmed(printed.substr(colon + 1)));
}

std::vector<const pjsip_hdr *> headers_named(const pjsip_msg *message, const char *name, const char *compact) {
    std::vector<const pjsip_hdr *> found;
    for (const auto *header = message->hdr.next; header != &message->hdr; header = header->next) {
        if (pj_stricmp2(&header->name, name) == 0 || pj_stricmp2(&header->name, compact) == 0) found.push_back(header);
    }
    return found;
}

pjsip_hdr *make_header(pj_pool_t *pool, const char *name, const std::string &value) {
    const pj_str_t named = pj_str(const_cast<char *>(name));
    const pj_str_t text{const_cast<char *>(value.data()), static_cast<pj_ssize_t>(value.size())};
    return reinterpret_cast<pjsip_hdr *>(pjsip_generic_string_hdr_create(pool, &named, &text));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    std::size_t start = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quoted && text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && text[i] == separator) {
            parts.push_back(trimmed(text.substr(start, i - start)));
            start = i + 1;
        }
    }
    parts.push_back(trimmed(text.substr(start)));
    return parts;
}

Causes causes_of(const pjsip_msg *message) {
    Causes causes;
    for (const auto *header : headers_named(message, "Reason")) {
        const auto text = value_of(header);
        for (const auto value : split(text, ',')) {
            const auto parts = split(value, ';');
            const auto protocol = lower(parts.front());
            if (protocol == "q.850" && causes.q850 == 0) causes.q850 = cause_of(parts, 1, 127);
            if (protocol == "sip" && causes.sip == 0) causes.sip = cause_of(parts, 100, 699);
        }
    }
    return causes;
}

std::vector<std::string> contacts_of(const pjsip_msg *message, std::size_t limit) {
    std::vector<std::string> contacts;
    for (const auto *header : headers_named(message, "Contact", "m")) {
        if (contacts.size() == limit) break;
        contacts.push_back(value_of(header));
    }
    return contacts;
}

bool allows_talk(const pjsip_msg *message) {
    for (const auto *header : headers_named(message, "Allow-Events", "u")) {
        const auto text = lower(value_of(header));
        const auto packages = split(text, ',');
        if (std::find(packages.begin(), packages.end(), "talk") != packages.end()) return true;
    }
    return false;
}

}  // namespace quickcall
