// The number of tel: and sip: URIs against an obvious reading of them. A line is what was typed,
// with its scheme or without.
#include "number_uri.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"

namespace {

using namespace quickcall::numbers;
using quickcall::fuzz::expect;
using Text = std::u32string;
using View = std::u32string_view;

constexpr std::size_t number_limit = 128;  // as the Python side has it

std::string utf8(char32_t code) {
    const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
    if (code < 0x80) {
        return {byte(code)};
    }
    const char last = byte(0x80 | (code & 0x3F));
    if (code < 0x800) {
        return {byte(0xC0 | code >> 6), last};
    }
    const char third = byte(0x80 | (code >> 6 & 0x3F));
    if (code < 0x10000) {
        return {byte(0xE0 | code >> 12), third, last};
    }
    return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)), third, last};
}

// The character that bytes are the UTF-8 form of, if they are one: then they are what it is written
// as, and no others.
std::optional<char32_t> character(std::string_view bytes) {
    char32_t code = static_cast<unsigned char>(bytes.front());
    code = bytes.size() == 1 ? code : code & (0x3Fu >> (bytes.size() - 1));
    for (const char byte : bytes.substr(1)) {
        code = code << 6 | (static_cast<unsigned char>(byte) & 0x3F);
    }
    const bool scalar = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return scalar && utf8(code) == bytes ? std::optional(code) : std::nullopt;
}

// Bytes that are no UTF-8 stand for the characters of Latin-1.
Text read_text(std::string_view bytes) {
    Text text;
    while (!bytes.empty() && text.size() < number_limit) {
        std::size_t size = 1;
        std::optional<char32_t> found;
        for (std::size_t length = 1; length <= std::min<std::size_t>(4, bytes.size()); ++length) {
            if (const auto code = character(bytes.substr(0, length)); code && !found) {
                found = code;
                size = length;
            }
        }
        text.push_back(found ? *found : static_cast<unsigned char>(bytes.front()));
        bytes.remove_prefix(size);
    }
    return text;
}

bool is_in(char32_t code, std::string_view characters) {
    return code < 0x80 && characters.find(static_cast<char>(code)) != std::string_view::npos;
}

constexpr std::string_view alphanumeric =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

constexpr std::string_view hexadecimal = "0123456789abcdef0123456789ABCDEF";

std::optional<char> escaped_byte(View text) {
    if (text.size() < 3 || text[0] != '%' || !is_in(text[1], hexadecimal) ||
        !is_in(text[2], hexadecimal)) {
        return std::nullopt;
    }
    const auto value = [](char32_t code) {
        return hexadecimal.find(static_cast<char>(code)) % 16;
    };
    return static_cast<char>(value(text[1]) * 16 + value(text[2]));
}

struct Part {
    char32_t code;
    bool encoded;
};

// The characters of a text, decoded once; nothing when an escape or a control character is wrong.
std::optional<std::vector<Part>> decoded(View text) {
    std::vector<Part> parts;
    while (!text.empty()) {
        if (text.front() != '%') {
            parts.push_back({text.front(), false});
            text.remove_prefix(1);
            continue;
        }
        std::string bytes;
        std::optional<char32_t> code;
        while (!code && bytes.size() < 4) {
            const std::optional<char> byte = escaped_byte(text);
            if (!byte) {
                return std::nullopt;
            }
            bytes.push_back(*byte);
            text.remove_prefix(3);
            code = character(bytes);
        }
        if (!code || is_control(*code)) {
            return std::nullopt;
        }
        parts.push_back({*code, true});
    }
    return parts;
}

// The number that parts are, when it holds more than separators.
std::optional<Text> joined(const std::vector<Part>& parts) {
    Text number;
    bool more = false;
    for (const Part part : parts) {
        number.push_back(part.code);
        more |= !is_separator(part.code);
    }
    return more ? std::optional(number) : std::nullopt;
}

std::optional<Text> tel_number(View body) {
    const auto parts = decoded(body.substr(0, body.find(U';')));
    if (!parts) {
        return std::nullopt;
    }
    bool begun = false;
    for (const Part part : *parts) {
        const bool allowed = part.code >= 0x80 || is_in(part.code, alphanumeric) ||
                             is_in(part.code, "+*#") || is_separator(part.code);
        if (!allowed || (part.code == '+' && begun)) {
            return std::nullopt;
        }
        begun |= !is_separator(part.code);
    }
    return joined(*parts);
}

std::optional<Text> sip_user(View body) {
    if (std::count(body.begin(), body.end(), U'@') != 1) {
        return std::nullopt;
    }
    const std::size_t at = body.find(U'@');
    const View user = body.substr(0, at), rest = body.substr(at + 1);
    const View host = rest.substr(0, rest.find_first_of(U";?"));
    const auto in_host = [](char32_t code) {
        return code >= 0x80 || is_in(code, alphanumeric) || is_in(code, ".-_:[]");
    };
    if (host.empty() || !std::all_of(host.begin(), host.end(), in_host)) {
        return std::nullopt;
    }
    const auto parts = decoded(user.substr(0, user.find_first_of(U":;")));
    const auto in_user = [](Part part) {
        return part.encoded || part.code >= 0x80 || is_in(part.code, alphanumeric) ||
               is_in(part.code, "-_.!~*'()&=+$,?/#") || is_separator(part.code);
    };
    return parts && std::all_of(parts->begin(), parts->end(), in_user) ? joined(*parts)
                                                                       : std::nullopt;
}

View without_scheme(View text, std::string_view scheme) {
    const bool same =
        text.size() >= scheme.size() &&
        std::equal(scheme.begin(), scheme.end(), text.begin(), [](char wanted, char32_t code) {
            return code == static_cast<char32_t>(wanted) ||
                   (wanted != ':' && code == static_cast<char32_t>(wanted - 'a' + 'A'));
        });
    return same ? text.substr(scheme.size()) : View();
}

void check(const Text& text) {
    std::vector<std::uint32_t> codes(text.begin(), text.end());
    const Characters characters{codes.data(), codes.size()};
    const UriStart start = uri_start(characters);
    const View pasted = View(text).substr(static_cast<std::size_t>(
        std::find_if_not(text.begin(), text.end(), is_separator) - text.begin()));
    View body;
    Scheme scheme = Scheme::none;
    for (const std::string_view name : {"tel:", "sip:", "sips:"}) {
        if (const View found = without_scheme(pasted, name); found.data() != nullptr) {
            body = found;
            scheme = name == "tel:" ? Scheme::tel : Scheme::sip;
        }
    }
    expect(start.scheme == scheme, "a URI is known by its scheme");
    if (scheme == Scheme::none) {
        return;
    }
    std::vector<std::uint32_t> number(codes.size());
    const UriNumber found = number_of_uri(characters, start, number.data());
    std::optional<Text> expected =
        scheme == Scheme::tel ? tel_number(body) : sip_user(body);
    if (std::any_of(text.begin(), text.end(), is_control)) {
        expected.reset();
    }
    expect((found.fault == nullptr) == expected.has_value(), "a URI with a fault is refused");
    expect(found.position <= text.size(), "the fault is in the text");
    if (expected) {
        number.resize(found.length);
        expect(std::equal(number.begin(), number.end(), expected->begin(), expected->end()),
               "the number is what the URI says, decoded once");
        expect(std::none_of(number.begin(), number.end(), is_control), "no control characters");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    for (const std::string_view line :
         quickcall::fuzz::split(quickcall::fuzz::as_text(data, size), '\n', 8)) {
        for (const char32_t* scheme : {U"", U"tel:", U"\u00a0SIP:", U"sips:"}) {
            check((scheme + read_text(line)).substr(0, number_limit));
        }
    }
    return 0;
}
