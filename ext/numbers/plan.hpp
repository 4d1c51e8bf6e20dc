// One account's dial plan: built once, then only read, from any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pattern.hpp"

namespace quickcall::numbers {

inline constexpr std::int64_t none = -1;

// One carrier willing to take the number, and what to dial there.
struct Hop {
    std::int64_t carrier;
    std::int64_t rule;
    std::string number;
};

// Every decision taken for a number; indices are those of the order of adding.
struct Resolution {
    std::int64_t rewrite = none;
    std::int64_t extension = none;
    std::string number;      // what extensions and carriers were asked for in the end
    std::vector<Hop> hops;   // in hunt order; empty when an extension was found
};

class Plan {
public:
    // False when the number is there already.
    bool add_extension(std::string_view number) {
        const auto index = static_cast<std::int64_t>(extensions_.size());
        return extensions_.try_emplace(std::string(number), index).second;
    }

    // False when RE2 refuses the pattern; then nothing is added.
    bool add_rewrite(std::string_view regex, std::string_view prefix, std::string_view suffix) {
        auto pattern = std::make_unique<Pattern>(regex);
        if (!pattern->ok()) {
            return false;
        }
        rewrites_.push_back({std::move(pattern), std::string(prefix), std::string(suffix)});
        return true;
    }

    // Carriers are hunted in the order of adding.
    void add_carrier(std::string_view prefix, std::string_view suffix) {
        carriers_.push_back({{}, std::string(prefix), std::string(suffix)});
    }

    // Adds to the last carrier. False when there is none or RE2 refuses the pattern.
    bool add_carrier_rule(std::string_view regex) {
        auto pattern = std::make_unique<Pattern>(regex);
        if (carriers_.empty() || !pattern->ok()) {
            return false;
        }
        carriers_.back().rules.push_back(std::move(pattern));
        return true;
    }

    // Exact extension, else the first rewrite that matches, extension again, else carriers.
    Resolution resolve(std::string_view number) const {
        Resolution found;
        found.number = number;
        if (number.empty()) {
            return found;
        }
        found.extension = extension(number);
        if (found.extension != none) {
            return found;
        }
        std::vector<re2::StringPiece> groups;
        rewrite(groups, found);
        if (found.rewrite != none) {
            found.extension = extension(found.number);
        }
        if (found.extension == none) {
            hunt(groups, found);
        }
        return found;
    }

private:
    struct Rewrite {
        std::unique_ptr<Pattern> pattern;
        std::string prefix;
        std::string suffix;
    };

    struct Carrier {
        std::vector<std::unique_ptr<Pattern>> rules;
        std::string prefix;
        std::string suffix;
    };

    // Lets the map be asked with a string_view, without building a string for every look-up.
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };

    static std::string join(std::string_view prefix, re2::StringPiece root,
                            std::string_view suffix) {
        std::string joined;
        joined.reserve(prefix.size() + root.size() + suffix.size());
        joined.append(prefix).append(root.data(), root.size()).append(suffix);
        return joined;
    }

    std::int64_t extension(std::string_view number) const {
        const auto found = extensions_.find(number);
        return found == extensions_.end() ? none : found->second;
    }

    // Kazoo's root: the last group that took part, or the whole match. A rule with alternatives
    // ("^011(\d+)$|^00(\d+)$") leaves the groups of the losing side unset.
    void rewrite(std::vector<re2::StringPiece>& groups, Resolution& found) const {
        for (std::size_t index = 0; index < rewrites_.size(); ++index) {
            const Rewrite& rule = rewrites_[index];
            if (!rule.pattern->search(found.number, rule.pattern->groups(), groups)) {
                continue;
            }
            std::size_t last = groups.size() - 1;
            while (last > 0 && groups[last].data() == nullptr) {
                --last;
            }
            std::string joined = join(rule.prefix, groups[last], rule.suffix);
            if (!joined.empty()) {
                found.number = std::move(joined);
                found.rewrite = static_cast<std::int64_t>(index);
                return;
            }
        }
    }

    void hunt(std::vector<re2::StringPiece>& groups, Resolution& found) const {
        for (std::size_t index = 0; index < carriers_.size(); ++index) {
            offer(carriers_[index], static_cast<std::int64_t>(index), groups, found);
        }
    }

    // The carrier's first rule that matches decides: its first group that took part is dialled, or
    // the whole number when the rule has no such group.
    static void offer(const Carrier& carrier, std::int64_t index,
                      std::vector<re2::StringPiece>& groups, Resolution& found) {
        for (std::size_t rule = 0; rule < carrier.rules.size(); ++rule) {
            const Pattern& pattern = *carrier.rules[rule];
            if (!pattern.search(found.number, pattern.groups(), groups)) {
                continue;
            }
            re2::StringPiece root = piece(found.number);
            for (std::size_t group = 1; group < groups.size(); ++group) {
                if (groups[group].data() != nullptr) {
                    root = groups[group];
                    break;
                }
            }
            std::string joined = join(carrier.prefix, root, carrier.suffix);
            if (!joined.empty()) {
                found.hops.push_back({index, static_cast<std::int64_t>(rule), std::move(joined)});
                return;
            }
        }
    }

    std::unordered_map<std::string, std::int64_t, TextHash, std::equal_to<>> extensions_;
    std::vector<Rewrite> rewrites_;
    std::vector<Carrier> carriers_;
};

}  // namespace quickcall::numbers
