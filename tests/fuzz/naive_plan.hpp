// A dial plan as plainly as it can be said: every regex is asked, in the order of precedence.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "naive_routes.hpp"
#include "pattern.hpp"
#include "resolution.hpp"

namespace quickcall::fuzz {

using numbers::Stage;
using numbers::Verdict;

// A regex, what is put around what it finds; of a carrier the prefix and suffix only.
struct NaiveRule {
    std::string text, prefix, suffix;
    std::shared_ptr<const Pattern> regex;
    std::vector<std::shared_ptr<const Pattern>> rules;  // of a carrier

    std::string around(std::string_view root) const {
        return prefix + std::string(root) + suffix;
    }
};

struct NaiveHop {
    int source, rule;  // a carrier and its rule, or the line of a row and -1
    std::string number;
    bool operator==(const NaiveHop&) const = default;
};

struct NaiveAnswer {
    Stage stage = Stage::nobody;
    int index = -1;  // the extension, or the line of the row
    std::string number, e164, dialled;
    int rewrite = -1;
    std::vector<NaiveHop> hops, dropped;
    Verdict refusal = Verdict::allowed;
    int refused_by = -1;
    std::string refused;
};

struct NaivePlan {
    std::vector<std::string> extensions, blocked;
    std::vector<NaiveRule> rewrites, converters, classifiers, carriers;
    std::vector<NaiveRow> rows;

    NaiveAnswer resolve(std::string_view number) const {
        NaiveAnswer answer;
        answer.number = number;
        if (number.empty() || refuse_blocked(answer.number, answer) || ring(answer)) {
            return answer;
        }
        answer.rewrite = apply(rewrites, answer.number);
        if (answer.rewrite >= 0 && ring(answer)) {
            return answer;
        }
        normalise(answer);
        if (refuse_blocked(answer.number, answer) || refuse_blocked(answer.e164, answer)) {
            return answer;
        }
        const std::pair<char, Stage> stages[] = {
            {'p', Stage::pattern_row}, {'f', Stage::prefix_row}, {'r', Stage::regex_row}};
        for (const auto& [kind, stage] : stages) {
            const bool as_dialled = kind == 'p';
            const std::string& first = as_dialled ? answer.number : answer.e164;
            const std::string& second = as_dialled ? answer.e164 : answer.number;
            if (take_row(kind, stage, first, answer) || take_row(kind, stage, second, answer)) {
                return answer;
            }
        }
        std::vector<NaiveHop> hops;
        for (std::size_t index = 0; index < carriers.size(); ++index) {
            if (!offer(index, answer.e164, hops)) {
                offer(index, answer.number, hops);
            }
        }
        leave(Stage::carriers, hops, answer);
        return answer;
    }

    // Of a classifier, a prefix that begins with d says so.
    bool is_denied(int classifier) const {
        return classifier >= 0 &&
               classifiers[static_cast<std::size_t>(classifier)].prefix.starts_with('d');
    }

private:
    using Found = std::vector<re2::StringPiece>;

    static bool search(const Pattern& regex, std::string_view text, Found& groups) {
        return regex.search(text, regex.groups(), groups);
    }

    static std::string_view view(re2::StringPiece piece) { return {piece.data(), piece.size()}; }

    // The first rule that matches and leaves something: last group that took part, or the match.
    static int apply(const std::vector<NaiveRule>& rules, std::string& number) {
        for (std::size_t index = 0; index < rules.size(); ++index) {
            Found groups;
            if (!search(*rules[index].regex, number, groups)) {
                continue;
            }
            re2::StringPiece root;
            for (const re2::StringPiece group : groups) {
                root = group.data() == nullptr ? root : group;
            }
            const std::string joined = rules[index].around(view(root));
            if (!joined.empty()) {
                number = joined;
                return static_cast<int>(index);
            }
        }
        return -1;
    }

    void normalise(NaiveAnswer& answer) const {
        answer.number = with_keys(answer.number);
        answer.e164 = e164_of(answer.number);
    }

    std::string e164_of(std::string number) const {
        if (!number.starts_with('+')) {
            apply(converters, number);
        }
        return number;
    }

    static std::string with_keys(const std::string& number) {
        static const RE2 vanity("[0-9+][0-9A-Za-z]*[A-Za-z][0-9A-Za-z]*");
        if (number.size() < 7 || !RE2::FullMatch(number, vanity)) {
            return number;
        }
        std::string keyed;
        for (const char character : number) {
            char key = character;
            for (const std::string_view letters :
                 {"2abcABC", "3defDEF", "4ghiGHI", "5jklJKL", "6mnoMNO", "7pqrsPQRS", "8tuvTUV",
                  "9wxyzWXYZ"}) {
                key = letters.find(character) != std::string_view::npos ? letters[0] : key;
            }
            keyed.push_back(key);
        }
        return keyed;
    }

    static int place(const std::vector<std::string>& texts, std::string_view text) {
        const auto found = std::find(texts.begin(), texts.end(), text);
        return found == texts.end() ? -1 : static_cast<int>(found - texts.begin());
    }

    bool refuse_blocked(const std::string& number, NaiveAnswer& answer) const {
        const int list = place(blocked, number);
        if (list >= 0) {
            refuse(Verdict::blocked, list, number, answer);
        }
        return list >= 0;
    }

    static void refuse(Verdict why, int by, const std::string& number, NaiveAnswer& answer) {
        answer.refusal = why;
        answer.refused_by = by;
        answer.refused = number;
    }

    bool ring(NaiveAnswer& answer) const {
        answer.index = place(extensions, answer.number);
        if (answer.index >= 0) {
            answer.stage = Stage::extension;
            answer.dialled = answer.number;
            return true;
        }
        const std::string asked = answer.number;
        return take_row('e', Stage::extension_row, asked, answer);
    }

    // A row that would leave nothing to dial counts as not matching.
    bool take_row(char kind, Stage stage, const std::string& asked, NaiveAnswer& answer) const {
        const NaiveTable table(rows);
        const std::vector<std::uint32_t> winners = table.winners(kind, asked);
        if (winners.empty()) {
            return false;
        }
        const NaiveRow& best = table.row(winners.front());
        std::vector<NaiveHop> hops;
        if (best.to != "resource") {
            answer.dialled = best.dialled(asked);
        } else {
            hops = hunt(table, kind == 'f' ? winners : std::vector{winners.front()}, asked);
        }
        if (hops.empty() && answer.dialled.empty()) {
            return false;
        }
        answer.index = static_cast<int>(best.line);
        answer.stage = stage;
        if (hops.empty()) {
            return true;
        }
        if (stage == Stage::extension_row) {
            normalise(answer);
            if (refuse_blocked(answer.number, answer) || refuse_blocked(answer.e164, answer)) {
                return true;
            }
        }
        leave(stage, hops, answer);
        return true;
    }

    // Behind a carrier only carriers are hunted.
    static std::vector<NaiveHop> hunt(const NaiveTable& table,
                                      const std::vector<std::uint32_t>& heads,
                                      const std::string& asked) {
        std::vector<NaiveHop> hops;
        for (const std::uint32_t head : heads) {
            for (const std::uint32_t line : table.group(table.row(head))) {
                const NaiveRow& row = table.row(line);
                if (row.to == "resource" && !row.dialled(asked).empty()) {
                    hops.push_back({static_cast<int>(line), -1, row.dialled(asked)});
                }
            }
        }
        return hops;
    }

    // The carrier's first rule that matches and leaves something: its first group that took part,
    // or the whole text.
    bool offer(std::size_t index, const std::string& text, std::vector<NaiveHop>& hops) const {
        const NaiveRule& carrier = carriers[index];
        for (std::size_t rule = 0; rule < carrier.rules.size(); ++rule) {
            Found groups;
            if (!search(*carrier.rules[rule], text, groups)) {
                continue;
            }
            std::string_view root = text;
            for (std::size_t group = groups.size() - 1; group > 0; --group) {
                root = groups[group].data() == nullptr ? root : view(groups[group]);
            }
            const std::string joined = carrier.around(root);
            if (!joined.empty()) {
                hops.push_back({static_cast<int>(index), static_cast<int>(rule), joined});
                return true;
            }
        }
        return false;
    }

    // The class of a number: of its E.164 form, else of itself; -1 when it has none.
    int class_of(const std::string& e164, const std::string& number) const {
        for (const std::string* text : {&e164, &number}) {
            for (std::size_t index = 0; index < classifiers.size(); ++index) {
                if (classifiers[index].regex->matches(*text)) {
                    return static_cast<int>(index);
                }
            }
        }
        return -1;
    }

    void leave(Stage stage, const std::vector<NaiveHop>& hops, NaiveAnswer& answer) const {
        if (hops.empty()) {
            return;
        }
        answer.stage = stage;
        if (const int found = class_of(answer.e164, answer.number); is_denied(found)) {
            refuse(Verdict::restricted, found, answer.e164, answer);
            return;
        }
        for (const NaiveHop& hop : hops) {
            const auto [verdict, by] = judge(hop.number, answer);
            if (verdict == Verdict::allowed) {
                answer.hops.push_back(hop);
                continue;
            }
            if (answer.dropped.empty()) {
                refuse(verdict, by, hop.number, answer);
            }
            answer.dropped.push_back(hop);
        }
        if (!answer.hops.empty()) {
            refuse(Verdict::allowed, -1, "", answer);
        }
    }

    // What a carrier would be sent is looked at like the number itself, which was judged before.
    std::pair<Verdict, int> judge(const std::string& number, const NaiveAnswer& answer) const {
        if (number == answer.e164) {
            return {Verdict::allowed, -1};
        }
        const std::string e164 = e164_of(number);
        for (const std::string* text : {&number, &e164}) {
            if (const int list = place(blocked, *text); list >= 0) {
                return {Verdict::blocked, list};
            }
        }
        const int found = class_of(e164, number);
        return {is_denied(found) ? Verdict::restricted : Verdict::allowed, found};
    }
};

}  // namespace quickcall::fuzz
