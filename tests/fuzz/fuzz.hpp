// What every fuzz target needs: an assertion that libFuzzer reports, and input read as lines.
//
// Inputs are lines of text, so that a person can read, shorten and write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace quickcall::fuzz {

// Ends the process, whatever NDEBUG says; libFuzzer then keeps the input.
inline void expect(bool held, const char* what) {
    if (!held) {
        std::fprintf(stderr, "does not hold: %s\n", what);
        std::abort();
    }
}

// The pieces between separators, at most `limit` of them; the text after the last is left out.
inline std::vector<std::string_view> split(std::string_view text, char separator,
                                           std::size_t limit) {
    std::vector<std::string_view> pieces;
    while (pieces.size() < limit) {
        const std::size_t end = text.find(separator);
        pieces.push_back(text.substr(0, end));
        if (end == std::string_view::npos) {
            break;
        }
        text.remove_prefix(end + 1);
    }
    return pieces;
}

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

}  // namespace quickcall::fuzz
