// Separators, URIs and user regexes: a line with a pattern, then lines with numbers.
#include "separators.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"
#include "number_uri.hpp"
#include "pattern.hpp"

namespace {

using namespace quickcall::numbers;
using quickcall::fuzz::expect;

// The limits the Python side holds both to.
constexpr std::size_t pattern_limit = 1024;
constexpr std::size_t number_limit = 128;

bool listed(std::uint32_t code) {
    for (const char ascii : {' ', ',', '.', '-', '(', ')'}) {
        if (code == static_cast<std::uint32_t>(ascii)) {
            return true;
        }
    }
    for (const CodeRange& range : unicode_separators) {
        if (code >= 0x80 && code >= range.first && code <= range.last) {
            return true;
        }
    }
    return false;
}

void check_character(std::uint32_t code) {
    const std::uint32_t kept = fold_separator(code);
    expect(is_separator(code) == listed(code), "a separator is what the table lists");
    expect((kept == removed) == listed(code), "separators are removed, nothing else is");
    if (kept != removed) {
        expect(kept == fold_full_width(code), "what stays is folded to ASCII");
        expect(fold_separator(kept) == kept, "filtering twice changes nothing more");
        expect(kept == code || kept < 0x80, "only ASCII takes the place of a character");
    }
}

// Bytes as code points, in groups of one to three, so that every plane is reached.
void check_characters(std::string_view text) {
    std::uint32_t code = 0;
    for (const char byte : text) {
        code = (code << 8 | static_cast<unsigned char>(byte)) & 0x1FFFFF;
        check_character(code);
        check_character(code & 0xFFFF);
        check_character(code & 0xFF);
    }
}

// A character for each byte, but for those that cannot begin UTF-8: they stand for all the rest.
void check_uri(std::string_view scheme, std::string_view text) {
    std::vector<std::uint32_t> typed(scheme.begin(), scheme.end());
    for (const char byte : text) {
        const auto code = static_cast<unsigned char>(byte);
        typed.push_back(code < 0xF8 ? code : 0x2010u + code);
    }
    const Characters characters{typed.data(), typed.size()};
    const UriStart start = uri_start(characters);
    expect(start.scheme != Scheme::none, "a scheme is known, whatever comes behind it");
    std::vector<std::uint32_t> number(typed.size());
    const UriNumber found = number_of_uri(characters, start, number.data());
    if (found.fault != nullptr) {
        expect(found.position <= typed.size(), "a fault lies in the text");
        return;
    }
    expect(found.length > 0 && found.length < typed.size(), "a number is part of its URI");
    for (std::size_t index = 0; index < found.length; ++index) {
        expect(!uri::is_control(number[index]), "no control character comes out of a URI");
        expect(number[index] <= 0x10FFFF, "what comes out of a URI is Unicode");
    }
}

bool inside(re2::StringPiece part, std::string_view whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

bool same(re2::StringPiece left, re2::StringPiece right) {
    return left.data() == right.data() && left.size() == right.size();
}

// The leftmost place where the pattern matches when it must begin there, found by trying them all.
bool search_by_trying(const RE2& regex, std::string_view text,
                      std::vector<re2::StringPiece>& found) {
    for (std::size_t start = 0; start <= text.size(); ++start) {
        if (regex.Match(piece(text), start, text.size(), RE2::ANCHOR_START, found.data(),
                        static_cast<int>(found.size()))) {
            return true;
        }
    }
    return false;
}

void check_search(const Pattern& pattern, const RE2& regex, std::string_view number) {
    for (const int wanted : {0, 1, pattern.groups()}) {
        std::vector<re2::StringPiece> found;
        const bool matched = pattern.search(number, wanted, found);
        std::vector<re2::StringPiece> tried(static_cast<std::size_t>(wanted) + 1);
        expect(matched == search_by_trying(regex, number, tried), "a match is found if there is");
        if (!matched) {
            continue;
        }
        expect(found.size() == tried.size(), "as many groups as were asked for");
        re2::StringPiece first;
        expect(pattern.search_first_group(number, first), "with one group as with all");
        expect(wanted == 0 || same(first, found[1]), "the first group alone is the same");
        for (std::size_t group = 0; group < found.size(); ++group) {
            expect(same(found[group], tried[group]), "the leftmost match, and its groups");
            expect(found[group].data() == nullptr || inside(found[group], number),
                   "a group lies in the number");
        }
    }
}

void check_pattern(std::string_view text, const std::vector<std::string_view>& numbers) {
    const Pattern pattern(text);
    const Refusal refusal = probe(text);
    expect(pattern.ok() == refusal.kind.empty(), "a pattern is refused for a kind of fault");
    if (!pattern.ok()) {
        expect(refusal.offender.empty() || text.find(refusal.offender) != std::string_view::npos,
               "the text to blame is in the pattern");
        return;
    }
    const RE2 regex(piece(text), pattern_options());
    expect(pattern.groups() == regex.NumberOfCapturingGroups(), "every group is counted");
    for (const std::string_view number : numbers) {
        check_search(pattern, regex, number);
    }
}

// The same text as a literal: then the standard library can say where it is.
void check_literal(std::string_view text, std::string_view number) {
    const Pattern pattern(RE2::QuoteMeta(piece(text)));
    std::vector<re2::StringPiece> found;
    if (!pattern.ok()) {
        return;  // not UTF-8
    }
    expect(pattern.groups() == 0, "a literal has no groups");
    const std::string around = std::string(number).append(text).append(number);
    expect(pattern.search(around, 0, found), "a literal is found where it is");
    expect(found[0].data() == around.data() + around.find(text), "at the first place");
    expect(found[0].size() == text.size(), "and whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::vector<std::string_view> lines =
        quickcall::fuzz::split(quickcall::fuzz::as_text(data, size), '\n', 8);
    std::vector<std::string_view> numbers;
    for (std::size_t line = 1; line < lines.size(); ++line) {
        numbers.push_back(lines[line].substr(0, number_limit));
        check_characters(numbers.back());
        for (const std::string_view scheme : {"tel:", " SIP:", "sips:"}) {
            check_uri(scheme, numbers.back());
        }
    }
    const std::string_view pattern = lines.front().substr(0, pattern_limit);
    check_pattern(pattern, numbers);
    check_literal(pattern, numbers.empty() ? std::string_view() : numbers.front());
    return 0;
}
