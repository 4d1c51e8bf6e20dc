// Which characters people put into phone numbers for the eye, one code point at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace quickcall::numbers {

inline constexpr std::uint32_t removed = 0xFFFFFFFFu;

struct CodeRange {
    std::uint32_t first;
    std::uint32_t last;
};

// Sorted, for the binary search. Look-alikes of space , . - ( ) beyond ASCII, and the invisible
// marks that come along when a number is pasted from a page or an address book.
inline constexpr std::array unicode_separators = {
    CodeRange{0x00A0, 0x00A0},  // no-break space
    CodeRange{0x00AD, 0x00AD},  // soft hyphen
    CodeRange{0x061C, 0x061C},  // Arabic letter mark
    CodeRange{0x1680, 0x1680},  // Ogham space
    CodeRange{0x2000, 0x200F},  // spaces of every width, zero-width marks, direction marks
    CodeRange{0x2010, 0x2015},  // hyphen, non-breaking hyphen, figure, en and em dash, bar
    CodeRange{0x2024, 0x2024},  // one dot leader
    CodeRange{0x202A, 0x202F},  // direction embeddings, narrow no-break space
    CodeRange{0x205F, 0x2060},  // medium mathematical space, word joiner
    CodeRange{0x2066, 0x2069},  // direction isolates
    CodeRange{0x207D, 0x207E},  // superscript parentheses
    CodeRange{0x208D, 0x208E},  // subscript parentheses
    CodeRange{0x2212, 0x2212},  // minus sign
    CodeRange{0x3000, 0x3000},  // ideographic space
    CodeRange{0xFE50, 0xFE50},  // small comma
    CodeRange{0xFE52, 0xFE52},  // small full stop
    CodeRange{0xFE58, 0xFE5A},  // small em dash, small parentheses
    CodeRange{0xFE63, 0xFE63},  // small hyphen-minus
    CodeRange{0xFEFF, 0xFEFF},  // zero-width no-break space
    CodeRange{0xFF08, 0xFF09},  // full-width parentheses
    CodeRange{0xFF0C, 0xFF0E},  // full-width comma, hyphen-minus, full stop
};

// Full-width digits and + * # are what an East Asian keyboard sends for the keys of a phone.
inline constexpr std::uint32_t fold_full_width(std::uint32_t code) {
    const bool digit = code >= 0xFF10 && code <= 0xFF19;
    const bool key = code == 0xFF0B || code == 0xFF0A || code == 0xFF03;
    return digit || key ? code - 0xFEE0 : code;
}

inline constexpr bool is_separator(std::uint32_t code) {
    if (code < 0x80) {
        return code == ' ' || code == ',' || code == '.' || code == '-' || code == '(' ||
               code == ')';
    }
    const auto* range = std::lower_bound(
        unicode_separators.begin(), unicode_separators.end(), code,
        [](const CodeRange& candidate, std::uint32_t value) { return candidate.last < value; });
    return range != unicode_separators.end() && range->first <= code;
}

// What becomes of the 128 ASCII characters, for one pass without branches.
using AsciiKept = std::array<bool, 0x80>;

inline constexpr AsciiKept ascii_not_separator = [] {
    AsciiKept kept{};
    for (std::uint32_t code = 0; code < kept.size(); ++code) {
        kept[code] = !is_separator(code);
    }
    return kept;
}();

inline constexpr AsciiKept ascii_alphanumeric = [] {
    AsciiKept kept{};
    for (std::uint32_t code = 0; code < kept.size(); ++code) {
        kept[code] = (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
                     (code >= 'a' && code <= 'z');
    }
    return kept;
}();

struct AsciiCopy {
    std::size_t length;  // characters kept
    bool colon;          // there is a colon, without which no text is a URI
};

// Copy the characters to keep of an ASCII text. `to` has room for the whole text.
inline AsciiCopy copy_ascii(const AsciiKept& kept, const char* from, std::size_t size, char* to) {
    AsciiCopy copy{0, false};
    for (std::size_t index = 0; index < size; ++index) {
        const char character = from[index];
        to[copy.length] = character;
        copy.length += kept[static_cast<unsigned char>(character)];
        copy.colon |= character == ':';
    }
    return copy;
}

// The character to keep in place of `code`, or `removed`.
inline std::uint32_t fold_separator(std::uint32_t code) {
    return is_separator(code) ? removed : fold_full_width(code);
}

}  // namespace quickcall::numbers
