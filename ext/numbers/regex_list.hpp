// Regexes in order: which of them match a text. One pass over the text when they are many.
#pragma once

#include <re2/set.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pattern.hpp"

namespace quickcall::numbers {

// From so many on, one pass of an RE2::Set costs less than asking one regex after the other.
inline constexpr std::size_t many_regexes = 12;

// What a set may use for its program and its automaton, which grows with the numbers asked for.
inline constexpr std::int64_t set_memory_per_regex = 128 * 1024;
inline constexpr std::int64_t set_memory_bytes = 16 * 1024 * 1024;

using Groups = std::vector<re2::StringPiece>;

// Filled by add(), closed by prepare(), then only read, from any number of threads.
class RegexList {
public:
    // False when RE2 refuses the regex; then nothing is added.
    bool add(std::string_view regex) {
        auto pattern = std::make_unique<Pattern>(regex);
        if (!pattern->ok()) {
            return false;
        }
        patterns_.push_back(std::move(pattern));
        texts_.emplace_back(regex);
        return true;
    }

    void prepare() {
        if (size() >= many_regexes) {
            RE2::Options options = pattern_options();
            options.set_max_mem(std::min(
                set_memory_bytes, set_memory_per_regex * static_cast<std::int64_t>(size())));
            auto set = std::make_unique<RE2::Set>(options, RE2::UNANCHORED);
            for (const std::string& text : texts_) {
                set->Add(piece(text), nullptr);
            }
            // A set too large for its memory is done without.
            if (set->Compile()) {
                set_ = std::move(set);
            }
        }
        texts_ = {};
    }

    std::size_t size() const { return patterns_.size(); }
    const Pattern& operator[](std::size_t index) const { return *patterns_[index]; }

    // Fills `matching` with the indices of the regexes that match, in order. False when that can
    // only be found out one by one: they are few, or the set ran out of memory.
    bool screen(std::string_view text, std::vector<int>& matching) const {
        if (!set_) {
            return false;
        }
        RE2::Set::ErrorInfo error{RE2::Set::kNoError};
        if (set_->Match(piece(text), &matching, &error)) {
            std::sort(matching.begin(), matching.end());
            return true;
        }
        matching.clear();
        return error.kind == RE2::Set::kNoError;
    }

    // Calls decide(index), in order, for every regex that may match, until it returns true.
    template <typename Decide>
    bool until(std::string_view text, Decide decide) const {
        std::vector<int> matching;
        if (screen(text, matching)) {
            return std::any_of(matching.begin(), matching.end(), decide);
        }
        for (std::size_t index = 0; index < size(); ++index) {
            if (decide(static_cast<std::int32_t>(index))) {
                return true;
            }
        }
        return false;
    }

    // The first regex that matches somewhere in the text, or -1.
    std::int32_t first(std::string_view text, Groups& groups) const {
        std::int32_t found = -1;
        until(text, [&](std::int32_t index) {
            if (patterns_[static_cast<std::size_t>(index)]->search(text, 0, groups)) {
                found = index;
            }
            return found >= 0;
        });
        return found;
    }

private:
    std::vector<std::unique_ptr<Pattern>> patterns_;
    std::vector<std::string> texts_;  // until prepare()
    std::unique_ptr<RE2::Set> set_;
};

}  // namespace quickcall::numbers
