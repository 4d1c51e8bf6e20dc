// Routes as plainly as they can be said: every row is tried, nothing is prepared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "pattern.hpp"

namespace quickcall::fuzz {

using quickcall::numbers::Pattern;

// A place of a pattern: the bytes it takes, lowest first.
using Place = std::vector<unsigned char>;

// Compared by number of bytes, then by the lowest bytes. '.', '!' and the end of a pattern are
// places too, after all that take something.
using Rank = std::vector<std::tuple<int, std::size_t, Place>>;

inline bool contains(const Place& place, char byte) {
    return std::find(place.begin(), place.end(), static_cast<unsigned char>(byte)) != place.end();
}

struct NaivePattern {
    std::vector<Place> places;
    char tail = 'e';  // or . or !
    bool good = false;
    Rank rank;

    bool takes(std::string_view text) const {
        for (std::size_t at = 0; at < places.size(); ++at) {
            if (at >= text.size() || !contains(places[at], text[at])) {
                return false;
            }
        }
        return tail == '!' || (tail == '.' ? text.size() > places.size()
                                           : text.size() == places.size());
    }
};

// What stands between [ and ]; false when the set is refused.
inline bool read_members(std::string_view inside, Place& members) {
    std::set<unsigned char> found;
    while (!inside.empty()) {
        const bool range = inside.size() >= 3 && inside[1] == '-';
        const auto first = static_cast<unsigned char>(inside[0]);
        const auto last = static_cast<unsigned char>(range ? inside[2] : inside[0]);
        if (first > last || last >= 0x80) {
            return false;
        }
        for (unsigned byte = first; byte <= last; ++byte) {
            found.insert(static_cast<unsigned char>(byte));
        }
        inside.remove_prefix(range ? 3 : 1);
    }
    members.assign(found.begin(), found.end());
    return true;
}

inline Place digits_from(unsigned char first) {
    Place digits;
    for (unsigned char digit = first; digit <= '9'; ++digit) {
        digits.push_back(digit);
    }
    return digits;
}

inline bool read_places(std::string_view text, NaivePattern& pattern) {
    while (!text.empty()) {
        const char character = text.front();
        text.remove_prefix(1);
        Place place;
        if (character == '.' || character == '!') {
            pattern.tail = character;
            return text.empty();
        }
        if (character == '[') {
            const std::size_t end = text.find(']');
            if (end == std::string_view::npos || !read_members(text.substr(0, end), place)) {
                return false;
            }
            text.remove_prefix(end + 1);
        } else if (character == '/' || character == ']') {
            return false;
        } else if (character == 'X' || character == 'x') {
            place = digits_from('0');
        } else if (character == 'Z' || character == 'z') {
            place = digits_from('1');
        } else if (character == 'N' || character == 'n') {
            place = digits_from('2');
        } else if (character != '-' && character != ' ') {
            place = {static_cast<unsigned char>(character)};
        }
        if (!place.empty()) {
            pattern.places.push_back(place);
        }
    }
    return !pattern.places.empty();
}

inline NaivePattern read_pattern_naively(std::string_view text) {
    NaivePattern pattern;
    pattern.good = text.starts_with('_') && read_places(text.substr(1), pattern);
    for (const Place& place : pattern.places) {
        pattern.rank.emplace_back(0, place.size(), place);
    }
    pattern.rank.emplace_back(pattern.tail == '.' ? 1 : pattern.tail == '!' ? 2 : 3, 0, Place());
    return pattern;
}

inline std::string_view plain(std::string_view text) {
    return text.starts_with('+') ? text.substr(1) : text;
}

// A row as it was given, with its text read.
struct NaiveRow {
    char kind;  // e, p, f (prefix) or r
    std::string match;
    std::string to, id, prepend;
    unsigned priority, weight, strip;
    std::uint32_t line;
    NaivePattern pattern;
    std::shared_ptr<const Pattern> regex;

    bool same_group(const NaiveRow& other) const {
        if (kind != other.kind) {
            return false;
        }
        switch (kind) {
            case 'p': return pattern.rank == other.pattern.rank;
            case 'f': return plain(match) == plain(other.match);
            default: return match == other.match;
        }
    }

    bool takes(std::string_view number) const {
        switch (kind) {
            case 'e': return match == number;
            case 'p': return pattern.takes(number);
            case 'f': return plain(number).starts_with(plain(match));
            default: return regex->matches(number);
        }
    }

    std::string dialled(std::string_view number) const {
        if (kind == 'r') {
            std::vector<re2::StringPiece> groups;
            regex->search(number, regex->groups(), groups);
            const auto taking_part =
                std::find_if(groups.begin() + 1, groups.end(),
                             [](re2::StringPiece group) { return group.data() != nullptr; });
            if (taking_part != groups.end()) {
                number = {taking_part->data(), taking_part->size()};
            }
        }
        if (strip == 0 && prepend.empty()) {
            return std::string(number);
        }
        return prepend + without_first(plain(number), strip);
    }

    // A byte 10xxxxxx belongs to the character before it.
    static std::string without_first(std::string_view text, unsigned characters) {
        std::string rest;
        unsigned begun = 0;
        for (std::size_t at = 0; at < text.size(); ++at) {
            begun += at == 0 || (static_cast<unsigned char>(text[at]) >> 6) != 2;
            if (begun > characters) {
                rest.push_back(text[at]);
            }
        }
        return rest;
    }
};

// The first rows of the groups that take a number, and all rows of a group, as lines.
class NaiveTable {
public:
    explicit NaiveTable(const std::vector<NaiveRow>& rows) : rows_(rows) {}

    std::vector<std::uint32_t> group(const NaiveRow& one) const {
        std::vector<const NaiveRow*> members;
        for (const NaiveRow& row : rows_) {
            if (row.same_group(one)) {
                members.push_back(&row);
            }
        }
        std::stable_sort(members.begin(), members.end(), [](const auto* a, const auto* b) {
            return a->priority != b->priority ? a->priority < b->priority : a->weight > b->weight;
        });
        std::vector<std::uint32_t> lines;
        for (const NaiveRow* member : members) {
            lines.push_back(member->line);
        }
        return lines;
    }

    std::vector<std::uint32_t> winners(char kind, std::string_view number) const {
        std::vector<const NaiveRow*> taking;
        for (const NaiveRow& row : rows_) {
            const auto same = [&](const NaiveRow* other) { return other->same_group(row); };
            if (row.kind == kind && std::none_of(taking.begin(), taking.end(), same) &&
                row.takes(number)) {
                taking.push_back(&row);
            }
        }
        std::stable_sort(taking.begin(), taking.end(), [kind](const auto* a, const auto* b) {
            return kind == 'p'   ? a->pattern.rank < b->pattern.rank
                   : kind == 'f' ? plain(a->match).size() > plain(b->match).size()
                                 : false;
        });
        std::vector<std::uint32_t> lines;
        for (const NaiveRow* row : taking) {
            lines.push_back(group(*row).front());
        }
        return lines;
    }

    // Whether an earlier row forbids this one: beside an endpoint there is no other row.
    bool clash(std::uint32_t line) const {
        const NaiveRow& row = rows_[line - 1];
        return std::any_of(rows_.begin(), rows_.end(), [&](const NaiveRow& other) {
            return other.line < line && other.same_group(row) &&
                   (other.to != "resource" || row.to != "resource");
        });
    }

    const NaiveRow& row(std::uint32_t line) const { return rows_[line - 1]; }

private:
    const std::vector<NaiveRow>& rows_;
};

}  // namespace quickcall::fuzz
