// What RE2 alone costs for a pattern's first group, as ext/numbers/pattern.hpp asks for it: no
// Python, no copy of the group.  re2_match PATTERN ROUNDS < numbers, one a line
#include "pattern.hpp"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

int main(int count, char** words) {
    if (count != 3) {
        std::fprintf(stderr, "usage: re2_match PATTERN ROUNDS < numbers\n");
        return 2;
    }
    const quickcall::numbers::Pattern pattern(words[1]);
    std::vector<std::string> numbers;
    for (std::string line; std::getline(std::cin, line);) {
        numbers.push_back(line);
    }
    double best = 1e18;
    std::size_t matched = 0;
    for (int round = std::atoi(words[2]); round > 0; --round) {
        const auto began = std::chrono::steady_clock::now();
        for (const std::string& number : numbers) {
            re2::StringPiece group;
            matched += pattern.search_first_group(number, group) && group.data() != nullptr;
        }
        const std::chrono::duration<double, std::nano> took =
            std::chrono::steady_clock::now() - began;
        best = std::min(best, took.count() / static_cast<double>(numbers.size()));
    }
    std::printf("%.1f %zu\n", best, matched);
}
