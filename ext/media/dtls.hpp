// DTLS 1.2 of one stream, for the keys of its SRTP (RFC 5763, RFC 5764). Bytes and values only: no sockets; media
// thread, but for the identity.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "terms.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace quickcall {

// The self-signed certificate of this process, made anew at each start: it is worth what the signalling that carries
// its fingerprint is worth. Used by all streams, changed by none.
class DtlsIdentity {
public:
    // Throws std::runtime_error.
    DtlsIdentity();
    ~DtlsIdentity();
    DtlsIdentity(const DtlsIdentity &) = delete;
    DtlsIdentity &operator=(const DtlsIdentity &) = delete;

    // SHA-256 of the certificate as SDP writes it (RFC 8122 5): `AB:CD:...`.
    const std::string &fingerprint() const { return fingerprint_; }
    ssl_ctx_st *context() const { return context_; }

private:
    ssl_ctx_st *context_ = nullptr;
    std::string fingerprint_;
};

// The hash functions of SDP fingerprints that are taken here: `sha-256`, `sha-384`, `sha-512`, in lower case.
bool is_known_hash(const std::string &name);

struct DtlsKeys {
    SrtpKey sent, received;
};

// What OpenSSL reads and writes in place of a socket.
struct DtlsDatagrams {
    std::span<const std::uint8_t> incoming;
    std::vector<std::vector<std::uint8_t>> outgoing;
};

class Dtls {
public:
    using Datagram = std::vector<std::uint8_t>;

    // `identity` outlives it.
    Dtls(const DtlsIdentity &identity, const DtlsTerms &terms);
    ~Dtls();
    Dtls(const Dtls &) = delete;
    Dtls &operator=(const Dtls &) = delete;

    // What was agreed on, for whoever asks whether a later agreement needs a new association (RFC 8842 4).
    const DtlsTerms &terms() const { return terms_; }

    // The peer may be sent something from now on: the active side begins. Again: nothing.
    void begin();
    // A datagram of the peer.
    void receive(std::span<const std::uint8_t> datagram);
    // Sends again what was not answered, when that is due.
    void on_timer();
    // Until `on_timer` is due; none while nothing is waited for.
    std::optional<std::chrono::microseconds> wait() const;
    // Moves out what is to be sent to the peer, one packet each.
    std::vector<Datagram> take_outgoing();

    // Set once, when the handshake is over and the peer's certificate is the one that its SDP named.
    const std::optional<DtlsKeys> &keys() const { return keys_; }
    // Why there will be no keys, empty: all is well.
    const std::string &failure() const { return failure_; }

private:
    void advance();
    void finish();
    bool is_the_peer() const;
    void fail(const std::string &reason);

    DtlsTerms terms_;
    ssl_st *ssl_ = nullptr;
    DtlsDatagrams datagrams_;
    std::optional<DtlsKeys> keys_;
    std::string failure_;
    bool begun_ = false;
};

}  // namespace quickcall
