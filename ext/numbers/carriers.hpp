// Carriers of an account and the numbers each takes: Kazoo's resources.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "resolution.hpp"
#include "rewrites.hpp"

namespace quickcall::numbers {

// Filled by the add functions, closed by prepare(), then only read, from any number of threads.
class Carriers {
public:
    // Carriers are hunted in the order of adding; the cost is only told.
    void add_carrier(std::string_view prefix, std::string_view suffix, std::int32_t cost) {
        carriers_.push_back({{}, {std::string(prefix), std::string(suffix)}, cost});
    }

    // Adds to the last carrier. False when there is none or RE2 refuses the regex.
    bool add_rule(std::string_view regex) {
        if (carriers_.empty()) {
            return false;
        }
        // Gateways of one resource come with the same rules: each text is compiled and asked once.
        const auto next = static_cast<std::uint32_t>(regexes_.size());
        const auto [known, is_new] = known_.try_emplace(std::string(regex), next);
        if (is_new && !regexes_.add(regex)) {
            known_.erase(known);
            return false;
        }
        carriers_.back().rules.push_back(known->second);
        return true;
    }

    void prepare() {
        regexes_.prepare();
        known_ = {};
    }

    std::size_t size() const { return carriers_.size(); }

    // Adds a hop for every carrier that takes the number. The first rule that takes its E.164 form
    // decides, else the first that takes the number itself. The rule's first group that took part
    // is dialled, or all that it was asked for when it has no such group.
    void offer(std::string_view e164, std::string_view number, Groups& groups,
               std::vector<Hop>& hops) const {
        Asked first(regexes_, e164, groups);
        Asked second(regexes_, number, groups);
        for (std::size_t index = 0; index < carriers_.size(); ++index) {
            if (!take(index, first, hops) && e164 != number) {
                take(index, second, hops);
            }
        }
    }

private:
    struct Carrier {
        std::vector<std::uint32_t> rules;  // indices into regexes_
        Affixes affixes;
        std::int32_t cost;
    };

    // The answers of the regexes to one text; each is asked at most once.
    class Asked {
    public:
        Asked(const RegexList& regexes, std::string_view text, Groups& groups)
            : regexes_(regexes), text_(text), groups_(groups) {}

        // What a rule would dial; a null data() when it does not match.
        std::string_view root(std::uint32_t rule) {
            if (answers_.empty()) {
                screen();
            }
            Answer& answer = answers_[rule];
            if (!answer.known) {
                answer = {true, search(regexes_[rule])};
            }
            return answer.root;
        }

    private:
        struct Answer {
            bool known = false;
            std::string_view root;
        };

        void screen() {
            answers_.resize(regexes_.size());
            std::vector<int> matching;
            if (regexes_.screen(text_, matching)) {
                std::fill(answers_.begin(), answers_.end(), Answer{true, {}});
                for (const int rule : matching) {
                    answers_[static_cast<std::size_t>(rule)].known = false;
                }
            }
        }

        std::string_view search(const Pattern& pattern) {
            if (!pattern.search(text_, pattern.groups(), groups_)) {
                return {};
            }
            const auto took_part = std::find_if(groups_.begin() + 1, groups_.end(),
                                                [](auto group) { return group.data() != nullptr; });
            return took_part == groups_.end() ? text_ : view(*took_part);
        }

        const RegexList& regexes_;
        std::string_view text_;
        Groups& groups_;
        std::vector<Answer> answers_;
    };

    bool take(std::size_t index, Asked& asked, std::vector<Hop>& hops) const {
        const Carrier& carrier = carriers_[index];
        for (std::size_t rule = 0; rule < carrier.rules.size(); ++rule) {
            const std::string_view root = asked.root(carrier.rules[rule]);
            if (root.data() == nullptr) {
                continue;
            }
            // A rule that would leave nothing to dial counts as not matching.
            if (std::string joined = carrier.affixes.around(root); !joined.empty()) {
                hops.push_back({static_cast<std::int32_t>(index), static_cast<std::int32_t>(rule),
                                std::move(joined), carrier.cost, 0});
                return true;
            }
        }
        return false;
    }

    RegexList regexes_;
    std::unordered_map<std::string, std::uint32_t> known_;  // until prepare()
    std::vector<Carrier> carriers_;
};

}  // namespace quickcall::numbers
