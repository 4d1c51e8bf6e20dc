// The number inside a tel:, sip: or sips: URI that somebody typed or pasted (RFC 3966, RFC 3261
// 19.1): parameters, password, host and headers left out, percent-encoding decoded exactly once.
#pragma once

#include "separators.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quickcall::numbers {

// Code points of a text; positions in it count characters.
struct Characters {
    const std::uint32_t* data;
    std::size_t size;
    std::uint32_t operator[](std::size_t index) const { return data[index]; }
};

enum class Scheme { none, tel, sip };

struct UriStart {
    Scheme scheme;
    std::size_t body;  // offset behind the colon
};

struct UriNumber {
    std::size_t length;    // characters written, when there is no fault
    const char* fault;     // what is wrong, in words that follow "tel: URI" or the like; or null
    std::size_t position;  // of the fault
};

namespace uri {

inline constexpr std::uint32_t lower(std::uint32_t code) {
    return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
}

inline constexpr bool is_digit(std::uint32_t code) { return code >= '0' && code <= '9'; }

inline constexpr bool is_letter(std::uint32_t code) {
    return lower(code) >= 'a' && lower(code) <= 'z';
}

inline constexpr bool is_control(std::uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

inline constexpr int hex_value(std::uint32_t code) {
    if (is_digit(code)) {
        return static_cast<int>(code - '0');
    }
    const std::uint32_t letter = lower(code);
    return letter >= 'a' && letter <= 'f' ? static_cast<int>(letter - 'a') + 10 : -1;
}

// Where an ASCII character may stand, as bits of `ascii_places`. Beyond ASCII every character may
// stand in all of them: an IRI is taken as it was typed.
enum Place : std::uint8_t { tel_digits = 1, sip_user_part = 2, host_name = 4 };

// `tel_digits`: RFC 3966's phone digits and visual separators, and for people the letters of
// keypads and every separator a plain number may have. `sip_user_part`: RFC 3261's unreserved and
// user-unreserved, but for the ; of parameters; and for people # and the separators.
inline constexpr auto ascii_places = [] {
    std::array<std::uint8_t, 0x80> places{};
    const auto allow = [&places](std::string_view characters, unsigned in) {
        for (const char character : characters) {
            auto& place = places[static_cast<unsigned char>(character)];
            place = static_cast<std::uint8_t>(place | in);
        }
    };
    for (std::uint32_t code = 0; code < places.size(); ++code) {
        const unsigned everywhere = tel_digits | sip_user_part | host_name;
        const unsigned separator = is_separator(code) ? tel_digits | sip_user_part : 0;
        places[code] = static_cast<std::uint8_t>(
            is_digit(code) || is_letter(code) ? everywhere : separator);
    }
    allow("+*#", tel_digits);
    allow("-_.!~*'()&=+$,?/#", sip_user_part);
    allow(".-_:[]", host_name);
    return places;
}();

inline bool may_stand(std::uint32_t code, Place place) {
    return code >= 0x80 || (ascii_places[code] & place) != 0;
}

// The offset of the first of two characters from `from` on, or `to`.
inline std::size_t find(Characters text, std::size_t from, std::size_t to, char one, char other) {
    const auto is_wanted = [one, other](std::uint32_t code) {
        return code == static_cast<std::uint32_t>(one) || code == static_cast<std::uint32_t>(other);
    };
    return static_cast<std::size_t>(
        std::find_if(text.data + from, text.data + to, is_wanted) - text.data);
}

// One character written as %XX, or as several of them when it is not ASCII.
struct Decoded {
    std::uint32_t code;
    std::size_t end;    // offset behind it
    const char* fault;  // or null
};

// The byte written at `at` as %XX, or -1.
inline int escaped_byte(Characters text, std::size_t at, std::size_t end) {
    if (end - at < 3 || text[at] != '%') {
        return -1;
    }
    const int high = hex_value(text[at + 1]);
    const int low = hex_value(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Decode the character whose first %XX is at `at`; UTF-8 as RFC 3629 allows it.
inline Decoded decode(Characters text, std::size_t at, std::size_t end) {
    constexpr const char* not_utf8 = "holds percent-encoded bytes that are no UTF-8 text";
    const int first = escaped_byte(text, at, end);
    if (first < 0) {
        return {0, at, "holds a % without two hexadecimal digits behind it"};
    }
    at += 3;
    if (first < 0x80) {
        return {static_cast<std::uint32_t>(first), at, nullptr};
    }
    const int following = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4) {
        return {0, at, not_utf8};
    }
    std::uint32_t code = static_cast<std::uint32_t>(first) & (0x3Fu >> following);
    for (int count = 0; count < following; ++count, at += 3) {
        const int next = at < end ? escaped_byte(text, at, end) : -1;
        if (next < 0x80 || next > 0xBF) {
            return {0, at, not_utf8};
        }
        code = code << 6 | (static_cast<std::uint32_t>(next) & 0x3F);
    }
    constexpr std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const bool half_pair = code >= 0xD800 && code <= 0xDFFF;
    if (code < least[following] || code > 0x10FFFF || half_pair) {
        return {0, at, not_utf8};
    }
    return {code, at, nullptr};
}

// Copy the characters from `from` to `to`, decoded; no decoded text is decoded again. `refuse` is
// given each character and whether it was percent-encoded, and returns a fault or null.
template <typename Refuse>
UriNumber copy(Characters text, std::size_t from, std::size_t to, std::uint32_t* number,
               Refuse refuse) {
    std::size_t length = 0;
    while (from < to) {
        const bool encoded = text[from] == '%';
        const Decoded one =
            encoded ? decode(text, from, to) : Decoded{text[from], from + 1, nullptr};
        const char* fault = one.fault != nullptr ? one.fault
                            : is_control(one.code)
                                ? "hides a control character in percent-encoding"
                                : refuse(one.code, encoded);
        if (fault != nullptr) {
            return {0, fault, from};
        }
        number[length++] = one.code;
        from = one.end;
    }
    return {length, nullptr, 0};
}

inline bool only_separators(const std::uint32_t* number, std::size_t length) {
    return std::all_of(number, number + length, is_separator);
}

inline UriNumber tel_number(Characters text, std::size_t body, std::uint32_t* number) {
    bool begun = false;
    const auto refuse = [&begun](std::uint32_t code, bool) -> const char* {
        if (!may_stand(code, tel_digits)) {
            return "holds a character that no telephone number has";
        }
        if (code == '+' && begun) {
            return "holds a + that is not at the beginning";
        }
        begun |= !is_separator(code);
        return nullptr;
    };
    const std::size_t end = find(text, body, text.size, ';', ';');
    const UriNumber found = copy(text, body, end, number, refuse);
    if (found.fault == nullptr && only_separators(number, found.length)) {
        return {0, "holds no number", body};
    }
    return found;
}

inline UriNumber sip_user(Characters text, std::size_t body, std::uint32_t* number) {
    const std::size_t at = find(text, body, text.size, '@', '@');
    if (at == text.size) {
        return {0, "has no user part, it is written sip:USER@HOST", body};
    }
    const std::size_t another = find(text, at + 1, text.size, '@', '@');
    if (another != text.size) {
        return {0, "holds a second @, inside a user part it is written %40", another};
    }
    const std::size_t host_end = find(text, at + 1, text.size, ';', '?');
    if (host_end == at + 1) {
        return {0, "names no host behind the @", at + 1};
    }
    for (std::size_t index = at + 1; index < host_end; ++index) {
        if (!may_stand(text[index], host_name)) {
            return {0, "holds a character that no host has", index};
        }
    }
    // The password, and the parameters of a user part that is a telephone number (RFC 3261 19.1.6).
    const std::size_t end = find(text, body, at, ':', ';');
    const auto refuse = [](std::uint32_t code, bool encoded) -> const char* {
        const bool allowed = encoded || may_stand(code, sip_user_part);
        return allowed ? nullptr : "holds a character that a user part needs percent-encoded";
    };
    const UriNumber found = copy(text, body, end, number, refuse);
    if (found.fault == nullptr && only_separators(number, found.length)) {
        return {0, "has an empty user part", body};
    }
    return found;
}

}  // namespace uri

// Tell whether the text is a URI of a kind that holds a number. Separators before it do not count:
// a pasted link often begins with a space. Schemes have no case (RFC 3986 3.1).
inline UriStart uri_start(Characters text) {
    std::size_t begin = 0;
    while (begin < text.size && is_separator(text[begin])) {
        ++begin;
    }
    const auto starts = [&](std::string_view scheme) {
        return text.size - begin >= scheme.size() &&
               std::equal(scheme.begin(), scheme.end(), text.data + begin,
                          [](char wanted, std::uint32_t code) {
                              return static_cast<std::uint32_t>(wanted) == uri::lower(code);
                          });
    };
    if (starts("tel:")) {
        return {Scheme::tel, begin + 4};
    }
    if (starts("sip:")) {
        return {Scheme::sip, begin + 4};
    }
    return starts("sips:") ? UriStart{Scheme::sip, begin + 5} : UriStart{Scheme::none, 0};
}

// Write the number of a URI that `uri_start` has recognised. `number` has room for the whole text.
inline UriNumber number_of_uri(Characters text, UriStart start, std::uint32_t* number) {
    const auto* control = std::find_if(text.data, text.data + text.size, uri::is_control);
    if (control != text.data + text.size) {
        return {0, "holds a control character", static_cast<std::size_t>(control - text.data)};
    }
    return start.scheme == Scheme::tel ? uri::tel_number(text, start.body, number)
                                       : uri::sip_user(text, start.body, number);
}

}  // namespace quickcall::numbers
