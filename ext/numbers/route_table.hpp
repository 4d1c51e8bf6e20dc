// A million routes, compiled once and then only read, from any number of threads.
//
// Four kinds of rows, in the order in which they are asked: extensions (the whole number), Asterisk
// patterns, prefixes, regexes. Rows of one kind with one text are a group, hunted by priority.
// Extensions, prefixes and the literal beginnings of patterns are LiteralSets; the first row of a
// group stands at the place its text has in the set, so no index is stored between the two.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "asterisk_pattern.hpp"
#include "literal_set.hpp"
#include "regex_list.hpp"
#include "tail_automaton.hpp"

namespace quickcall::numbers {

enum class RowKind : std::uint8_t { extension, pattern, prefix, regex };
inline constexpr int row_kinds = 4;

struct Target {
    std::string to;  // device, user or resource
    std::string id;
    bool operator<(const Target& other) const {
        return std::tie(to, id) < std::tie(other.to, other.id);
    }
};

struct Row {
    std::uint32_t next;  // of the same group; behind the last comes the first
    std::uint32_t line;
    std::uint32_t target;
    std::uint32_t prepend;
    std::uint32_t description;
    std::uint16_t priority;
    std::uint16_t weight;
    std::uint8_t strip;
    RowKind kind;
};

// A text without the + that E.164 numbers may begin with.
inline std::string_view without_plus(std::string_view text) {
    return text.starts_with('+') ? text.substr(1) : text;
}

class RouteTable {
public:
    using Index = std::int32_t;
    static constexpr Index none = -1;

    Index extension(std::string_view number) const {
        Index found = none;
        extensions_.walk(number, [&](std::uint64_t edge, std::size_t length) {
            if (length == number.size()) {
                found = static_cast<Index>(extensions_.ordinal(edge));
            }
        });
        return found;
    }

    // The most specific pattern in Asterisk's order.
    Index pattern(std::string_view number) const {
        return lists_.empty() ? none : most_specific(number, Beginnings(*this, number));
    }

    // The longest prefix; a + in front of the number is not looked at.
    Index prefix(std::string_view number) const {
        std::uint64_t last = no_edge;
        prefixes_.walk(without_plus(number), [&](std::uint64_t edge, std::size_t) { last = edge; });
        return last == no_edge ? none : static_cast<Index>(first_[2] + prefixes_.ordinal(last));
    }

    // The first regex that matches somewhere in the number.
    Index regex(std::string_view number) const {
        Groups groups;
        const Index found = regexes_.first(number, groups);
        return found < 0 ? none : static_cast<Index>(first_[3]) + found;
    }

    // The row that wins: extension, pattern, prefix, regex.
    Index match(std::string_view number) const {
        Index found = extension(number);
        if (found == none) {
            found = pattern(number);
        }
        if (found == none) {
            found = prefix(number);
        }
        return found == none ? regex(number) : found;
    }

    // The rows that win for many numbers.
    void match_many(const std::string_view* numbers, std::size_t count, Index* rows) const {
        if (index_bytes() > cached_bytes) {
            match_in_turns(numbers, count, rows);
            return;
        }
        for (std::size_t at = 0; at < count; ++at) {
            rows[at] = match(numbers[at]);
        }
    }

    // The same for a table that is waited for: numbers walk together.
    void match_in_turns(const std::string_view* numbers, std::size_t count, Index* rows) const {
        constexpr std::size_t at_once = LiteralSet::walks_at_once;
        for (std::size_t at = 0; at < count; at += at_once) {
            match_some(numbers + at, std::min(count - at, at_once), rows + at);
        }
    }

    const Row& row(Index index) const { return rows_[static_cast<std::size_t>(index)]; }
    const Target& target(const Row& row) const { return targets_[row.target]; }
    const std::string& prepend(const Row& row) const { return texts_[row.prepend]; }
    const std::string& description(const Row& row) const { return texts_[row.description]; }

    // The rows to try for a number whose best row this is, best first: its group, and for a prefix
    // the groups of the shorter ones.
    void hunt(std::string_view number, Index best, std::vector<Index>& rows) const {
        rows.clear();
        if (row(best).kind != RowKind::prefix) {
            add_group(best, rows);
            return;
        }
        std::vector<Index> heads;
        prefixes_.walk(without_plus(number), [&](std::uint64_t edge, std::size_t) {
            heads.push_back(static_cast<Index>(first_[2] + prefixes_.ordinal(edge)));
        });
        for (auto head = heads.rbegin(); head != heads.rend(); ++head) {
            add_group(*head, rows);
        }
    }

    // Every row that takes a number, first of its group only, in the order of precedence.
    void all(std::string_view number, std::vector<Index>& rows) const;

    // What is dialled when a row is taken.
    std::string dialled(Index index, std::string_view number) const {
        const Row& taken = row(index);
        std::vector<re2::StringPiece> groups;
        if (taken.kind == RowKind::regex) {
            const Pattern& regex = regexes_[head(index) - first_[3]];
            if (regex.search(number, regex.groups(), groups)) {
                for (std::size_t at = 1; at < groups.size(); ++at) {
                    if (groups[at].data() != nullptr) {
                        number = {groups[at].data(), groups[at].size()};
                        break;
                    }
                }
            }
        }
        if (taken.strip == 0 && prepend(taken).empty()) {
            return std::string(number);
        }
        return std::string(prepend(taken)).append(skip(without_plus(number), taken.strip));
    }

    // The `match` of a row, patterns and prefixes in their plainest form.
    std::string text(Index index) const;

    std::size_t size() const { return rows_.size(); }
    const std::vector<Target>& targets() const { return targets_; }

    // What finds a row, without the rows.
    std::size_t index_bytes() const {
        return extensions_.bytes() + prefixes_.bytes() + beginnings_.bytes() + tails_.bytes() +
               lists_.size() * sizeof(PatternList);
    }

    std::size_t total_bytes() const {
        std::size_t texts = 0;
        for (const std::string& text : texts_) {
            texts += sizeof(text) + text.size();
        }
        return index_bytes() + rows_.size() * sizeof(Row) + texts;
    }

private:
    friend class RouteTableBuilder;

    static constexpr std::uint64_t no_edge = std::numeric_limits<std::uint64_t>::max();

    // The patterns that share a literal beginning.
    struct PatternList {
        std::uint32_t tails;      // what follows it, in tail_lists_
        std::uint32_t first_row;  // of the rows of patterns, in the order of the list
    };

    // What follows one or more literal beginnings, most specific first.
    struct TailList {
        std::vector<AsteriskPattern> patterns;
        TailAutomaton::State start = 0;
    };

    // The pattern lists whose beginnings a number has, shortest first.
    class Beginnings {
    public:
        struct Begun {
            std::uint32_t list;
            std::uint32_t length;
        };
        Beginnings() = default;
        // Only with the list that has no literal beginning.
        explicit Beginnings(const RouteTable& table) {
            if (table.has_bare_list_) {
                push({static_cast<std::uint32_t>(table.lists_.size() - 1), 0});
            }
        }
        Beginnings(const RouteTable& table, std::string_view number) : Beginnings(table) {
            table.beginnings_.walk(number, [&](std::uint64_t edge, std::size_t length) {
                push({table.beginnings_.ordinal(edge), static_cast<std::uint32_t>(length)});
            });
        }
        void push(Begun begun) {
            if (few_size_ < few_.size()) {
                few_[few_size_++] = begun;
            } else {
                more_.push_back(begun);
            }
        }
        std::size_t size() const { return few_size_ + more_.size(); }
        Begun operator[](std::size_t at) const {
            return at < few_size_ ? few_[at] : more_[at - few_size_];
        }

    private:
        std::array<Begun, 8> few_;
        std::size_t few_size_ = 0;
        std::vector<Begun> more_;
    };

    // A table that fits the cache next to a core has nothing to wait for.
    static constexpr std::size_t cached_bytes = 512 * 1024;

    // What `match` finds, for as many numbers as walk at once.
    void match_some(const std::string_view* numbers, std::size_t count, Index* rows) const {
        std::fill_n(rows, count, none);
        extensions_.walk_many(numbers, count, [&](auto at, std::uint64_t edge, std::size_t length) {
            if (length == numbers[at].size()) {
                rows[at] = static_cast<Index>(extensions_.ordinal(edge));
            }
        });
        match_patterns(numbers, count, rows);
        std::array<std::string_view, LiteralSet::walks_at_once> open;
        std::array<std::size_t, LiteralSet::walks_at_once> places;
        std::size_t left = 0;
        for (std::size_t at = 0; at < count; ++at) {
            open[left] = without_plus(numbers[at]);
            places[left] = at;
            left += rows[at] == none;
        }
        std::array<std::uint64_t, LiteralSet::walks_at_once> last;
        last.fill(no_edge);
        prefixes_.walk_many(open.data(), left, [&](auto at, std::uint64_t edge, std::size_t) {
            last[at] = edge;
        });
        for (std::size_t at = 0; at < left; ++at) {
            rows[places[at]] = last[at] == no_edge
                                   ? regex(numbers[places[at]])
                                   : static_cast<Index>(first_[2] + prefixes_.ordinal(last[at]));
        }
    }

    // Fills in the patterns of numbers that no extension has.
    void match_patterns(const std::string_view* numbers, std::size_t count, Index* rows) const {
        if (lists_.empty()) {
            return;
        }
        std::array<Beginnings, LiteralSet::walks_at_once> begun;
        for (std::size_t at = 0; at < count; ++at) {
            begun[at] = Beginnings(*this);
        }
        beginnings_.walk_many(numbers, count, [&](auto at, std::uint64_t edge, std::size_t length) {
            const std::uint32_t list = beginnings_.ordinal(edge);
            begun[at].push({list, static_cast<std::uint32_t>(length)});
            __builtin_prefetch(&lists_[list]);
        });
        for (std::size_t at = 0; at < count; ++at) {
            if (rows[at] == none) {
                rows[at] = most_specific(numbers[at], begun[at]);
            }
        }
    }

    // A longer literal beginning is more specific than anything a shorter one is followed by.
    Index most_specific(std::string_view number, const Beginnings& begun) const {
        for (std::size_t at = begun.size(); at-- > 0;) {
            const auto [list, length] = begun[at];
            const TailAutomaton::State start = tail_lists_[lists_[list].tails].start;
            const std::uint32_t found = tails_.match(start, number.substr(length));
            if (found != TailAutomaton::none) {
                return static_cast<Index>(first_[1] + lists_[list].first_row + found);
            }
        }
        return none;
    }

    void add_group(Index first, std::vector<Index>& rows) const {
        Index at = first;
        do {
            rows.push_back(at);
            at = static_cast<Index>(row(at).next);
        } while (at != first);
    }

    // The first row of a row's group. Rows that are not lie behind all that are.
    std::size_t head(Index index) const {
        auto at = static_cast<std::size_t>(index);
        while (at >= first_[3] + regexes_.size()) {
            at = rows_[at].next;
        }
        return at;
    }

    // The text behind its first `count` characters; bytes that continue a character count nothing.
    static std::string_view skip(std::string_view text, std::size_t count) {
        std::size_t at = 0;
        for (; at < text.size() && count > 0; --count) {
            do {
                ++at;
            } while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
        }
        return text.substr(at);
    }

    LiteralSet extensions_, beginnings_, prefixes_;
    TailAutomaton tails_;
    std::vector<PatternList> lists_;  // by the ordinal of the beginning
    bool has_bare_list_ = false;      // the last list has no literal beginning
    std::vector<TailList> tail_lists_;
    RegexList regexes_;
    std::size_t first_[row_kinds] = {};  // row of the first group of each kind
    std::vector<Row> rows_;
    std::vector<Target> targets_;
    std::vector<std::string> texts_;  // of `prepend` and `description`
};

inline void RouteTable::all(std::string_view number, std::vector<Index>& rows) const {
    rows.clear();
    if (const Index found = extension(number); found != none) {
        rows.push_back(found);
    }
    const Beginnings begun(*this, number);
    for (std::size_t at = begun.size(); at-- > 0;) {
        const auto [list, length] = begun[at];
        const auto& patterns = tail_lists_[lists_[list].tails].patterns;
        for (std::size_t local = 0; local < patterns.size(); ++local) {
            if (takes(patterns[local], number.substr(length))) {
                rows.push_back(static_cast<Index>(first_[1] + lists_[list].first_row + local));
            }
        }
    }
    const std::size_t prefixes = rows.size();
    prefixes_.walk(without_plus(number), [&](std::uint64_t edge, std::size_t) {
        rows.insert(rows.begin() + static_cast<std::ptrdiff_t>(prefixes),
                    static_cast<Index>(first_[2] + prefixes_.ordinal(edge)));
    });
    regexes_.until(number, [&](std::int32_t at) {
        if (regexes_[static_cast<std::size_t>(at)].matches(number)) {
            rows.push_back(static_cast<Index>(first_[3]) + at);
        }
        return false;
    });
}

inline std::string RouteTable::text(Index index) const {
    const std::size_t at = head(index);
    switch (rows_[at].kind) {
        case RowKind::extension: return extensions_.text(static_cast<std::uint32_t>(at));
        case RowKind::prefix: return prefixes_.text(static_cast<std::uint32_t>(at - first_[2]));
        case RowKind::regex: return regexes_[at - first_[3]].text();
        case RowKind::pattern: break;
    }
    const auto place = static_cast<std::uint32_t>(at - first_[1]);
    const auto after = std::upper_bound(
        lists_.begin(), lists_.end(), place,
        [](std::uint32_t value, const PatternList& list) { return value < list.first_row; });
    const PatternList& list = *std::prev(after);
    const bool bare = has_bare_list_ && after == lists_.end();
    const auto ordinal = static_cast<std::uint32_t>(std::prev(after) - lists_.begin());
    const std::string literal = bare ? "" : beginnings_.text(ordinal);
    return "_" + literal_text(literal) +
           tail_text(tail_lists_[list.tails].patterns[place - list.first_row]);
}

}  // namespace quickcall::numbers
