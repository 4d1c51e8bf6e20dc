// Who may take over the stream of a peer, see latch.hpp.
#pragma once

#include <cstdint>

namespace quickcall {

enum class Latching : std::uint8_t {
    off,   // nobody: RTP comes from the address of the description
    host,  // another port of that address
    nat,   // who can be the peer behind a NAT
};

}  // namespace quickcall
