// Kazoo's converters to E.164 and classifiers of numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "keypad.hpp"
#include "rewrites.hpp"

namespace quickcall::numbers {

// Filled by the add functions, closed by prepare(), then only read, from any number of threads.
class Numbering {
public:
    // False when RE2 refuses the regex; then nothing is added.
    bool add_converter(std::string_view regex, std::string_view prefix, std::string_view suffix) {
        return converters_.add(regex, prefix, suffix);
    }

    // False when RE2 refuses the regex; then nothing is added.
    bool add_classifier(std::string_view regex) { return classifiers_.add(regex); }

    void prepare() {
        converters_.prepare();
        classifiers_.prepare();
    }

    // Makes the E.164 form of a number; returns the index of the converter, or -1 when the number
    // has its + already or none takes it.
    std::int32_t convert(std::string& number, Groups& groups) const {
        return number.starts_with('+') ? -1 : converters_.apply(number, groups);
    }

    // The first classifier that takes a number, or -1.
    std::int32_t classify(std::string_view number, Groups& groups) const {
        return classifiers_.first(number, groups);
    }

private:
    Rewrites converters_;
    RegexList classifiers_;
};

}  // namespace quickcall::numbers
