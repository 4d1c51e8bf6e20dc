#include "mos.hpp"

#include <algorithm>

namespace quickcall {
namespace {

// The scale is that of telephony: a codec of wider bandwidth has no impairment on it.
constexpr Impairment table[] = {
    {"PCMU", 0, 25.1}, {"PCMA", 0, 25.1}, {"G722", 0, 25.1}, {"OPUS", 0, 25.1},   {"AMR-WB", 0, 25.1},
    {"AMR", 5, 10},    {"GSM", 20, 10},   {"G729", 11, 19},  {"G723", 15, 16.1}, {"ILBC", 11, 32},
};
constexpr Impairment unknown{"", 10, 10};

constexpr double best = 93.2;           // R with every default of G.107
constexpr double delay_is_felt = 177.3;  // ms
constexpr double worst_impairment = 95;

}  // namespace

const Impairment *impairment_of(const std::string &codec) {
    const auto found = std::find_if(std::begin(table), std::end(table),
                                    [&](const Impairment &entry) { return codec == entry.codec; });
    return found != std::end(table) ? found : &unknown;
}

double estimate_mos(const Impairment &codec, double loss, double delay_ms) {
    const double percent = 100 * std::clamp(loss, 0.0, 1.0);
    const double by_loss = codec.equipment + (worst_impairment - codec.equipment) * percent / (percent + codec.robustness);
    const double by_delay = 0.024 * delay_ms + 0.11 * std::max(0.0, delay_ms - delay_is_felt);
    const double r = std::clamp(best - by_loss - by_delay, 0.0, 100.0);
    return std::clamp(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0, 4.5);
}

}  // namespace quickcall
