#include "tones.hpp"

#include <charconv>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace quickcall {
namespace {

constexpr std::string_view prefix = "tone:";
// Bounds and default of engine/core/tones.py, which says what they are for.
constexpr unsigned max_hz = 3900, max_period_ms = 30000;
constexpr std::size_t max_frequencies = 4;
constexpr int default_level = -19, min_level = -40, max_level = -10;
constexpr double full_scale_dbm0 = 3.14;  // of a sine (ITU-T G.711, table 5)

[[noreturn]] void refuse(std::string_view text) {
    throw std::runtime_error("'" + std::string(text.substr(0, 128)) + "' is no tone");
}

// Reads a number off the front.
int number(std::string_view &rest, std::string_view text) {
    int value = 0;
    const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (read.ec != std::errc()) refuse(text);
    rest.remove_prefix(static_cast<std::size_t>(read.ptr - rest.data()));
    return value;
}

bool take(std::string_view &rest, char expected) {
    if (rest.empty() || rest.front() != expected) return false;
    rest.remove_prefix(1);
    return true;
}

struct Part {
    std::vector<int> frequencies;  // none: silence
    unsigned ms = 0;
};

Part read_part(std::string_view &rest, std::string_view text) {
    Part part;
    do {
        const int hz = number(rest, text);
        if (hz < 0 || static_cast<unsigned>(hz) > max_hz || part.frequencies.size() == max_frequencies) refuse(text);
        if (hz > 0) part.frequencies.push_back(hz);
    } while (take(rest, '+'));
    if (!take(rest, '/')) refuse(text);
    const int ms = number(rest, text);
    if (ms < 1 || static_cast<unsigned>(ms) > max_period_ms) refuse(text);
    part.ms = static_cast<unsigned>(ms);
    return part;
}

std::int16_t sample_of(const std::vector<int> &frequencies, double seconds, double amplitude) {
    double sum = 0;
    for (const int hz : frequencies) sum += std::sin(2 * std::numbers::pi * hz * seconds);
    return static_cast<std::int16_t>(std::lround(amplitude * sum));
}

}  // namespace

bool is_tone(std::string_view text) { return text.starts_with(prefix); }

Pcm make_tone(std::string_view text, unsigned rate) {
    if (!is_tone(text)) refuse(text);
    auto rest = text.substr(prefix.size());
    std::vector<Part> parts;
    unsigned period_ms = 0;
    do {
        parts.push_back(read_part(rest, text));
        period_ms += parts.back().ms;
        if (period_ms > max_period_ms) refuse(text);
    } while (take(rest, ','));
    const int level = take(rest, '@') ? number(rest, text) : default_level;
    if (!rest.empty() || level < min_level || level > max_level) refuse(text);

    const double amplitude = 32767 * std::pow(10, (level - full_scale_dbm0) / 20);
    Pcm tone{rate, {}};
    tone.samples.reserve(period_ms * rate / 1000);
    std::size_t silent_until = 0;
    for (const auto &part : parts) {
        const auto end = tone.samples.size() + part.ms * rate / 1000;
        while (tone.samples.size() < end) {
            const auto since = static_cast<double>(tone.samples.size() - silent_until) / rate;
            tone.samples.push_back(sample_of(part.frequencies, since, amplitude));
        }
        if (part.frequencies.empty()) silent_until = end;
    }
    return tone;
}

}  // namespace quickcall
