// What follows the literal beginnings of patterns, as one deterministic automaton: one table look-up
// for each character, whatever the patterns are.
//
// Patterns with the same beginning form a list in Asterisk's order; equal lists are compiled once,
// however many beginnings they follow. A state is the set of patterns of a list that may still match,
// and knows the first of them that would, if the number ended here.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "asterisk_pattern.hpp"

namespace quickcall::numbers {

class TailAutomaton {
public:
    using State = std::uint32_t;
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    // What subset construction may cost: sets of patterns that overlap at many places can ask for
    // exponentially many states, and such a table is refused.
    static constexpr std::size_t cell_limit = 1 << 23;
    static constexpr std::size_t work_limit = 1 << 27;

    // Every pattern that will be compiled, so that bytes no pattern tells apart share a column.
    void learn(const AsteriskPattern& pattern) {
        for (const ByteSet& set : pattern.classes) {
            sets_.try_emplace(set.bits);
        }
    }

    void begin() {
        std::map<std::vector<bool>, std::uint8_t> columns;
        for (unsigned byte = 0; byte < 256; ++byte) {
            std::vector<bool> member;
            for (const auto& [bits, nothing] : sets_) {
                member.push_back(ByteSet{bits}.has(static_cast<unsigned char>(byte)));
            }
            const auto next = static_cast<std::uint8_t>(columns.size());
            const auto [place, fresh] = columns.try_emplace(std::move(member), next);
            column_[byte] = place->second;
            if (fresh) {
                example_.push_back(static_cast<unsigned char>(byte));
            }
        }
        sets_.clear();
        add_state(none);  // the dead state
    }

    // Compiles a list of different patterns, most specific first; false beyond the limits.
    bool compile(const std::vector<AsteriskPattern>& patterns, State& start);

    // Which pattern of the list matches the rest of a number: its index, or none.
    std::uint32_t match(State state, std::string_view rest) const {
        for (const char character : rest) {
            state = next_[state * example_.size() + column_[static_cast<unsigned char>(character)]];
            if (state == dead) {
                return none;
            }
        }
        return accepted_[state];
    }

    std::size_t bytes() const { return (next_.size() + accepted_.size()) * sizeof(State); }
    void shrink() {
        next_.shrink_to_fit();
        accepted_.shrink_to_fit();
    }

private:
    static constexpr State dead = 0;
    static constexpr std::uint32_t anything = none;  // a place: whatever follows, it matches

    // A pattern of the list and how many of its classes are behind.
    struct Item {
        std::uint32_t pattern;
        std::uint32_t place;
        bool operator==(const Item&) const = default;
    };
    using Items = std::vector<Item>;

    struct Hash {
        std::size_t operator()(const Items& items) const {
            std::uint64_t hash = 0x9e3779b97f4a7c15;
            for (const Item& item : items) {
                hash = (hash ^ (std::uint64_t{item.pattern} << 32 | item.place)) * 0xff51afd7ed558ccd;
                hash ^= hash >> 32;
            }
            return hash;
        }
    };

    // Adds an item; false when no later one can matter, because this one takes any rest.
    static bool keep(Items& items, const AsteriskPattern& pattern, Item item) {
        if (item.place == pattern.classes.size() && pattern.tail == Tail::any) {
            item.place = anything;
        }
        items.push_back(item);
        return item.place != anything;
    }

    static std::uint32_t accepted(const std::vector<AsteriskPattern>& patterns, const Items& items) {
        for (const Item& item : items) {
            const AsteriskPattern& pattern = patterns[item.pattern];
            const bool complete =
                item.place == pattern.classes.size() && pattern.tail == Tail::nothing;
            if (complete || item.place == anything) {
                return item.pattern;
            }
        }
        return none;
    }

    static Items advance(const std::vector<AsteriskPattern>& patterns, const Items& items,
                         unsigned char byte) {
        Items after;
        for (const Item& item : items) {
            const AsteriskPattern& pattern = patterns[item.pattern];
            Item moved{item.pattern, anything};
            if (item.place == pattern.classes.size()) {
                if (pattern.tail != Tail::some) {
                    continue;
                }
            } else if (item.place != anything) {
                if (!pattern.classes[item.place].has(byte)) {
                    continue;
                }
                moved.place = item.place + 1;
            }
            if (!keep(after, pattern, moved)) {
                break;
            }
        }
        return after;
    }

    State add_state(std::uint32_t accepts) {
        next_.resize(next_.size() + example_.size(), dead);
        accepted_.push_back(accepts);
        return static_cast<State>(accepted_.size() - 1);
    }

    std::map<std::array<std::uint64_t, 4>, char> sets_;
    std::array<std::uint8_t, 256> column_{};
    std::vector<unsigned char> example_;  // of each column
    std::vector<State> next_;             // by state and column
    std::vector<std::uint32_t> accepted_;
    std::size_t work_ = 0;
};

inline bool TailAutomaton::compile(const std::vector<AsteriskPattern>& patterns, State& start) {
    std::unordered_map<Items, State, Hash> known;
    std::vector<std::pair<State, const Items*>> open;
    const auto state_of = [&](Items items) {
        if (items.empty()) {
            return dead;
        }
        const auto [place, fresh] = known.try_emplace(std::move(items), dead);
        if (fresh) {
            place->second = add_state(accepted(patterns, place->first));
            open.emplace_back(place->second, &place->first);
        }
        return place->second;
    };
    Items first;
    for (std::uint32_t index = 0; index < patterns.size(); ++index) {
        if (!keep(first, patterns[index], {index, 0})) {
            break;
        }
    }
    start = state_of(std::move(first));
    while (!open.empty()) {
        const auto [state, items] = open.back();
        open.pop_back();
        work_ += items->size() * example_.size();
        if (work_ > work_limit || next_.size() > cell_limit) {
            return false;
        }
        for (std::size_t column = 0; column < example_.size(); ++column) {
            const State target = state_of(advance(patterns, *items, example_[column]));
            next_[state * example_.size() + column] = target;
        }
    }
    return true;
}

}  // namespace quickcall::numbers
