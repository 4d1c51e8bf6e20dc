// A line of a fuzz input that is a row of a route table:
//
//   e1001<TAB>d            extension to a device; d, u or r (resource)
//   p_1NXX.<TAB>r211+49    pattern to a resource: priority 2, weight 1, strip 1, prepend +49
//   f1415<TAB>r            prefix; what is left out is 0, 1, 0 and nothing
//   r^9(.*)<TAB>r          regex
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.hpp"
#include "naive_routes.hpp"
#include "route_table_builder.hpp"

namespace quickcall::fuzz {

inline constexpr std::size_t text_limit = 128;  // as the Python side has it

inline constexpr std::string_view kinds = "epfr";  // in the order of RowKind

// Reads a row; false when the line is none that the Python side would let through.
inline bool read_row(std::string_view line, std::uint32_t number, NaiveRow& row) {
    if (line.empty() || kinds.find(line.front()) == std::string_view::npos) {
        return false;
    }
    const std::vector<std::string_view> fields = split(line.substr(1), '\t', 2);
    const std::string_view options = fields.size() > 1 ? fields[1] : "r";
    const auto option = [options](std::size_t at, unsigned otherwise) {
        return at < options.size() ? static_cast<unsigned char>(options[at]) % 10u : otherwise;
    };
    row.kind = line.front();
    row.match = fields[0].substr(0, text_limit);
    row.to = options.starts_with('d') ? "device" : options.starts_with('u') ? "user" : "resource";
    row.id = "id " + std::to_string(number % 5);
    row.priority = option(1, 0);
    row.weight = option(2, 1);
    row.strip = option(3, 0);
    row.prepend = options.size() > 4 ? options.substr(4, 64) : "";
    row.line = number;
    if (row.kind == 'p') {
        row.pattern = read_pattern_naively(row.match);
    }
    if (row.kind == 'r') {
        row.regex = std::make_shared<Pattern>(row.match);
    }
    const std::string_view digits = plain(row.match);
    return row.kind == 'f' ? !digits.empty() && digits.front() != '+' : !row.match.empty();
}

inline numbers::RowRefusal add(const NaiveRow& row, numbers::RouteTableBuilder& builder) {
    return builder.add(row.line, static_cast<numbers::RowKind>(kinds.find(row.kind)), row.match,
                       row.to, row.id, static_cast<std::uint16_t>(row.priority),
                       static_cast<std::uint16_t>(row.weight),
                       static_cast<std::uint8_t>(row.strip), row.prepend, row.prepend);
}

}  // namespace quickcall::fuzz
