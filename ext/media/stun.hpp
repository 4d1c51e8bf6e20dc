// STUN Binding requests and their answers, as far as ICE needs them (RFC 8489, RFC 8445 7). Plain functions over
// bytes. pjnath's decoder is not used: it reads attributes behind MESSAGE-INTEGRITY, which anybody on the way can
// add, like those that it covers.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace quickcall {

struct StunRequest {
    std::array<std::uint8_t, 12> transaction{};
    std::string_view username;             // points into the packet
    std::uint32_t priority = 0;
    bool use_candidate = false;
    bool controlled = false;               // it takes itself for the controlled side
    std::uint16_t unknown = 0;             // first attribute that must be understood and is not, 0: none
    std::size_t signed_size = 0;           // bytes before MESSAGE-INTEGRITY, 0: there is none
};

// The largest answer made here.
constexpr std::size_t max_stun_answer = 96;
using StunAnswer = std::array<std::uint8_t, max_stun_answer>;

// Reads a Binding request with a right FINGERPRINT; everything else is no check of an ICE peer: nothing is returned.
std::optional<StunRequest> read_binding_request(std::span<const std::uint8_t> packet);

// True when the MESSAGE-INTEGRITY of the packet that `request` was read from is made with this password.
bool is_authentic(std::span<const std::uint8_t> packet, const StunRequest &request, const std::string &password);

// Writes a success response that tells the source; returns its size.
std::size_t write_success(StunAnswer &answer, const StunRequest &request, const sockaddr_storage &source,
                          const std::string &password);

// Writes an error response with that code (300 to 699); an empty password leaves MESSAGE-INTEGRITY out.
std::size_t write_error(StunAnswer &answer, const StunRequest &request, unsigned code, const std::string &password);

}  // namespace quickcall
