// Separators and user regexes: a line with a pattern, then lines with numbers.
#include "separators.hpp"

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"
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

// The pass over ASCII against one character at a time.
void check_ascii(std::string_view text) {
    std::string ascii;
    for (const char byte : text) {
        ascii.push_back(static_cast<char>(byte & 0x7F));
    }
    std::string kept, alphanumeric;
    for (const char byte : ascii) {
        if (!listed(static_cast<unsigned char>(byte))) {
            kept.push_back(byte);
        }
        if (std::isalnum(static_cast<unsigned char>(byte)) != 0) {
            alphanumeric.push_back(byte);
        }
    }
    const bool colon = ascii.find(':') != std::string::npos;
    for (const bool all : {true, false}) {
        std::string copied(ascii.size(), ' ');
        const AsciiCopy copy = copy_ascii(all ? ascii_not_separator : ascii_alphanumeric,
                                          ascii.data(), ascii.size(), copied.data());
        copied.resize(copy.length);
        expect(copied == (all ? kept : alphanumeric), "ASCII is filtered like any character");
        expect(copy.colon == colon, "what may be a URI is seen");
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
    std::vector<re2::StringPiece> first(2);
    re2::StringPiece first_group;
    const bool found_first = pattern.search_first_group(number, first_group);
    expect(found_first == search_by_trying(regex, number, first), "a first group of a match");
    expect(same(first_group, first[1]), "the first group of the leftmost match");
    for (const int wanted : {0, 1, pattern.groups()}) {
        std::vector<re2::StringPiece> found;
        const bool matched = pattern.search(number, wanted, found);
        std::vector<re2::StringPiece> tried(static_cast<std::size_t>(wanted) + 1);
        expect(matched == search_by_trying(regex, number, tried), "a match is found if there is");
        if (!matched) {
            continue;
        }
        expect(found.size() == tried.size(), "as many groups as were asked for");
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
        check_ascii(numbers.back());
    }
    const std::string_view pattern = lines.front().substr(0, pattern_limit);
    check_pattern(pattern, numbers);
    check_literal(pattern, numbers.empty() ? std::string_view() : numbers.front());
    return 0;
}
