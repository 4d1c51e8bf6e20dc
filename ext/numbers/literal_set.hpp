// A set of texts that are beginnings of numbers, as one bit vector with rank: the trie itself is
// never stored as pointers, a child's place is counted.
//
// A node has 16 edges, one for each symbol a dialled character can be. Two bits stand for an edge:
// `children` (there are longer texts that way) and `marks` (a text of the set ends there). Nodes that
// nothing leads on from do not exist. Nodes are numbered level by level and edges within them by
// symbol, so the node an edge leads to is the number of `children` bits before it, plus one for the
// root; the text an edge ends is the number of `marks` bits before it. Twelve nodes with their counts
// fill one cache line, so a step reads one line, and a million prefixes of a usual rate table
// take about two bytes each.
//
// Jacobson, "Space-efficient Static Trees and Graphs" (1989), is where counting instead of pointing
// comes from.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace quickcall::numbers {

inline constexpr std::uint8_t escape_symbol = 13;

// 0-9 * # + are symbols of their own; every other byte is the escape and its two halves. No text's
// symbols begin another's unless the text does, so prefixes stay prefixes.
inline constexpr std::array<std::uint8_t, 256> symbols = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(escape_symbol);
    for (std::uint8_t digit = 0; digit < 10; ++digit) {
        table['0' + digit] = digit;
    }
    table['*'] = 10;
    table['#'] = 11;
    table['+'] = 12;
    return table;
}();

// Appends the symbols of a text, one byte each.
inline void append_symbols(std::string_view text, std::string& out) {
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        const std::uint8_t symbol = symbols[byte];
        out.push_back(static_cast<char>(symbol));
        if (symbol == escape_symbol) {
            out.push_back(static_cast<char>(byte >> 4));
            out.push_back(static_cast<char>(byte & 15));
        }
    }
}

// The text that has these symbols.
inline std::string text_of(std::string_view symbols_of_text) {
    std::string text;
    for (std::size_t at = 0; at < symbols_of_text.size(); ++at) {
        const auto symbol = static_cast<unsigned char>(symbols_of_text[at]);
        if (symbol == escape_symbol) {
            text.push_back(static_cast<char>(symbols_of_text[at + 1] << 4 | symbols_of_text[at + 2]));
            at += 2;
        } else {
            text.push_back("0123456789*#+"[symbol]);
        }
    }
    return text;
}

class LiteralSet {
public:
    using Ordinal = std::uint32_t;

    // More walks hide no more of the time memory takes.
    static constexpr std::size_t walks_at_once = 32;

    // `texts` are strings of symbols, none empty, sorted and each once. `ordinals` receives the
    // ordinal of every text; ordinals count from 0 and are dense.
    void build(const std::vector<std::string_view>& texts, std::vector<Ordinal>& ordinals);

    // How far a walk along a number has come.
    struct Place {
        std::uint32_t node = 0;
        bool open = false;  // whether longer texts lie that way
    };

    Place begin() const { return {0, !blocks_.empty()}; }

    // Goes on from an open place by the next byte of a number. Calls `on_mark(edge)` when a text of
    // the set ends behind it; `ordinal(edge)` tells which.
    template <class OnMark>
    void step(Place& place, unsigned char byte, OnMark on_mark) const {
        std::uint64_t edge = edge_of(place.node, symbols[byte]);
        if (symbols[byte] == escape_symbol) [[unlikely]] {
            place.open = descend(edge, place.node) &&
                         descend(edge = edge_of(place.node, byte >> 4), place.node);
            if (!place.open) {
                return;
            }
            edge = edge_of(place.node, byte & 15);
        }
        if (bit(blocks_[edge / edges].marks, edge % edges)) {
            on_mark(edge);
        }
        place.open = descend(edge, place.node);
    }

    // Calls `on_mark(edge, length)` for every text of the set that `number` begins with, shortest
    // first; `length` is in bytes of the number.
    template <class OnMark>
    void walk(std::string_view number, OnMark on_mark) const {
        Place place = begin();
        for (std::size_t at = 0; place.open && at < number.size(); ++at) {
            step(place, static_cast<unsigned char>(number[at]),
                 [&](std::uint64_t edge) { on_mark(edge, at + 1); });
        }
    }

    // Walks along at most `walks_at_once` numbers in turns, so that while one waits for memory the
    // others go on. Calls `on_mark(index, edge, length)` as `walk` does, for each number in order.
    template <class OnMark>
    void walk_many(const std::string_view* numbers, std::size_t count, OnMark on_mark) const {
        struct Walker {
            std::uint32_t node;
            std::uint32_t index;
            std::size_t at;
        };
        std::array<Walker, walks_at_once> walkers;
        std::size_t open = 0;
        for (std::size_t index = 0; index < count && !blocks_.empty(); ++index) {
            walkers[open] = {0, static_cast<std::uint32_t>(index), 0};
            open += !numbers[index].empty();
        }
        while (open > 0) {
            std::size_t kept = 0;
            for (std::size_t turn = 0; turn < open; ++turn) {
                Walker walker = walkers[turn];
                const std::string_view number = numbers[walker.index];
                Place place{walker.node, true};
                step(place, static_cast<unsigned char>(number[walker.at++]),
                     [&](std::uint64_t edge) { on_mark(walker.index, edge, walker.at); });
                // Kept or not without a branch: nobody could foresee which walk ends when.
                walker.node = place.node;
                __builtin_prefetch(&blocks_[place.node / nodes]);
                walkers[kept] = walker;
                kept += place.open && walker.at < number.size();
            }
            open = kept;
        }
    }

    Ordinal ordinal(std::uint64_t edge) const {
        const Block& block = blocks_[edge / edges];
        return block.first_mark + below(block.marks, block.marks_before, edge % edges);
    }

    // The text of an ordinal, found by asking where in the count it lies.
    std::string text(Ordinal ordinal) const;

    std::size_t bytes() const { return blocks_.size() * sizeof(Block); }

private:
    static constexpr std::uint32_t nodes = 12;       // in a block
    static constexpr std::uint32_t edges = 16 * nodes;
    static constexpr std::uint32_t words = edges / 64;
    using Words = std::array<std::uint64_t, words>;

    struct alignas(64) Block {
        Words children{};
        Words marks{};
        std::uint32_t first_child = 0;  // bits of `children` in all blocks before
        std::uint32_t first_mark = 0;
        std::array<std::uint8_t, words> children_before{};  // in the words before, of this block
        std::array<std::uint8_t, words> marks_before{};
    };
    static_assert(sizeof(Block) == 64);

    static std::uint64_t edge_of(std::uint32_t node, std::uint32_t symbol) {
        return std::uint64_t{node} * 16 + symbol;
    }

    static bool bit(const Words& bits, std::uint64_t index) {
        return (bits[index / 64] >> (index % 64) & 1) != 0;
    }

    // How many bits are set before `index` in the words of a block.
    static std::uint32_t below(const Words& bits, const std::array<std::uint8_t, words>& before,
                               std::uint64_t index) {
        const std::uint64_t lower = (std::uint64_t{1} << (index % 64)) - 1;
        return before[index / 64] +
               static_cast<std::uint32_t>(std::popcount(bits[index / 64] & lower));
    }

    // Goes along an edge; false when nothing of the set lies that way.
    bool descend(std::uint64_t edge, std::uint32_t& node) const {
        const Block& block = blocks_[edge / edges];
        const std::uint64_t index = edge % edges;
        node = block.first_child + below(block.children, block.children_before, index) + 1;
        return bit(block.children, index);
    }

    template <std::uint32_t Block::*First, Words Block::*Bits>
    std::uint64_t edge_with(std::uint32_t ordinal) const;

    void count();

    std::vector<Block> blocks_;
};

inline void LiteralSet::build(const std::vector<std::string_view>& texts,
                              std::vector<Ordinal>& ordinals) {
    struct Range {
        std::size_t first, last;
    };
    ordinals.assign(texts.size(), 0);
    blocks_.clear();
    std::vector<Range> level, next;
    if (!texts.empty()) {
        level.push_back({0, texts.size()});
    }
    std::uint64_t node = 0;
    Ordinal ordinal = 0;
    for (std::size_t depth = 0; !level.empty(); ++depth, level.swap(next), next.clear()) {
        for (const Range range : level) {
            if (node % nodes == 0) {
                blocks_.emplace_back();
            }
            Block& block = blocks_.back();
            for (std::size_t first = range.first; first < range.last;) {
                const char symbol = texts[first][depth];
                std::size_t last = first + 1;
                while (last < range.last && texts[last][depth] == symbol) {
                    ++last;
                }
                const std::uint64_t index = node % nodes * 16 + static_cast<unsigned char>(symbol);
                const std::uint64_t mask = std::uint64_t{1} << (index % 64);
                // Sorted, so the text that ends here comes before the longer ones.
                const bool ends = texts[first].size() == depth + 1;
                if (ends) {
                    block.marks[index / 64] |= mask;
                    ordinals[first] = ordinal++;
                }
                if (first + ends < last) {
                    block.children[index / 64] |= mask;
                    next.push_back({first + ends, last});
                }
                first = last;
            }
            ++node;
        }
    }
    blocks_.shrink_to_fit();
    count();
}

inline void LiteralSet::count() {
    std::uint32_t children = 0, marks = 0;
    for (Block& block : blocks_) {
        block.first_child = children;
        block.first_mark = marks;
        for (std::size_t word = 0; word < words; ++word) {
            // Two words hold at most 128 bits, so the counts fit.
            block.children_before[word] = static_cast<std::uint8_t>(children - block.first_child);
            block.marks_before[word] = static_cast<std::uint8_t>(marks - block.first_mark);
            children += static_cast<std::uint32_t>(std::popcount(block.children[word]));
            marks += static_cast<std::uint32_t>(std::popcount(block.marks[word]));
        }
    }
}

// The edge whose bit is the one of that ordinal.
template <std::uint32_t LiteralSet::Block::*First, LiteralSet::Words LiteralSet::Block::*Bits>
std::uint64_t LiteralSet::edge_with(std::uint32_t ordinal) const {
    const auto after = std::upper_bound(
        blocks_.begin(), blocks_.end(), ordinal,
        [](std::uint32_t value, const Block& block) { return value < block.*First; });
    const Block& block = *std::prev(after);
    std::uint32_t left = ordinal - block.*First;
    std::size_t word = 0;
    while (left >= static_cast<std::uint32_t>(std::popcount((block.*Bits)[word]))) {
        left -= static_cast<std::uint32_t>(std::popcount((block.*Bits)[word++]));
    }
    std::uint64_t rest = (block.*Bits)[word];
    for (; left > 0; --left) {
        rest &= rest - 1;
    }
    const auto number = static_cast<std::uint64_t>(std::prev(after) - blocks_.begin());
    return number * edges + word * 64 + static_cast<std::uint64_t>(std::countr_zero(rest));
}

inline std::string LiteralSet::text(Ordinal ordinal) const {
    std::string reversed;
    std::uint64_t edge = edge_with<&Block::first_mark, &Block::marks>(ordinal);
    for (;;) {
        reversed.push_back(static_cast<char>(edge % 16));
        const auto node = static_cast<std::uint32_t>(edge / 16);
        if (node == 0) {
            break;
        }
        edge = edge_with<&Block::first_child, &Block::children>(node - 1);
    }
    std::reverse(reversed.begin(), reversed.end());
    return text_of(reversed);
}

}  // namespace quickcall::numbers
