#include "ice.hpp"

namespace quickcall {
namespace {

using namespace std::chrono_literals;

constexpr auto consent = 30s;  // RFC 7675 5.1
// A pair that works is checked every 4 to 6 s (RFC 7675 5.1). One that was not for twice as long is dead, and gives
// way to a nominated one of lower priority: the peer has changed its network.
constexpr auto abandoned = 10s;

}  // namespace

void Ice::agree(const IceTerms &terms) {
    if (terms != terms_) priority_ = 0;  // whatever is nominated with the new credentials wins
    terms_ = terms;
}

std::size_t Ice::receive(std::span<const std::uint8_t> packet, const sockaddr_storage &source, Time now,
                         StunAnswer &answer) {
    const auto request = read_binding_request(packet);
    if (!request) return 0;  // indications that keep a NAT open too: they say nothing that we need
    if (request->signed_size == 0 || request->username.empty()) return write_error(answer, *request, 400, {});
    if (request->username != terms_.our_fragment + ":" + terms_.peer_fragment ||
        !is_authentic(packet, *request, terms_.our_password)) {
        return write_error(answer, *request, 401, {});
    }
    if (request->unknown != 0) return write_error(answer, *request, 420, terms_.our_password);
    // The lite side never controls a peer that is not lite (RFC 8445 6.1.1, 7.3.1.1).
    if (request->controlled) return write_error(answer, *request, 487, terms_.our_password);
    if (same_address(source, selected_)) {
        checked_at_ = now;
        if (request->use_candidate) priority_ = request->priority;
    } else if (request->use_candidate) {
        nominate(source, request->priority, now);
    }
    return write_success(answer, *request, source, terms_.our_password);
}

// A peer that nominates all its pairs at once (RFC 5245 8.1.1.2) means the best of them.
void Ice::nominate(const sockaddr_storage &source, std::uint32_t priority, Time now) {
    const bool in_use = selected_.ss_family != 0 && now - checked_at_ < abandoned;
    if (in_use && priority < priority_) return;
    selected_ = source;
    priority_ = priority;
    checked_at_ = now;
}

const sockaddr_storage *Ice::selected(Time now) const {
    return selected_.ss_family != 0 && now - checked_at_ < consent ? &selected_ : nullptr;
}

}  // namespace quickcall
