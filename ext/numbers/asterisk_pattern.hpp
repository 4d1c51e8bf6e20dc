// Asterisk's extension patterns: reading one, and which of two is the more specific.
//
//   _NXX[1-5]XXX.    N 2-9, Z 1-9, X 0-9 in either case; [sets] with ranges; '.' one or more of
//                    anything, '!' zero or more; '-' and spaces outside sets are for the eye only
//
// Order and meaning are those of Asterisk's pbx.c.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace quickcall::numbers {

// The bytes that one position of a pattern takes.
struct ByteSet {
    // Lower bytes in higher bits, so that of two sets the one with the lower bytes is the greater.
    std::array<std::uint64_t, 4> bits{};

    void add(unsigned char byte) { bits[byte / 64] |= std::uint64_t{1} << (63 - byte % 64); }
    void remove(unsigned char byte) { bits[byte / 64] &= ~(std::uint64_t{1} << (63 - byte % 64)); }
    bool has(unsigned char byte) const { return (bits[byte / 64] >> (63 - byte % 64) & 1) != 0; }
    int size() const {
        int count = 0;
        for (const std::uint64_t word : bits) {
            count += std::popcount(word);
        }
        return count;
    }
    // The lowest member of a set that has one.
    unsigned char first() const {
        unsigned byte = 0;
        while (!has(static_cast<unsigned char>(byte))) {
            ++byte;
        }
        return static_cast<unsigned char>(byte);
    }
    bool operator==(const ByteSet&) const = default;
};

// What may follow the positions of a pattern, the more specific first.
enum class Tail : std::uint8_t { some, any, nothing };

struct AsteriskPattern {
    std::string literal;               // what every number it takes begins with, byte for byte
    std::vector<ByteSet> classes;      // after that; the first has more than one member
    Tail tail = Tail::nothing;

    // Fewer choices first; among as many, the set with the lower bytes. Patterns with different
    // beginnings are never compared: of two that take the same number the longer one is first.
    std::strong_ordering operator<=>(const AsteriskPattern& other) const {
        for (std::size_t at = 0; at < classes.size() && at < other.classes.size(); ++at) {
            const ByteSet &mine = classes[at], &theirs = other.classes[at];
            if (mine != theirs) {
                const auto by_size = mine.size() <=> theirs.size();
                return by_size != 0 ? by_size : theirs.bits <=> mine.bits;
            }
        }
        if (classes.size() != other.classes.size()) {
            return other.classes.size() <=> classes.size();
        }
        return tail <=> other.tail;
    }
    bool operator==(const AsteriskPattern& other) const {
        return classes == other.classes && tail == other.tail;
    }
};

// Why a pattern is refused; `reason` is null for a good one.
struct PatternRefusal {
    const char* reason = nullptr;
    std::size_t position = 0;  // in bytes
};

namespace detail {

inline void add_range(ByteSet& set, unsigned char first, unsigned char last) {
    for (unsigned byte = first; byte <= last; ++byte) {
        set.add(static_cast<unsigned char>(byte));
    }
}

// Reads what stands between [ and ]; `at` is behind the [ and ends up behind the ].
inline PatternRefusal read_set(std::string_view text, std::size_t& at, ByteSet& set) {
    const std::size_t open = at - 1, end = text.find(']', at);
    if (end == std::string_view::npos) {
        return {"set is not closed with ]", open};
    }
    for (; at < end; ++at) {
        const auto first = static_cast<unsigned char>(text[at]);
        if (first >= 0x80) {
            return {"a set may hold ASCII characters only", at};
        }
        if (at + 2 >= end || text[at + 1] != '-') {
            set.add(first);
            continue;
        }
        const auto last = static_cast<unsigned char>(text[at + 2]);
        if (last >= 0x80) {
            return {"a set may hold ASCII characters only", at + 2};
        }
        if (last < first) {
            return {"range runs backwards", at};
        }
        add_range(set, first, last);
        at += 2;
    }
    ++at;
    return {};
}

}  // namespace detail

inline PatternRefusal read_pattern(std::string_view text, AsteriskPattern& pattern) {
    if (text.empty() || text.front() != '_') {
        return {"a pattern begins with _", 0};
    }
    bool empty = true;
    for (std::size_t at = 1; at < text.size();) {
        const std::size_t begin = at;
        const auto byte = static_cast<unsigned char>(text[at++]);
        ByteSet set;
        switch (byte) {
            case '-':
            case ' ':
                continue;
            case 'x':
            case 'X':
                detail::add_range(set, '0', '9');
                break;
            case 'z':
            case 'Z':
                detail::add_range(set, '1', '9');
                break;
            case 'n':
            case 'N':
                detail::add_range(set, '2', '9');
                break;
            case '.':
            case '!':
                if (at != text.size()) {
                    return {"nothing may follow . or !", at};
                }
                pattern.tail = byte == '.' ? Tail::some : Tail::any;
                return {};
            case '/':
                return {"a caller id after / is not supported", begin};
            case ']':
                return {"] closes no set", begin};
            case '[':
                if (const PatternRefusal refusal = detail::read_set(text, at, set);
                    refusal.reason != nullptr) {
                    return refusal;
                }
                break;
            default:
                set.add(byte);
        }
        const int members = set.size();
        if (members == 0) {
            continue;  // Asterisk ignores the empty set
        }
        empty = false;
        if (members > 1 || !pattern.classes.empty()) {
            pattern.classes.push_back(set);
        } else {
            // A set of one is that character, wherever it came from.
            pattern.literal.push_back(static_cast<char>(set.first()));
        }
    }
    return empty ? PatternRefusal{"takes no number", 0} : PatternRefusal{};
}

// Whether the rest of a number, behind the literal, is what the pattern takes. For explanations;
// calls are matched by TailAutomaton.
inline bool takes(const AsteriskPattern& pattern, std::string_view rest) {
    if (rest.size() < pattern.classes.size()) {
        return false;
    }
    for (std::size_t at = 0; at < pattern.classes.size(); ++at) {
        if (!pattern.classes[at].has(static_cast<unsigned char>(rest[at]))) {
            return false;
        }
    }
    const std::size_t left = rest.size() - pattern.classes.size();
    return pattern.tail == Tail::any || (pattern.tail == Tail::some ? left > 0 : left == 0);
}

namespace detail {

// One byte; in a set if it would mean something else outside.
inline void write_byte(unsigned char byte, std::string& text) {
    const auto character = static_cast<char>(byte);
    if (std::string_view("XxZzNn.!-[ /").find(character) == std::string_view::npos) {
        text.push_back(character);
    } else {
        text.append({'[', character, ']'});
    }
}

// A hyphen goes last, where it makes no range.
inline void write_set(ByteSet set, std::string& text) {
    const bool hyphen = set.has('-');
    set.remove('-');
    text.push_back('[');
    for (unsigned byte = 0; byte < 0x80; ++byte) {
        if (!set.has(static_cast<unsigned char>(byte))) {
            continue;
        }
        unsigned last = byte;
        while (set.has(static_cast<unsigned char>(last + 1))) {
            ++last;
        }
        text.push_back(static_cast<char>(byte));
        if (last > byte + 1) {
            text.append({'-', static_cast<char>(last)});
            byte = last;
        }
    }
    text.append(hyphen ? "-]" : "]");
}

}  // namespace detail

// A literal beginning, as somebody would write it.
inline std::string literal_text(std::string_view literal) {
    std::string text;
    for (const char character : literal) {
        detail::write_byte(static_cast<unsigned char>(character), text);
    }
    return text;
}

// What follows the literal, as somebody would write it.
inline std::string tail_text(const AsteriskPattern& pattern) {
    ByteSet digits[3];
    detail::add_range(digits[0], '0', '9');
    detail::add_range(digits[1], '1', '9');
    detail::add_range(digits[2], '2', '9');
    std::string text;
    for (const ByteSet& set : pattern.classes) {
        const auto* known = std::find(std::begin(digits), std::end(digits), set);
        if (known != std::end(digits)) {
            text.push_back("XZN"[known - digits]);
        } else if (set.size() == 1) {
            detail::write_byte(set.first(), text);
        } else {
            detail::write_set(set, text);
        }
    }
    const char* const tails[] = {".", "!", ""};
    return text + tails[static_cast<int>(pattern.tail)];
}

}  // namespace quickcall::numbers
