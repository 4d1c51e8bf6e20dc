#include "dtls.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace quickcall {
namespace {

// Fits every path that carries RTP; handshake messages that are longer go in fragments.
constexpr long max_datagram = 1200;
constexpr std::size_t max_waiting = 64;  // datagrams of one flight; far more than a handshake has
constexpr const char *profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";
constexpr long certificate_days = 30;

struct Profile {
    unsigned long id;
    const char *suite;
    std::size_t key, salt;
};
// RFC 5764 4.1.2, RFC 7714 14.2.
constexpr Profile known_profiles[] = {
    {SRTP_AES128_CM_SHA1_80, "AES_CM_128_HMAC_SHA1_80", 16, 14},
    {SRTP_AEAD_AES_128_GCM, "AEAD_AES_128_GCM", 16, 12},
};

const EVP_MD *hash_of(std::string_view name) {
    if (name == "sha-256") return EVP_sha256();
    if (name == "sha-384") return EVP_sha384();
    if (name == "sha-512") return EVP_sha512();
    return nullptr;
}

std::string openssl_error(const char *what) {
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return std::string(what) + ": " + text;
}

std::string fingerprint_of(const X509 *certificate, const EVP_MD *hash) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (X509_digest(certificate, hash, digest.data(), &size) != 1) return {};
    constexpr const char *digits = "0123456789ABCDEF";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        if (i > 0) text += ':';
        text += digits[digest[i] >> 4];
        text += digits[digest[i] & 15];
    }
    return text;
}

// Whoever it is is told by the fingerprint, after the handshake.
int accept_any(int, X509_STORE_CTX *) { return 1; }

X509 *make_certificate(EVP_PKEY *key) {
    auto *certificate = X509_new();
    if (certificate == nullptr) return nullptr;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), static_cast<std::uint64_t>(std::time(nullptr)));
    X509_gmtime_adj(X509_getm_notBefore(certificate), -24 * 3600);  // clocks differ
    X509_gmtime_adj(X509_getm_notAfter(certificate), certificate_days * 24 * 3600);
    X509_set_pubkey(certificate, key);
    auto *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char *>("media"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    if (X509_sign(certificate, key, EVP_sha256()) == 0) {
        X509_free(certificate);
        return nullptr;
    }
    return certificate;
}

int on_write(BIO *bio, const char *data, int size) {
    auto &outgoing = static_cast<DtlsDatagrams *>(BIO_get_data(bio))->outgoing;
    const auto *bytes = reinterpret_cast<const std::uint8_t *>(data);
    if (outgoing.size() < max_waiting) outgoing.emplace_back(bytes, bytes + size);
    return size;
}

int on_read(BIO *bio, char *data, int size) {
    const auto datagram = std::exchange(static_cast<DtlsDatagrams *>(BIO_get_data(bio))->incoming, {});
    BIO_clear_retry_flags(bio);
    if (datagram.empty()) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const auto taken = std::min(datagram.size(), static_cast<std::size_t>(size));
    std::memcpy(data, datagram.data(), taken);
    return static_cast<int>(taken);
}

long on_control(BIO *, int command, long, void *) {
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return max_datagram;
    default:
        return 0;
    }
}

// A memory BIO of OpenSSL would run the packets of a flight together.
const BIO_METHOD *datagram_method() {
    static const auto *made = [] {
        auto *fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagrams");
        BIO_meth_set_write(fresh, &on_write);
        BIO_meth_set_read(fresh, &on_read);
        BIO_meth_set_ctrl(fresh, &on_control);
        return fresh;
    }();
    return made;
}

}  // namespace

bool is_known_hash(const std::string &name) { return hash_of(name) != nullptr; }

DtlsIdentity::DtlsIdentity() {
    auto *key = EVP_EC_gen("P-256");
    auto *certificate = key != nullptr ? make_certificate(key) : nullptr;
    context_ = SSL_CTX_new(DTLS_method());
    const bool made = certificate != nullptr && context_ != nullptr &&
                      SSL_CTX_use_certificate(context_, certificate) == 1 && SSL_CTX_use_PrivateKey(context_, key) == 1 &&
                      SSL_CTX_set_min_proto_version(context_, DTLS1_2_VERSION) == 1 &&
                      SSL_CTX_set_cipher_list(context_, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES") == 1 &&
                      SSL_CTX_set_tlsext_use_srtp(context_, profiles) == 0;  // the one that returns 0 for success
    if (made) {
        fingerprint_ = fingerprint_of(certificate, EVP_sha256());
        SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &accept_any);
        SSL_CTX_set_options(context_, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!made) {
        SSL_CTX_free(context_);
        throw std::runtime_error(openssl_error("no certificate for DTLS-SRTP"));
    }
}

DtlsIdentity::~DtlsIdentity() { SSL_CTX_free(context_); }

Dtls::Dtls(const DtlsIdentity &identity, const DtlsTerms &terms) : terms_(terms), ssl_(SSL_new(identity.context())) {
    auto *bio = BIO_new(datagram_method());
    if (ssl_ == nullptr || bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, &datagrams_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_mtu(ssl_, max_datagram);
    if (terms_.active) {
        SSL_set_connect_state(ssl_);
    } else {
        SSL_set_accept_state(ssl_);
    }
}

Dtls::~Dtls() { SSL_free(ssl_); }

void Dtls::begin() {
    if (std::exchange(begun_, true) || !terms_.active) return;
    advance();
}

void Dtls::receive(std::span<const std::uint8_t> datagram) {
    if (!failure_.empty() || datagram.empty()) return;
    begun_ = true;  // whoever is heard may be answered
    datagrams_.incoming = datagram;
    advance();
    datagrams_.incoming = {};
}

void Dtls::on_timer() {
    if (!failure_.empty()) return;
    ERR_clear_error();
    if (DTLSv1_handle_timeout(ssl_) < 0) fail("the DTLS handshake was not answered");
}

std::optional<std::chrono::microseconds> Dtls::wait() const {
    timeval left{};
    if (!failure_.empty() || !begun_ || DTLSv1_get_timeout(ssl_, &left) != 1) return {};
    return std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec);
}

std::vector<Dtls::Datagram> Dtls::take_outgoing() { return std::exchange(datagrams_.outgoing, {}); }

// After the handshake too: a peer that missed our last flight repeats its own. That one leaves is for SIP to say.
void Dtls::advance() {
    if (!failure_.empty()) return;
    ERR_clear_error();
    if (keys_) {
        char nobody_reads_this[256];
        SSL_read(ssl_, nobody_reads_this, sizeof nobody_reads_this);
        return;
    }
    const int done = SSL_do_handshake(ssl_);
    if (done == 1) return finish();
    const int error = SSL_get_error(ssl_, done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
    fail(openssl_error("DTLS handshake"));
}

// RFC 5764 4.2: the client's key, the server's, the client's salt, the server's.
void Dtls::finish() {
    if (!is_the_peer()) return fail("the DTLS certificate is not the one that the SDP names");
    const auto *chosen = SSL_get_selected_srtp_profile(ssl_);
    const Profile *profile = nullptr;
    for (const auto &known : known_profiles) {
        if (chosen != nullptr && chosen->id == known.id) profile = &known;
    }
    if (profile == nullptr) return fail("DTLS without an SRTP profile that both sides have");
    std::vector<std::uint8_t> material(2 * (profile->key + profile->salt));
    static constexpr std::string_view label = "EXTRACTOR-dtls_srtp";
    if (SSL_export_keying_material(ssl_, material.data(), material.size(), label.data(), label.size(), nullptr, 0,
                                   0) != 1) {
        return fail(openssl_error("DTLS keys"));
    }
    const auto side = [&](bool server) {
        const auto *key = material.data() + (server ? profile->key : 0);
        const auto *salt = material.data() + 2 * profile->key + (server ? profile->salt : 0);
        SrtpKey made{profile->suite, {key, key + profile->key}};
        made.secret.insert(made.secret.end(), salt, salt + profile->salt);
        return made;
    };
    keys_ = DtlsKeys{side(!terms_.active), side(terms_.active)};
    OPENSSL_cleanse(material.data(), material.size());
}

bool Dtls::is_the_peer() const {
    const auto *hash = hash_of(terms_.hash);
    auto *certificate = SSL_get1_peer_certificate(ssl_);
    if (hash == nullptr || certificate == nullptr) {
        X509_free(certificate);
        return false;
    }
    const auto shown = fingerprint_of(certificate, hash);
    X509_free(certificate);
    return shown.size() == terms_.fingerprint.size() &&
           CRYPTO_memcmp(shown.data(), terms_.fingerprint.data(), shown.size()) == 0;
}

void Dtls::fail(const std::string &reason) {
    failure_ = reason;
    keys_.reset();
}

}  // namespace quickcall
