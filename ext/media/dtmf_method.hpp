// How DTMF digits travel, as engine.core.values.DtmfMethod.
#pragma once

#include <cstdint>

namespace quickcall {

enum class DtmfMethod : std::uint8_t { automatic, rfc4733, info, inband };

// Whether a leg is offered telephone-event: one whose digits go another way would send each in two ways.
constexpr bool takes_events(DtmfMethod method) {
    return method == DtmfMethod::automatic || method == DtmfMethod::rfc4733;
}

}  // namespace quickcall
