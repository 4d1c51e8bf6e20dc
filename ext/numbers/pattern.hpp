// User regexes, compiled with RE2: matching time is linear in the text, whatever the pattern.
// The only place that sets RE2's options and names RE2's error codes.
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quickcall::numbers {

// Bounds what one pattern may cost in compiled program and match caches together. At this size RE2
// takes programs of up to 8192 instructions; a NANP rule needs about 40.
inline constexpr std::int64_t pattern_memory_bytes = 512 * 1024;

inline re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

inline RE2::Options pattern_options() {
    RE2::Options options;
    options.set_log_errors(false);  // the caller reports; RE2 would write to stderr
    options.set_max_mem(pattern_memory_bytes);
    return options;
}

// A name for RE2's refusal that does not change with RE2's release; "" when there is none.
inline const char* refusal_kind(RE2::ErrorCode code) {
    switch (code) {
        case RE2::NoError: return "";
        case RE2::ErrorBadEscape: return "escape";
        case RE2::ErrorBadCharClass: return "class";
        case RE2::ErrorBadCharRange: return "range";
        case RE2::ErrorMissingBracket: return "missing bracket";
        case RE2::ErrorMissingParen: return "missing parenthesis";
        case RE2::ErrorUnexpectedParen: return "unexpected parenthesis";
        case RE2::ErrorTrailingBackslash: return "trailing backslash";
        case RE2::ErrorRepeatArgument: return "nothing to repeat";
        case RE2::ErrorRepeatSize: return "repeat size";
        case RE2::ErrorRepeatOp: return "repeat operator";
        case RE2::ErrorBadPerlOp: return "group operator";
        case RE2::ErrorBadNamedCapture: return "group name";
        case RE2::ErrorPatternTooLarge: return "too large";
        default: return "other";
    }
}

struct Refusal {
    std::string kind;      // from refusal_kind
    std::string offender;  // the text RE2 blames, "" or the whole pattern when it blames no part
};

// One compiled pattern. Groups that took no part in a match have a null data().
class Pattern {
public:
    explicit Pattern(std::string_view text)
        : compiled_(piece(text), pattern_options()),
          groups_(compiled_.ok() ? compiled_.NumberOfCapturingGroups() : 0) {}

    bool ok() const { return compiled_.ok(); }
    int groups() const { return groups_; }
    Refusal refusal() const {
        return {refusal_kind(compiled_.error_code()), compiled_.error_arg()};
    }

    const std::string& text() const { return compiled_.pattern(); }

    bool matches(std::string_view text) const {
        return compiled_.Match(piece(text), 0, text.size(), RE2::UNANCHORED, nullptr, 0);
    }

    // Search anywhere in the text. Fills `found` with the whole match and the first `wanted` groups.
    bool search(std::string_view text, int wanted, std::vector<re2::StringPiece>& found) const {
        found.assign(static_cast<std::size_t>(wanted) + 1, re2::StringPiece());
        return compiled_.Match(piece(text), 0, text.size(), RE2::UNANCHORED, found.data(),
                               wanted + 1);
    }

    // Search anywhere in the text for the first group alone, without taking memory.
    bool search_first_group(std::string_view text, re2::StringPiece& group) const {
        re2::StringPiece found[2];
        const bool matched =
            compiled_.Match(piece(text), 0, text.size(), RE2::UNANCHORED, found, 2);
        group = found[1];
        return matched;
    }

private:
    RE2 compiled_;
    int groups_;
};

inline Refusal probe(std::string_view pattern) { return Pattern(pattern).refusal(); }

}  // namespace quickcall::numbers
