// Rules that make another number of a number: Kazoo's dial_plan and its E.164 converters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "regex_list.hpp"

namespace quickcall::numbers {

// What is put around a number.
struct Affixes {
    std::string prefix;
    std::string suffix;

    std::string around(std::string_view root) const {
        std::string joined;
        joined.reserve(prefix.size() + root.size() + suffix.size());
        joined.append(prefix).append(root).append(suffix);
        return joined;
    }
};

inline std::string_view view(re2::StringPiece text) { return {text.data(), text.size()}; }

// Filled by add(), closed by prepare(), then only read, from any number of threads.
class Rewrites {
public:
    // False when RE2 refuses the regex; then nothing is added.
    bool add(std::string_view regex, std::string_view prefix, std::string_view suffix) {
        if (!regexes_.add(regex)) {
            return false;
        }
        affixes_.push_back({std::string(prefix), std::string(suffix)});
        return true;
    }

    void prepare() { regexes_.prepare(); }

    // Rewrites by the first rule that matches and leaves something to dial; returns its index, or
    // -1 and leaves the number alone.
    std::int32_t apply(std::string& number, Groups& groups) const {
        std::int32_t applied = -1;
        std::string result;
        regexes_.until(number, [&](std::int32_t index) {
            result = rewritten(index, number, groups);
            if (!result.empty()) {
                applied = index;
            }
            return applied >= 0;
        });
        if (applied >= 0) {
            number = std::move(result);
        }
        return applied;
    }

    // What a rule makes of a number: "" when it does not match or leaves nothing to dial. Kazoo's
    // root is the last group that took part, or the whole match: a rule with alternatives
    // ("^011(\d+)$|^00(\d+)$") leaves the groups of the losing side unset.
    std::string rewritten(std::int32_t index, std::string_view number, Groups& groups) const {
        const Pattern& pattern = regexes_[static_cast<std::size_t>(index)];
        if (!pattern.search(number, pattern.groups(), groups)) {
            return {};
        }
        std::size_t last = groups.size() - 1;
        while (last > 0 && groups[last].data() == nullptr) {
            --last;
        }
        return affixes_[static_cast<std::size_t>(index)].around(view(groups[last]));
    }

    std::size_t size() const { return regexes_.size(); }

private:
    RegexList regexes_;
    std::vector<Affixes> affixes_;
};

}  // namespace quickcall::numbers
