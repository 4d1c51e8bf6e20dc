// What is measured of numbered packets: which came, how often, in which order, how late.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace load {

// How often each time occurred, in microseconds; 100 ms and more are one.
class Histogram {
public:
    void add(std::int64_t nanoseconds) {
        const auto us = nanoseconds < 0 ? 0 : static_cast<std::size_t>(nanoseconds / 1000);
        ++counts_[us < last ? us : last];
        ++total_;
        if (nanoseconds > most_) most_ = nanoseconds;
    }

    // The time that `percent` of all do not exceed, in milliseconds.
    double percentile(double percent) const {
        const auto wanted = static_cast<std::uint64_t>(static_cast<double>(total_) * percent / 100);
        std::uint64_t seen = 0;
        for (std::size_t us = 0; us <= last; ++us) {
            seen += counts_[us];
            if (seen > wanted || seen == total_) return static_cast<double>(us) / 1e3;
        }
        return 0;
    }

    double most() const { return static_cast<double>(most_) / 1e6; }

private:
    static constexpr std::size_t last = 100'000;
    std::vector<std::uint32_t> counts_ = std::vector<std::uint32_t>(last + 1);
    std::uint64_t total_ = 0;
    std::int64_t most_ = 0;
};

// The packets one leg sends, as they arrive elsewhere.
class Stream {
public:
    std::uint32_t sent = 0;  // numbers 0 to sent - 1

    // Tells of the arrival of a number that was sent.
    void arrived(std::uint32_t number) {
        if (seen_.size() <= number / 64) seen_.resize(number / 64 + 1);
        const auto bit = std::uint64_t{1} << (number % 64);
        if (seen_[number / 64] & bit) {
            ++duplicated;
            return;
        }
        seen_[number / 64] |= bit;
        if (received++ == 0) first = number;
        if (number < highest_) {
            ++reordered;
        } else {
            highest_ = number;
        }
        if (number < first) first = number;
    }

    std::uint32_t received = 0, duplicated = 0, reordered = 0;
    std::uint32_t first = 0;  // the lowest number that arrived

    // What never arrived, counted from the first packet that did.
    std::uint32_t lost() const { return received == 0 ? 0 : sent - first - received; }
    std::uint32_t before_first() const { return received == 0 ? sent : first; }

private:
    std::vector<std::uint64_t> seen_;
    std::uint32_t highest_ = 0;
};

}  // namespace load
