// The compiled route table against NaiveTable. A line is a row, as route_lines.hpp has it, or
//
//   ?14155551234    a number; without any, the rows' own texts are looked up
#include "route_table.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"
#include "naive_routes.hpp"
#include "route_lines.hpp"
#include "route_table_builder.hpp"

namespace {

using namespace quickcall::numbers;
using quickcall::fuzz::expect;
using quickcall::fuzz::NaiveRow;
using quickcall::fuzz::NaiveTable;
using Lines = std::vector<std::uint32_t>;

constexpr std::size_t row_limit = 40;

// Adds a row to both; the builder refuses just what is no pattern.
void add(const NaiveRow& row, RouteTableBuilder& builder, std::vector<NaiveRow>& rows) {
    const bool good = row.kind != 'p' || row.pattern.good;
    const RowRefusal refusal = quickcall::fuzz::add(row, builder);
    expect(refusal.field.empty() == good, "what is no pattern is refused, nothing else");
    if (good) {
        rows.push_back(row);
        return;
    }
    expect(refusal.field == "match" && refusal.line == row.line, "the row at fault is named");
    expect(refusal.position >= 0 &&
               refusal.position <= static_cast<std::int64_t>(row.match.size()),
           "the position of the fault is in the pattern");
}

Lines lines_of(const RouteTable& table, const std::vector<RouteTable::Index>& rows) {
    Lines lines;
    for (const RouteTable::Index index : rows) {
        lines.push_back(table.row(index).line);
    }
    return lines;
}

// Whether the table's best row of a kind is the first that the naive table lists, or none.
void check_best(const RouteTable& table, RouteTable::Index found, const Lines& expected,
                const char* what) {
    expect((found == RouteTable::none) == expected.empty(), what);
    expect(expected.empty() || table.row(found).line == expected.front(), what);
}

void check_hunt(const RouteTable& table, const NaiveTable& naive, std::string_view number,
                RouteTable::Index best) {
    std::vector<RouteTable::Index> rows;
    table.hunt(number, best, rows);
    const NaiveRow& row = naive.row(table.row(best).line);
    Lines expected;
    const Lines heads = row.kind == 'f' ? naive.winners('f', number) : Lines{row.line};
    for (const std::uint32_t head : heads) {
        const Lines group = naive.group(naive.row(head));
        expected.insert(expected.end(), group.begin(), group.end());
    }
    expect(lines_of(table, rows) == expected, "rows are hunted longest first, then by priority");
    for (const RouteTable::Index index : rows) {
        expect(table.dialled(index, number) == naive.row(table.row(index).line).dialled(number),
               "strip and prepend make the dialled number");
    }
}

void check_number(const RouteTable& table, const NaiveTable& naive, std::string_view number) {
    Lines all;
    std::vector<Lines> expected;
    for (const char kind : quickcall::fuzz::kinds) {
        expected.push_back(naive.winners(kind, number));
        all.insert(all.end(), expected.back().begin(), expected.back().end());
    }
    check_best(table, table.extension(number), expected[0], "extension");
    check_best(table, table.pattern(number), expected[1], "pattern, the most specific one");
    check_best(table, table.prefix(number), expected[2], "prefix, the longest one");
    check_best(table, table.regex(number), expected[3], "regex, the first one");
    check_best(table, table.match(number), all, "extension, pattern, prefix, regex");
    std::vector<RouteTable::Index> rows;
    table.all(number, rows);
    expect(lines_of(table, rows) == all, "every row that takes the number is explained");
    for (const RouteTable::Index best : rows) {
        check_hunt(table, naive, number, best);
    }
}

// What is told about a row is what was given; its text may be written more plainly.
void check_row(const RouteTable& table, RouteTable::Index index, const NaiveTable& naive) {
    const Row& row = table.row(index);
    NaiveRow told = naive.row(row.line);
    expect(table.target(row).to == told.to, "to");
    expect(table.target(row).id == told.id, "id");
    expect(table.prepend(row) == told.prepend && table.description(row) == told.prepend, "texts");
    expect(row.priority == told.priority && row.weight == told.weight, "order");
    expect(row.strip == told.strip, "strip");
    const NaiveRow given = told;
    told.match = table.text(index);
    told.pattern = quickcall::fuzz::read_pattern_naively(told.match);
    expect(told.kind != 'p' || told.pattern.good, "a pattern told is a pattern");
    expect(told.same_group(given), "the text told is the text given, or one that means the same");
}

void check_table(RouteTableBuilder& builder, const std::vector<NaiveRow>& rows,
                 const std::vector<std::string_view>& numbers) {
    const NaiveTable naive(rows);
    const auto broken = [&naive](const NaiveRow& row) {
        return naive.clash(row.line) || (row.kind == 'r' && !row.regex->ok());
    };
    RowRefusal refusal;
    const auto table = builder.build(refusal);
    expect((table == nullptr) == std::any_of(rows.begin(), rows.end(), broken),
           "a table is refused for a row at fault");
    if (table == nullptr) {
        expect(refusal.field == "match", "the field at fault is named");
        expect(refusal.line >= 1 && refusal.line <= rows.size(), "the line at fault is named");
        expect(broken(naive.row(refusal.line)), "the row named is at fault");
        return;
    }
    expect(table->size() == rows.size(), "no row is lost");
    for (std::size_t index = 0; index < rows.size(); ++index) {
        check_row(*table, static_cast<RouteTable::Index>(index), naive);
    }
    std::vector<RouteTable::Index> many(numbers.size());
    table->match_in_turns(numbers.data(), numbers.size(), many.data());
    for (std::size_t at = 0; at < numbers.size(); ++at) {
        expect(many[at] == table->match(numbers[at]), "numbers that walk together find the same");
    }
    for (const std::string_view number : numbers) {
        check_number(*table, naive, number.substr(0, quickcall::fuzz::text_limit));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    RouteTableBuilder builder;
    std::vector<NaiveRow> rows;
    std::vector<std::string_view> numbers, texts;
    for (const std::string_view line :
         quickcall::fuzz::split(quickcall::fuzz::as_text(data, size), '\n', 2 * row_limit)) {
        NaiveRow row;
        if (line.starts_with('?')) {
            numbers.push_back(line.substr(1));
            continue;
        }
        const auto next = static_cast<std::uint32_t>(rows.size() + 1);
        if (next <= row_limit && quickcall::fuzz::read_row(line, next, row)) {
            texts.push_back(line.substr(1, row.match.size()));
            add(row, builder, rows);
        }
    }
    check_table(builder, rows, numbers.empty() ? texts : numbers);
    return 0;
}
