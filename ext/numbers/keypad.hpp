// Letters of a telephone keypad: 1-800-FLOWERS is 1-800-356-9377.
#pragma once

#include <string>
#include <string_view>

namespace quickcall::numbers {

// The shortest number whose letters are taken for keys; shorter ones are names and codes.
inline constexpr std::size_t shortest_vanity = 7;

// The key a letter stands on (ITU-T E.161), or the character itself.
inline char keypad_key(char character) {
    constexpr std::string_view keys = "22233344455566677778889999";
    const char letter = static_cast<char>(character | 0x20);
    return letter >= 'a' && letter <= 'z' ? keys[static_cast<std::size_t>(letter - 'a')]
                                          : character;
}

// Whether a number is written with letters for digits: a digit or + first, then digits and at least
// one ASCII letter, at least seven characters in all.
inline bool is_vanity(std::string_view number) {
    if (number.size() < shortest_vanity) {
        return false;
    }
    bool letters = false;
    for (std::size_t at = 0; at < number.size(); ++at) {
        const char character = number[at];
        if (character >= '0' && character <= '9') {
            continue;
        }
        if (at == 0 ? character != '+' : keypad_key(character) == character) {
            return false;
        }
        letters |= at > 0;
    }
    return letters;
}

// Makes digits of the letters of a vanity number; tells whether it was one.
inline bool press_keys(std::string& number) {
    if (!is_vanity(number)) {
        return false;
    }
    for (char& character : number) {
        character = keypad_key(character);
    }
    return true;
}

}  // namespace quickcall::numbers
