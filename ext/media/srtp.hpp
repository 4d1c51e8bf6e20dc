// SRTP and SRTCP of one stream (RFC 3711): what is sent under our key, what is received under the peer's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rtp.hpp"
#include "terms.hpp"

struct srtp_ctx_t_;

namespace quickcall {

// The suites there are, by their SDES names (RFC 4568 6.2, RFC 6188, RFC 7714), the preferred one first.
const std::vector<std::string> &srtp_suites();

// Bytes of a suite's master key and salt together, 0: there is no such suite.
std::size_t srtp_secret_size(std::string_view suite);

// Whoever makes the keys, SDES or DTLS, made them fit their suite. libsrtp is initialised by pjsua's start, and by
// its end it is closed, when no leg is left. Media thread only. Nothing here allocates but a source never heard before.
class Srtp {
public:
    // Throws std::runtime_error when a key does not fit its suite.
    Srtp(const SrtpKey &sent, const SrtpKey &received);
    ~Srtp();
    Srtp(const Srtp &) = delete;
    Srtp &operator=(const Srtp &) = delete;

    // After another agreement. A key that stays goes on with its rollover counters and replay window (RFC 3711
    // 3.3.1): to begin anew would repeat its key stream. Packets under the peer's old key are taken until its new one
    // has been heard for a while, for they may cross the answer. Throws as the constructor does, and changes nothing.
    void change(const SrtpKey &sent, const SrtpKey &received);

    // In place. False: the packet must not be sent, or is not the peer's, or is one that was there before.
    bool protect_rtp(Datagram &packet);
    bool protect_rtcp(Datagram &packet);
    bool unprotect_rtp(Datagram &packet);
    bool unprotect_rtcp(Datagram &packet);

private:
    using Operation = int (*)(srtp_ctx_t_ *session, void *packet, int *size);

    // One direction of libsrtp under one key.
    class Session {
    public:
        Session(const SrtpKey &key, bool inbound);
        ~Session();
        Session(Session &&other) noexcept;
        Session &operator=(Session &&other) noexcept;

        bool protect(Operation operation, Datagram &packet);
        bool unprotect(Operation operation, Datagram &packet, std::uint32_t ssrc);
        const SrtpKey &key() const { return key_; }

    private:
        static constexpr std::size_t max_sources = 16;

        bool run(Operation operation, Datagram &packet);
        void remember(std::uint32_t ssrc);

        SrtpKey key_;
        srtp_ctx_t_ *session_ = nullptr;
        std::array<std::uint32_t, max_sources> sources_{};  // the last one heard of first
        std::size_t source_count_ = 0;
    };

    bool unprotect(Operation operation, Datagram &packet, std::size_t ssrc_at);

    Session sent_, received_;
    std::optional<Session> previous_;  // under the peer's key before its present one
    unsigned present_packets_ = 0;     // taken under the present one while there is a previous one
};

}  // namespace quickcall
