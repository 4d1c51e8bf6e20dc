// The compiled dial plan against NaivePlan. A line is a row, as route_lines.hpp has it, or
//
//   x1001                             extension
//   b+14155550100                     blocked number
//   w^(\d{7})$<TAB>1415<TAB>          rewrite rule: regex, prefix, suffix
//   k^1(\d{10})$<TAB>+1               converter to E.164
//   q^\+1900<TAB>d                    classifier; d when its class is denied
//   c+<TAB>#                          carrier: prefix, suffix
//   R^\+1(\d+)$                       rule of the last carrier
//   ?14155551234                      a number
#include "plan.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"
#include "naive_plan.hpp"
#include "route_lines.hpp"

namespace {

using namespace quickcall::numbers;
using quickcall::fuzz::expect;
using quickcall::fuzz::NaiveAnswer;
using quickcall::fuzz::NaiveHop;
using quickcall::fuzz::NaivePlan;
using quickcall::fuzz::NaiveRow;
using quickcall::fuzz::NaiveRule;

constexpr std::size_t line_limit = 80;
constexpr std::size_t affix_limit = 64;

// The parts of a plan while they are filled, and the same for the naive plan.
struct Made {
    std::shared_ptr<NumberIndex> extensions = std::make_shared<NumberIndex>();
    std::shared_ptr<NumberIndex> blocked = std::make_shared<NumberIndex>();
    std::shared_ptr<Carriers> carriers = std::make_shared<Carriers>();
    std::shared_ptr<Numbering> numbering = std::make_shared<Numbering>();
    RouteTableBuilder builder;
    std::shared_ptr<const RouteTable> table;
    NaivePlan naive;
    std::vector<std::string> numbers;
};

NaiveRule read_rule(std::string_view line) {
    const std::vector<std::string_view> fields = quickcall::fuzz::split(line, '\t', 3);
    NaiveRule rule;
    rule.text = fields[0];
    rule.prefix = fields.size() > 1 ? fields[1].substr(0, affix_limit) : "";
    rule.suffix = fields.size() > 2 ? fields[2].substr(0, affix_limit) : "";
    rule.regex = std::make_shared<Pattern>(rule.text);
    return rule;
}

void add_number(std::string_view number, NumberIndex& index, std::vector<std::string>& naive) {
    const bool known = std::find(naive.begin(), naive.end(), number) != naive.end();
    const auto next = static_cast<std::int32_t>(naive.size());
    expect(index.add(number, next) == !known, "a number is added once");
    if (!known) {
        naive.emplace_back(number);
    }
}

// Adds a rule to both if it is good; both must say the same of that.
template <typename Add>
void add_rule(std::string_view line, std::vector<NaiveRule>& naive, Add add) {
    const NaiveRule rule = read_rule(line);
    const bool added = add(rule);
    expect(added == rule.regex->ok(), "what RE2 refuses is refused");
    if (added) {
        naive.push_back(rule);
    }
}

void add_carrier(std::string_view line, Made& made) {
    NaiveRule carrier;
    const std::vector<std::string_view> fields = quickcall::fuzz::split(line, '\t', 2);
    carrier.prefix = fields[0].substr(0, affix_limit);
    carrier.suffix = fields.size() > 1 ? fields[1].substr(0, affix_limit) : "";
    made.carriers->add_carrier(carrier.prefix, carrier.suffix, 0);
    made.naive.carriers.push_back(carrier);
}

void add_carrier_rule(std::string_view line, Made& made) {
    const auto regex = std::make_shared<Pattern>(line);
    const bool possible = regex->ok() && !made.naive.carriers.empty();
    expect(made.carriers->add_rule(line) == possible, "a rule belongs to a carrier");
    if (possible) {
        made.naive.carriers.back().rules.push_back(regex);
    }
}

// Leaves out what the table would be refused for; tests/fuzz/route_table.cpp is about that.
void add_row(std::string_view line, Made& made) {
    std::vector<NaiveRow>& rows = made.naive.rows;
    NaiveRow row;
    if (!quickcall::fuzz::read_row(line, static_cast<std::uint32_t>(rows.size() + 1), row)) {
        return;
    }
    rows.push_back(row);
    const bool refused = (row.kind == 'p' && !row.pattern.good) ||
                         (row.kind == 'r' && !row.regex->ok()) ||
                         quickcall::fuzz::NaiveTable(rows).clash(row.line);
    if (refused) {
        rows.pop_back();
    } else {
        expect(quickcall::fuzz::add(row, made.builder).field.empty(), "a good row is taken");
    }
}

void add_line(std::string_view line, Made& made) {
    NaivePlan& naive = made.naive;
    const std::string_view rest = line.substr(1);
    const std::string_view text = rest.substr(0, quickcall::fuzz::text_limit);
    switch (line.front()) {
        case 'x': add_number(text, *made.extensions, naive.extensions); break;
        case 'b': add_number(text, *made.blocked, naive.blocked); break;
        case 'w':
            add_rule(rest, naive.rewrites, [](const NaiveRule& rule) { return rule.regex->ok(); });
            break;
        case 'k':
            add_rule(rest, naive.converters, [&made](const NaiveRule& rule) {
                return made.numbering->add_converter(rule.text, rule.prefix, rule.suffix);
            });
            break;
        case 'q':
            add_rule(rest, naive.classifiers, [&made](const NaiveRule& rule) {
                return made.numbering->add_classifier(rule.text);
            });
            break;
        case 'c': add_carrier(rest, made); break;
        case 'R': add_carrier_rule(rest, made); break;
        case '?': made.numbers.emplace_back(text); break;
        default: add_row(line, made);
    }
}

std::unique_ptr<Plan> compile(Made& made) {
    made.carriers->prepare();
    made.numbering->prepare();
    RowRefusal refusal;
    made.table = made.builder.build(refusal);
    expect(made.table != nullptr, "a table of good rows is built");
    auto plan = std::make_unique<Plan>(
        PlanParts{made.extensions, made.table, made.carriers, made.numbering, made.blocked});
    for (const NaiveRule& rule : made.naive.rewrites) {
        expect(plan->add_rewrite(rule.text, rule.prefix, rule.suffix), "a good rule is taken");
    }
    for (std::size_t at = 0; at < made.naive.classifiers.size(); ++at) {
        if (made.naive.is_denied(static_cast<int>(at))) {
            plan->deny(static_cast<std::int32_t>(at));
        }
    }
    plan->prepare();
    return plan;
}

NaiveHop told(const Hop& hop, const RouteTable& table) {
    const int source =
        hop.rule < 0 ? static_cast<int>(table.row(hop.source).line) : hop.source;
    return {source, hop.rule, hop.number};
}

void check_number(const Plan& plan, const RouteTable& table, const NaivePlan& naive,
                  const std::string& number) {
    Resolution found;
    plan.resolve(number, found);
    const NaiveAnswer answer = naive.resolve(number);
    expect(found.stage == answer.stage, "who decided");
    expect(found.number == answer.number, "the number after rewriting");
    expect(found.rewrite == answer.rewrite, "the rewrite rule");
    expect(!found.has_e164 || found.e164 == answer.e164, "the E.164 form");
    expect(found.dialled == answer.dialled, "what is dialled at an endpoint");
    const Judgement& judgement = found.judgement;
    expect(judgement.verdict == answer.refusal && judgement.by == answer.refused_by &&
               found.refused == answer.refused,
           "what is refused, and why");
    std::vector<NaiveHop> hops, dropped;
    for (const Hop& hop : found.hops) {
        hops.push_back(told(hop, table));
    }
    for (const Dropped& drop : found.dropped) {
        dropped.push_back(told(drop.hop, table));
    }
    expect(hops == answer.hops, "the carriers to hunt, and what each is sent");
    expect(dropped == answer.dropped, "the carriers that may not be sent it");
    if (found.stage == Stage::extension) {
        expect(found.index == answer.index, "the extension");
    } else if (found.index >= 0) {
        expect(static_cast<int>(table.row(found.index).line) == answer.index, "the row");
    }
    plan.classify(found);
    expect(found.number == answer.number, "an explanation leaves the number alone");
    expect(found.has_e164, "a resolution is completed for an explanation");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Made made;
    for (const std::string_view line :
         quickcall::fuzz::split(quickcall::fuzz::as_text(data, size), '\n', line_limit)) {
        if (!line.empty()) {
            add_line(line, made);
        }
    }
    const auto plan = compile(made);
    for (const std::string& number : made.numbers) {
        check_number(*plan, *made.table, made.naive, number);
    }
    return 0;
}
