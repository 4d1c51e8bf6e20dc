// Rows in, a RouteTable out, or the first row at fault.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "route_table.hpp"

namespace quickcall::numbers {

// Why a row is refused; `field` is empty for a good one.
struct RowRefusal {
    std::string field;
    std::string reason;
    std::int64_t position = -1;  // in bytes, -1: the value as a whole
    std::uint32_t line = 0;
    std::string value;
};

class RouteTableBuilder {
public:
    // Each takes kilobytes of memory, and time for every number that no other row takes.
    static constexpr std::size_t regex_limit = 1000;

    // Numbers are in bounds and texts are clean when they come here; what only a look at `match`
    // can tell is told now, what only all rows together can by `build`.
    RowRefusal add(std::uint32_t line, RowKind kind, std::string_view match, std::string_view to,
                   std::string_view id, std::uint16_t priority, std::uint16_t weight,
                   std::uint8_t strip, std::string_view prepend, std::string_view description) {
        Entry entry{{}, {0, line, target(to, id), text(prepend), text(description),
                         priority, weight, strip, kind}, 0};
        switch (kind) {
            case RowKind::pattern: {
                AsteriskPattern pattern;
                const PatternRefusal refusal = read_pattern(match, pattern);
                if (refusal.reason != nullptr) {
                    const auto position = static_cast<std::int64_t>(refusal.position);
                    return {"match", refusal.reason, position, line, std::string(match)};
                }
                append_symbols(pattern.literal, entry.symbols);
                pattern.literal.clear();
                const auto next = static_cast<std::uint32_t>(tails_.size());
                entry.tail = tails_.try_emplace(std::move(pattern), next).first->second;
                break;
            }
            case RowKind::prefix: match = without_plus(match); [[fallthrough]];
            case RowKind::extension: append_symbols(match, entry.symbols); break;
            case RowKind::regex:
                if (entries_[static_cast<std::size_t>(kind)].size() == regex_limit) {
                    return {"kind", "a table may have at most " + std::to_string(regex_limit) +
                                        " rows of this kind", -1, line, "regex"};
                }
                entry.symbols = match;
                break;
        }
        entries_[static_cast<std::size_t>(kind)].push_back(std::move(entry));
        return {};
    }

    // Compiles what was added; a builder builds once. Null when `refusal` says why not.
    std::shared_ptr<const RouteTable> build(RowRefusal& refusal) {
        table_ = std::make_shared<RouteTable>();
        table_->targets_ = std::move(targets_);
        table_->texts_ = std::move(texts_);
        rank_tails();
        std::vector<std::vector<Group>> groups;
        for (std::vector<Entry>& entries : entries_) {
            groups.push_back(group(entries));
        }
        if (!place(groups, refusal)) {
            return nullptr;
        }
        table_->rows_.shrink_to_fit();
        table_->tails_.shrink();
        return std::exchange(table_, nullptr);
    }

private:
    struct Entry {
        std::string symbols;  // what it is found by; for a regex the regex
        Row row;
        std::uint32_t tail;  // of a pattern
    };

    // Entries of one kind with one text, in hunt order.
    struct Group {
        std::size_t first, last;
    };

    std::uint32_t target(std::string_view to, std::string_view id) {
        const auto next = static_cast<std::uint32_t>(targets_.size());
        std::string key(to);
        key.append(1, ':').append(id);
        const auto [place, fresh] = target_numbers_.try_emplace(std::move(key), next);
        if (fresh) {
            targets_.push_back({std::string(to), std::string(id)});
        }
        return place->second;
    }

    std::uint32_t text(std::string_view text) {
        const auto next = static_cast<std::uint32_t>(texts_.size());
        const auto [place, fresh] = text_numbers_.try_emplace(std::string(text), next);
        if (fresh) {
            texts_.emplace_back(text);
        }
        return place->second;
    }

    // Numbers the tails of patterns in Asterisk's order.
    void rank_tails() {
        std::vector<std::uint32_t> rank(tails_.size());
        std::uint32_t next = 0;
        for (auto& [pattern, number] : tails_) {  // the map is in that order
            rank[number] = next++;
            table_->tails_.learn(pattern);
            ranked_.push_back(pattern);
        }
        for (Entry& entry : entries_[static_cast<std::size_t>(RowKind::pattern)]) {
            entry.tail = rank[entry.tail];
        }
        table_->tails_.begin();
        tails_.clear();
    }

    static std::vector<Group> group(std::vector<Entry>& entries) {
        const auto same = [](const Entry& a, const Entry& b) {
            return a.tail == b.tail && a.symbols == b.symbols;
        };
        // Regexes are asked in the order of their lines, all others are sorted to be found.
        const bool ordered = !entries.empty() && entries.front().row.kind == RowKind::regex;
        if (ordered) {
            std::unordered_map<std::string, std::uint32_t> first;
            for (Entry& entry : entries) {
                entry.tail = first.try_emplace(entry.symbols, entry.row.line).first->second;
            }
        }
        std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
            if (!ordered) {
                if (const int order = a.symbols.compare(b.symbols); order != 0) {
                    return order < 0;
                }
            }
            return std::make_tuple(a.tail, a.row.priority, b.row.weight, a.row.line) <
                   std::make_tuple(b.tail, b.row.priority, a.row.weight, b.row.line);
        });
        std::vector<Group> groups;
        for (std::size_t at = 0; at < entries.size(); ++at) {
            if (at == 0 || !same(entries[at - 1], entries[at])) {
                groups.push_back({at, at});
            }
            groups.back().last = at + 1;
        }
        return groups;
    }

    // Lays the groups out: extensions, pattern lists, prefixes, regexes, then all rows that are not
    // the first of their group.
    bool place(const std::vector<std::vector<Group>>& groups, RowRefusal& refusal);
    void place_set(const std::vector<Group>& groups, RowKind kind, LiteralSet& set);
    bool place_patterns(const std::vector<Group>& groups, RowRefusal& refusal);
    bool place_list(const std::vector<Group>& groups, Group list, RouteTable::PatternList& made);
    void place_group(RowKind kind, Group group, std::size_t head);

    // Only carriers are hunted: a group is one device or user, or carriers.
    bool check_group(RowKind kind, Group group, RowRefusal& refusal) const;
    RowRefusal refuse(const Entry& entry, std::string field, std::string reason) const;

    std::vector<Entry> entries_[row_kinds];
    std::vector<Target> targets_;
    std::vector<std::string> texts_;
    std::unordered_map<std::string, std::uint32_t> target_numbers_, text_numbers_;
    std::map<AsteriskPattern, std::uint32_t> tails_;
    std::vector<AsteriskPattern> ranked_;
    // By the tails of a list, its place in `tail_lists_`.
    std::map<std::vector<std::uint32_t>, std::uint32_t> known_lists_;
    std::shared_ptr<RouteTable> table_;
};

inline bool RouteTableBuilder::place(const std::vector<std::vector<Group>>& groups,
                                     RowRefusal& refusal) {
    std::size_t heads = 0, rows = 0;
    for (int kind = 0; kind < row_kinds; ++kind) {
        for (const Group group : groups[kind]) {
            if (!check_group(static_cast<RowKind>(kind), group, refusal)) {
                return false;
            }
        }
        table_->first_[kind] = heads;
        heads += groups[kind].size();
        rows += entries_[kind].size();
    }
    table_->rows_.reserve(rows);
    table_->rows_.resize(heads);
    place_set(groups[0], RowKind::extension, table_->extensions_);
    place_set(groups[2], RowKind::prefix, table_->prefixes_);
    for (std::size_t at = 0; at < groups[3].size(); ++at) {
        const Entry& entry = entries_[3][groups[3][at].first];
        if (!table_->regexes_.add(entry.symbols)) {
            refusal = refuse(entry, "match", "is no regex that RE2 takes");
            return false;
        }
        place_group(RowKind::regex, groups[3][at], table_->first_[3] + at);
    }
    table_->regexes_.prepare();
    return place_patterns(groups[1], refusal);
}

inline void RouteTableBuilder::place_set(const std::vector<Group>& groups, RowKind kind,
                                         LiteralSet& set) {
    const std::vector<Entry>& entries = entries_[static_cast<std::size_t>(kind)];
    std::vector<std::string_view> texts;
    texts.reserve(groups.size());
    for (const Group group : groups) {
        texts.push_back(entries[group.first].symbols);
    }
    std::vector<LiteralSet::Ordinal> ordinals;
    set.build(texts, ordinals);
    for (std::size_t at = 0; at < groups.size(); ++at) {
        const std::size_t first = table_->first_[static_cast<std::size_t>(kind)];
        place_group(kind, groups[at], first + ordinals[at]);
    }
}

inline bool RouteTableBuilder::place_patterns(const std::vector<Group>& groups,
                                              RowRefusal& refusal) {
    const std::vector<Entry>& entries = entries_[static_cast<std::size_t>(RowKind::pattern)];
    std::vector<Group> lists;  // ranges of `groups` with one literal beginning
    for (std::size_t at = 0; at < groups.size(); ++at) {
        const std::string& literal = entries[groups[at].first].symbols;
        if (at == 0 || literal != entries[groups[at - 1].first].symbols) {
            lists.push_back({at, at});
        }
        lists.back().last = at + 1;
    }
    // The list without a literal sorts first, and goes last: no set holds the empty text.
    table_->has_bare_list_ = !lists.empty() && entries[groups[0].first].symbols.empty();
    std::vector<std::string_view> literals;
    for (std::size_t at = table_->has_bare_list_; at < lists.size(); ++at) {
        literals.push_back(entries[groups[lists[at].first].first].symbols);
    }
    std::vector<LiteralSet::Ordinal> ordinals;
    table_->beginnings_.build(literals, ordinals);
    std::vector<std::size_t> by_ordinal(lists.size());
    for (std::size_t at = 0; at < ordinals.size(); ++at) {
        by_ordinal[ordinals[at]] = at + table_->has_bare_list_;
    }
    std::uint32_t row = 0;
    for (const std::size_t at : by_ordinal) {
        RouteTable::PatternList made{0, row};
        if (!place_list(groups, lists[at], made)) {
            const Entry& last = entries[groups[lists[at].last - 1].first];
            refusal = refuse(last, "match", "overlaps with too many others at too many places");
            return false;
        }
        for (std::size_t group = lists[at].first; group < lists[at].last; ++group) {
            place_group(RowKind::pattern, groups[group], table_->first_[1] + row++);
        }
        table_->lists_.push_back(made);
    }
    table_->lists_.shrink_to_fit();
    return true;
}

inline bool RouteTableBuilder::place_list(const std::vector<Group>& groups, Group list,
                                          RouteTable::PatternList& made) {
    std::vector<std::uint32_t> tails;
    for (std::size_t at = list.first; at < list.last; ++at) {
        tails.push_back(entries_[static_cast<std::size_t>(RowKind::pattern)][groups[at].first].tail);
    }
    const auto next = static_cast<std::uint32_t>(table_->tail_lists_.size());
    const auto [known, fresh] = known_lists_.try_emplace(std::move(tails), next);
    made.tails = known->second;
    if (!fresh) {
        return true;
    }
    RouteTable::TailList& list_made = table_->tail_lists_.emplace_back();
    for (const std::uint32_t tail : known->first) {
        list_made.patterns.push_back(ranked_[tail]);
    }
    return table_->tails_.compile(list_made.patterns, list_made.start);
}

inline void RouteTableBuilder::place_group(RowKind kind, Group group, std::size_t head) {
    const std::vector<Entry>& entries = entries_[static_cast<std::size_t>(kind)];
    std::vector<Row>& rows = table_->rows_;
    rows[head] = entries[group.first].row;
    std::size_t last = head;
    for (std::size_t at = group.first + 1; at < group.last; ++at) {
        rows[last].next = static_cast<std::uint32_t>(rows.size());
        last = rows.size();
        rows.push_back(entries[at].row);
    }
    rows[last].next = static_cast<std::uint32_t>(head);
}

inline bool RouteTableBuilder::check_group(RowKind kind, Group group, RowRefusal& refusal) const {
    if (group.last - group.first == 1) {
        return true;
    }
    const std::vector<Entry>& entries = entries_[static_cast<std::size_t>(kind)];
    for (std::size_t at = group.first; at < group.last; ++at) {
        if (table_->targets_[entries[at].row.target].to != "resource") {
            // The row to blame is the last one, whichever is hunted first.
            const auto [first, last] = std::minmax_element(
                entries.begin() + static_cast<std::ptrdiff_t>(group.first),
                entries.begin() + static_cast<std::ptrdiff_t>(group.last),
                [](const Entry& a, const Entry& b) { return a.row.line < b.row.line; });
            refusal = refuse(*last, "match",
                             "stands in line " + std::to_string(first->row.line) +
                                 " too, and only carriers are hunted");
            return false;
        }
    }
    return true;
}

inline RowRefusal RouteTableBuilder::refuse(const Entry& entry, std::string field,
                                            std::string reason) const {
    std::string value;
    switch (entry.row.kind) {
        case RowKind::regex: value = entry.symbols; break;
        case RowKind::pattern:
            value = "_" + literal_text(text_of(entry.symbols)) + tail_text(ranked_[entry.tail]);
            break;
        default: value = text_of(entry.symbols);
    }
    return {std::move(field), std::move(reason), -1, entry.row.line, std::move(value)};
}

}  // namespace quickcall::numbers
