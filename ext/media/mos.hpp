// An estimate of how a stream sounds, from figures (ITU-T G.107). It hears nothing.
#pragma once

#include <string>

namespace quickcall {

// What a codec costs by itself, and how well it hides loss (ITU-T G.113 appendix I).
struct Impairment {
    const char *codec;
    double equipment;   // Ie
    double robustness;  // Bpl
};

// Never nullptr: of a codec that has no figures, a cautious guess.
const Impairment *impairment_of(const std::string &codec);

// 1 to 4.5. `loss` is a fraction of 1; `delay_ms` from mouth to ear, one way.
double estimate_mos(const Impairment &codec, double loss, double delay_ms);

}  // namespace quickcall
