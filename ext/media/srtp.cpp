#include "srtp.hpp"

#include <arpa/inet.h>
#include <srtp2/srtp.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace quickcall {
namespace {

struct Suite {
    const char *name;
    std::size_t secret_size;
    void (*rtp)(srtp_crypto_policy_t *policy);
    void (*rtcp)(srtp_crypto_policy_t *policy);
};

// The short tags of the `_32` suites are for RTP alone: SRTCP keeps 80 bits (RFC 4568 6.2.2, RFC 6188 4).
constexpr Suite suites[] = {
    {"AEAD_AES_256_GCM", SRTP_AES_GCM_256_KEY_LEN_WSALT, &srtp_crypto_policy_set_aes_gcm_256_16_auth,
     &srtp_crypto_policy_set_aes_gcm_256_16_auth},
    {"AEAD_AES_128_GCM", SRTP_AES_GCM_128_KEY_LEN_WSALT, &srtp_crypto_policy_set_aes_gcm_128_16_auth,
     &srtp_crypto_policy_set_aes_gcm_128_16_auth},
    {"AES_256_CM_HMAC_SHA1_80", SRTP_AES_ICM_256_KEY_LEN_WSALT, &srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
     &srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    {"AES_CM_128_HMAC_SHA1_80", SRTP_AES_ICM_128_KEY_LEN_WSALT, &srtp_crypto_policy_set_rtp_default,
     &srtp_crypto_policy_set_rtp_default},
    {"AES_256_CM_HMAC_SHA1_32", SRTP_AES_ICM_256_KEY_LEN_WSALT, &srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
     &srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80},
    {"AES_CM_128_HMAC_SHA1_32", SRTP_AES_ICM_128_KEY_LEN_WSALT, &srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
     &srtp_crypto_policy_set_rtp_default},
};

// Packets that come late by more are dropped as if they had been there before (RFC 3711 3.3.2).
constexpr unsigned long replay_window = 1024;
// Two seconds of 20 ms packets: whatever crossed the answer has come by then.
constexpr unsigned settled_packets = 100;
constexpr std::size_t max_packet = 2048;
// The longest tag and the index of SRTCP; no MKI is sent.
constexpr std::size_t max_growth = 16 + 4;
constexpr std::size_t rtp_ssrc_at = 8, rtcp_ssrc_at = 4;

const Suite *suite_of(std::string_view name) {
    const auto *found = std::find_if(std::begin(suites), std::end(suites),
                                     [&](const Suite &suite) { return name == suite.name; });
    return found != std::end(suites) ? found : nullptr;
}

template <srtp_err_status_t (*function)(srtp_t, void *, int *)>
int call(srtp_ctx_t_ *session, void *packet, int *size) {
    return function(session, packet, size);
}

}  // namespace

const std::vector<std::string> &srtp_suites() {
    static const auto names = [] {
        std::vector<std::string> made;
        for (const auto &suite : suites) made.emplace_back(suite.name);
        return made;
    }();
    return names;
}

std::size_t srtp_secret_size(std::string_view suite) {
    const auto *found = suite_of(suite);
    return found != nullptr ? found->secret_size : 0;
}

// --- one direction ------------------------------------------------------------------------------------

Srtp::Session::Session(const SrtpKey &key, bool inbound) : key_(key) {
    const auto *suite = suite_of(key_.suite);
    if (suite == nullptr || key_.secret.size() != suite->secret_size) {
        throw std::runtime_error("SRTP: the key does not fit the suite '" + key_.suite + "'");
    }
    srtp_policy_t policy{};
    suite->rtp(&policy.rtp);
    suite->rtcp(&policy.rtcp);
    policy.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
    policy.key = key_.secret.data();
    policy.window_size = replay_window;
    if (const auto status = srtp_create(&session_, &policy); status != srtp_err_status_ok) {
        throw std::runtime_error("SRTP: libsrtp refuses the suite '" + key_.suite + "', error " +
                                 std::to_string(status));
    }
}

Srtp::Session::~Session() {
    if (session_ != nullptr) srtp_dealloc(session_);
}

Srtp::Session::Session(Session &&other) noexcept
    : key_(std::move(other.key_)),
      session_(std::exchange(other.session_, nullptr)),
      sources_(other.sources_),
      source_count_(other.source_count_) {}

Srtp::Session &Srtp::Session::operator=(Session &&other) noexcept {
    std::swap(key_, other.key_);
    std::swap(session_, other.session_);
    std::swap(sources_, other.sources_);
    std::swap(source_count_, other.source_count_);
    return *this;
}

bool Srtp::Session::run(Operation operation, Datagram &packet) {
    int length = static_cast<int>(packet.size);
    if (operation(session_, packet.data, &length) != srtp_err_status_ok) return false;
    packet.size = static_cast<std::size_t>(length);
    return true;
}

bool Srtp::Session::protect(Operation operation, Datagram &packet) {
    return packet.room - packet.size >= max_growth && run(operation, packet);
}

bool Srtp::Session::unprotect(Operation operation, Datagram &packet, std::uint32_t ssrc) {
    if (!run(operation, packet)) return false;
    if (source_count_ == 0 || sources_[0] != ssrc) remember(ssrc);
    return true;
}

// libsrtp keeps a context for each source it has authenticated. A peer that changes its source with every packet must
// not make us keep them all: the one not heard of for the longest goes.
void Srtp::Session::remember(std::uint32_t ssrc) {
    auto *end = sources_.begin() + source_count_;
    auto *found = std::find(sources_.begin(), end, ssrc);
    if (found == end) {
        if (source_count_ == max_sources) {
            srtp_remove_stream(session_, htonl(sources_.back()));  // it wants them as they stand in packets
            --found;
        } else {
            ++source_count_;
        }
    }
    std::move_backward(sources_.begin(), found, found + 1);
    sources_[0] = ssrc;
}

// --- both ---------------------------------------------------------------------------------------------

Srtp::Srtp(const SrtpKey &sent, const SrtpKey &received) : sent_(sent, false), received_(received, true) {}

Srtp::~Srtp() = default;

void Srtp::change(const SrtpKey &sent, const SrtpKey &received) {
    std::optional<Session> other_sent, other_received;
    if (sent != sent_.key()) other_sent.emplace(sent, false);
    if (received != received_.key()) other_received.emplace(received, true);
    if (other_sent) sent_ = std::move(*other_sent);
    if (!other_received) return;
    if (previous_ && previous_->key() == received) {
        std::swap(*previous_, received_);  // back to the key before: its counters go on
    } else {
        previous_ = std::exchange(received_, std::move(*other_received));
    }
    present_packets_ = 0;
}

bool Srtp::protect_rtp(Datagram &packet) { return sent_.protect(&call<&srtp_protect>, packet); }

bool Srtp::protect_rtcp(Datagram &packet) { return sent_.protect(&call<&srtp_protect_rtcp>, packet); }

bool Srtp::unprotect_rtp(Datagram &packet) { return unprotect(&call<&srtp_unprotect>, packet, rtp_ssrc_at); }

bool Srtp::unprotect_rtcp(Datagram &packet) { return unprotect(&call<&srtp_unprotect_rtcp>, packet, rtcp_ssrc_at); }

bool Srtp::unprotect(Operation operation, Datagram &packet, std::size_t ssrc_at) {
    if (packet.size < ssrc_at + 4 || packet.size > max_packet) return false;
    const auto ssrc = read32(packet.data + ssrc_at);
    if (!previous_) return received_.unprotect(operation, packet, ssrc);
    std::uint8_t copy[max_packet];  // AES-GCM decrypts before it knows that the tag is wrong
    std::memcpy(copy, packet.data, packet.size);
    if (received_.unprotect(operation, packet, ssrc)) {
        if (++present_packets_ == settled_packets) previous_.reset();
        return true;
    }
    std::memcpy(packet.data, copy, packet.size);
    return previous_->unprotect(operation, packet, ssrc);
}

}  // namespace quickcall
