// A dial plan: parts compiled once, asked in one order of precedence (docs/dial_plan.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "carriers.hpp"
#include "number_index.hpp"
#include "numbering.hpp"
#include "resolution.hpp"
#include "rewrites.hpp"
#include "route_table.hpp"

namespace quickcall::numbers {

// What plans share; a null part has no rules, but numbering is always there.
struct PlanParts {
    std::shared_ptr<const NumberIndex> extensions;  // number -> extension
    std::shared_ptr<const RouteTable> table;
    std::shared_ptr<const Carriers> carriers;
    std::shared_ptr<const Numbering> numbering;
    std::shared_ptr<const NumberIndex> blocked;     // number -> blocklist
};

// Filled by the add functions, closed by prepare(), then only read, from any number of threads.
class Plan {
public:
    explicit Plan(PlanParts parts) : parts_(std::move(parts)) {}

    // False when RE2 refuses the regex; then nothing is added.
    bool add_rewrite(std::string_view regex, std::string_view prefix, std::string_view suffix) {
        return rewrites_.add(regex, prefix, suffix);
    }

    // Numbers of a class that is denied are not sent to carriers.
    void deny(std::int32_t classifier) {
        denied_.resize(std::max(denied_.size(), static_cast<std::size_t>(classifier) + 1));
        denied_[static_cast<std::size_t>(classifier)] = true;
    }

    void prepare() { rewrites_.prepare(); }

    // Fills a fresh resolution.
    void resolve(std::string_view number, Resolution& found) const {
        Groups groups;
        found.number = number;
        if (number.empty() || is_blocked(found.number, found) || ring(found, groups)) {
            return;
        }
        found.rewrite = rewrites_.apply(found.number, groups);
        if (found.rewrite >= 0 && ring(found, groups)) {
            return;
        }
        normalise(found, groups);
        if (is_blocked(found.number, found) || is_blocked(found.e164, found) ||
            take_rows(found, groups)) {
            return;
        }
        if (parts_.carriers) {
            parts_.carriers->offer(found.e164, found.number, groups, found.hops);
            leave(Stage::carriers, found, groups);
        }
    }

    // Whether a carrier may be sent a number.
    Judgement judge(const std::string& number) const {
        Groups groups;
        return judge(number, {}, groups);
    }

    // Whether a rewrite rule matches a number and leaves something to dial.
    bool would_rewrite(std::int32_t rule, std::string_view number) const {
        Groups groups;
        return !rewrites_.rewritten(rule, number, groups).empty();
    }

    // Everything that carriers would dial for the number of a resolution, allowed or not.
    std::vector<Hop> offers(const Resolution& found) const {
        Groups groups;
        std::vector<Hop> hops;
        if (parts_.carriers) {
            parts_.carriers->offer(found.e164, found.number, groups, hops);
        }
        return hops;
    }

    // Completes a resolution that ended before it needed the E.164 form or the class; the number
    // stays as it was when it ended.
    void classify(Resolution& found) const {
        Groups groups;
        std::string number = found.number;
        if (!found.has_e164) {
            press_keys(number);
            found.e164 = number;
            parts_.numbering->convert(found.e164, groups);
            found.has_e164 = true;
        }
        if (found.classifier < 0) {
            find_class(number, found, groups);
        }
    }

private:
    // The list that a number is on, or -1.
    std::int32_t blocklist(std::string_view number) const {
        return parts_.blocked ? parts_.blocked->find(number) : -1;
    }

    bool is_blocked(const std::string& number, Resolution& found) const {
        const std::int32_t list = blocklist(number);
        if (list >= 0) {
            refuse({Verdict::blocked, list}, number, found);
        }
        return list >= 0;
    }

    static void refuse(Judgement judgement, const std::string& number, Resolution& found) {
        found.judgement = judgement;
        found.refused = number;
    }

    // An extension of the account, else an extension of the route table.
    bool ring(Resolution& found, Groups& groups) const {
        const std::int32_t extension =
            parts_.extensions ? parts_.extensions->find(found.number) : -1;
        if (extension >= 0) {
            found.stage = Stage::extension;
            found.index = extension;
            found.dialled = found.number;
            return true;
        }
        if (!parts_.table) {
            return false;
        }
        const std::int32_t row = parts_.table->extension(found.number);
        return row >= 0 && take_row(Stage::extension_row, row, false, found, groups);
    }

    // The other rows of the route table. Patterns are written as people dial, so they are asked for
    // the number as it stands first; prefixes and regexes for its E.164 form first.
    bool take_rows(Resolution& found, Groups& groups) const {
        if (!parts_.table) {
            return false;
        }
        const RouteTable& table = *parts_.table;
        const bool same = found.e164 == found.number;
        const bool same_digits = without_plus(found.e164) == without_plus(found.number);
        const auto take = [&](Stage stage, std::int32_t row, bool asked_e164) {
            return row >= 0 && take_row(stage, row, asked_e164, found, groups);
        };
        return take(Stage::pattern_row, table.pattern(found.number), false) ||
               (!same && take(Stage::pattern_row, table.pattern(found.e164), true)) ||
               take(Stage::prefix_row, table.prefix(found.e164), true) ||
               (!same_digits && take(Stage::prefix_row, table.prefix(found.number), false)) ||
               take(Stage::regex_row, table.regex(found.e164), true) ||
               (!same && take(Stage::regex_row, table.regex(found.number), false));
    }

    // A row rings a device or user, or is hunted. False when it would leave nothing to dial. Behind
    // a carrier only carriers are hunted.
    bool take_row(Stage stage, std::int32_t best, bool asked_e164, Resolution& found,
                  Groups& groups) const {
        const std::string& asked = asked_e164 ? found.e164 : found.number;
        if (leads_to_carrier(best)) {
            add_row_hops(best, asked, found.hops);
        } else {
            found.dialled = parts_.table->dialled(best, asked);
        }
        if (found.hops.empty() && found.dialled.empty()) {
            return false;
        }
        found.index = best;
        found.asked_e164 = asked_e164;
        if (found.hops.empty()) {
            found.stage = stage;
            return true;
        }
        if (!found.has_e164) {
            normalise(found, groups);
            if (is_blocked(found.number, found) || is_blocked(found.e164, found)) {
                found.stage = stage;
                found.hops.clear();
                return true;
            }
        }
        leave(stage, found, groups);
        return true;
    }

    void add_row_hops(std::int32_t best, std::string_view asked, std::vector<Hop>& hops) const {
        const RouteTable& table = *parts_.table;
        std::vector<std::int32_t> rows;
        table.hunt(asked, best, rows);
        for (const std::int32_t row : rows) {
            std::string dialled = leads_to_carrier(row) ? table.dialled(row, asked) : "";
            if (!dialled.empty()) {
                hops.push_back({row, -1, std::move(dialled), table.row(row).priority,
                                table.row(row).weight});
            }
        }
    }

    bool leads_to_carrier(std::int32_t row) const {
        return parts_.table->target(parts_.table->row(row)).to == "resource";
    }

    // Keypad letters become digits, then the E.164 form is made.
    void normalise(Resolution& found, Groups& groups) const {
        if (is_vanity(found.number)) {
            found.spelled = found.number;
            press_keys(found.number);
        }
        found.e164 = found.number;
        found.converter = parts_.numbering->convert(found.e164, groups);
        found.has_e164 = true;
    }

    // The first classifier that takes the E.164 form, else the first that takes the number.
    void find_class(std::string_view number, Resolution& found, Groups& groups) const {
        found.classifier = parts_.numbering->classify(found.e164, groups);
        found.class_of_e164 = found.classifier >= 0;
        if (!found.class_of_e164) {
            found.classifier = parts_.numbering->classify(number, groups);
        }
    }

    // The number leaves through carriers, unless its class is denied. A hop is dropped when what it
    // would send is of a class denied or on a blocklist.
    void leave(Stage stage, Resolution& found, Groups& groups) const {
        if (found.hops.empty()) {
            return;
        }
        found.stage = stage;
        find_class(found.number, found, groups);
        if (is_denied(found.classifier)) {
            found.hops.clear();
            refuse({Verdict::restricted, found.classifier}, found.e164, found);
            return;
        }
        drop_refused(found, groups);
        if (found.hops.empty()) {
            const Dropped& first = found.dropped.front();
            refuse(first.judgement, first.hop.number, found);
        }
    }

    void drop_refused(Resolution& found, Groups& groups) const {
        std::size_t kept = 0;
        for (std::size_t at = 0; at < found.hops.size(); ++at) {
            const Judgement judgement = judge(found.hops[at].number, found, groups);
            if (judgement.verdict != Verdict::allowed) {
                found.dropped.push_back({std::move(found.hops[at]), judgement});
            } else if (kept++ != at) {
                found.hops[kept - 1] = std::move(found.hops[at]);
            }
        }
        found.hops.resize(kept);
    }

    Judgement judge(const std::string& number, const Resolution& found, Groups& groups) const {
        if (number == found.e164) {
            return {};  // judged already
        }
        std::string e164 = number;
        parts_.numbering->convert(e164, groups);
        for (const std::string_view form : {std::string_view(number), std::string_view(e164)}) {
            if (const std::int32_t list = blocklist(form); list >= 0) {
                return {Verdict::blocked, list};
            }
        }
        if (e164 == found.e164 && found.class_of_e164) {
            return {};
        }
        std::int32_t classifier = parts_.numbering->classify(e164, groups);
        if (classifier < 0) {
            classifier = parts_.numbering->classify(number, groups);
        }
        return is_denied(classifier) ? Judgement{Verdict::restricted, classifier} : Judgement{};
    }

    bool is_denied(std::int32_t classifier) const {
        return classifier >= 0 && static_cast<std::size_t>(classifier) < denied_.size() &&
               denied_[static_cast<std::size_t>(classifier)];
    }

    PlanParts parts_;
    Rewrites rewrites_;
    std::vector<bool> denied_;
};

}  // namespace quickcall::numbers
