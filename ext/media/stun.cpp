#include "stun.hpp"

#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>

namespace quickcall {
namespace {

constexpr std::uint16_t binding_request = 0x0001, binding_success = 0x0101, binding_error = 0x0111;
constexpr std::uint32_t cookie = 0x2112A442;
constexpr std::uint32_t fingerprint_mask = 0x5354554E;
constexpr std::size_t header_size = 20, integrity_size = 20, attribute_header = 4;

enum Attribute : std::uint16_t {
    username = 0x0006,
    message_integrity = 0x0008,
    error_code = 0x0009,
    unknown_attributes = 0x000A,
    xor_mapped_address = 0x0020,
    priority = 0x0024,
    use_candidate = 0x0025,
    first_optional = 0x8000,
    fingerprint = 0x8028,
    ice_controlled = 0x8029,
};

constexpr std::array<std::uint32_t, 256> crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
        table[byte] = value;
    }
    return table;
}();

std::uint32_t fingerprint_of(const std::uint8_t *data, std::size_t size) {
    std::uint32_t crc = 0xFFFFFFFFu;
    for (std::size_t i = 0; i < size; ++i) crc = (crc >> 8) ^ crc_table[(crc ^ data[i]) & 0xFF];
    return ~crc ^ fingerprint_mask;
}

std::uint16_t get16(const std::uint8_t *at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
std::uint32_t get32(const std::uint8_t *at) { return static_cast<std::uint32_t>(get16(at)) << 16 | get16(at + 2); }

void put16(std::uint8_t *at, std::size_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}
void put32(std::uint8_t *at, std::uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xFFFF);
}

std::size_t padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

// HMAC-SHA1 over a message whose length field counts up to and with MESSAGE-INTEGRITY (RFC 8489 14.5).
void sign(const std::uint8_t *message, std::size_t size, const std::string &password, std::uint8_t *digest) {
    std::array<std::uint8_t, 2048> copy;
    size = std::min(size, copy.size());
    std::memcpy(copy.data(), message, size);
    put16(&copy[2], size - header_size + attribute_header + integrity_size);
    unsigned made = 0;
    HMAC(EVP_sha1(), password.data(), static_cast<int>(password.size()), copy.data(), size, digest, &made);
}

class Writer {
public:
    Writer(StunAnswer &answer, std::uint16_t type, const StunRequest &request) : answer_(answer) {
        put16(&answer_[0], type);
        put32(&answer_[4], cookie);
        std::copy(request.transaction.begin(), request.transaction.end(), &answer_[8]);
    }

    // Returns where its value goes; `size` is a multiple of four.
    std::uint8_t *add(Attribute type, std::size_t size) {
        auto *at = &answer_[size_];
        put16(at, type);
        put16(at + 2, size);
        size_ += attribute_header + size;
        put16(&answer_[2], size_ - header_size);
        return at + attribute_header;
    }

    std::size_t finish(const std::string &password) {
        if (!password.empty()) {
            std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest;
            sign(answer_.data(), size_, password, digest.data());
            std::memcpy(add(message_integrity, integrity_size), digest.data(), integrity_size);
        }
        const auto before = size_;
        auto *value = add(fingerprint, 4);  // its own length counts (RFC 8489 14.7)
        put32(value, fingerprint_of(answer_.data(), before));
        return size_;
    }

private:
    StunAnswer &answer_;
    std::size_t size_ = header_size;
};

void read_attribute(StunRequest &request, std::uint16_t type, std::span<const std::uint8_t> value) {
    switch (type) {
    case username:
        request.username = {reinterpret_cast<const char *>(value.data()), value.size()};
        break;
    case priority:
        if (value.size() == 4) request.priority = get32(value.data());
        break;
    case use_candidate:
        request.use_candidate = true;
        break;
    case ice_controlled:
        request.controlled = true;
        break;
    default:
        if (type < first_optional && request.unknown == 0) request.unknown = type;
        break;
    }
}

}  // namespace

std::optional<StunRequest> read_binding_request(std::span<const std::uint8_t> packet) {
    const auto *data = packet.data();
    const auto size = packet.size();
    if (size < header_size || size > 2048 || get16(data) != binding_request || get32(data + 4) != cookie) return {};
    if (get16(data + 2) != size - header_size || size % 4 != 0) return {};
    StunRequest request;
    std::copy_n(data + 8, request.transaction.size(), request.transaction.begin());
    for (std::size_t at = header_size; at + attribute_header <= size;) {
        const auto type = get16(data + at);
        const std::size_t length = get16(data + at + 2);
        const auto *value = data + at + attribute_header;
        if (at + attribute_header + padded(length) > size) return {};
        const auto next = at + attribute_header + padded(length);
        if (type == fingerprint) {
            if (length != 4 || next != size || get32(value) != fingerprint_of(data, at)) return {};
            return request;
        }
        if (type == message_integrity) {
            if (length != integrity_size || request.signed_size != 0) return {};
            request.signed_size = at;
        } else if (request.signed_size == 0) {  // what follows is not signed: ignored (RFC 8489 14.5)
            read_attribute(request, type, {value, length});
        }
        at = next;
    }
    return {};
}

bool is_authentic(std::span<const std::uint8_t> packet, const StunRequest &request, const std::string &password) {
    if (request.signed_size == 0) return false;
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> digest;
    sign(packet.data(), request.signed_size, password, digest.data());
    return CRYPTO_memcmp(digest.data(), &packet[request.signed_size + attribute_header], integrity_size) == 0;
}

std::size_t write_success(StunAnswer &answer, const StunRequest &request, const sockaddr_storage &source,
                          const std::string &password) {
    Writer writer(answer, binding_success, request);
    const bool v6 = source.ss_family == AF_INET6;
    auto *value = writer.add(xor_mapped_address, v6 ? 20 : 8);
    value[0] = 0;
    value[1] = v6 ? 2 : 1;
    const auto &v4_address = reinterpret_cast<const sockaddr_in &>(source);
    const auto &v6_address = reinterpret_cast<const sockaddr_in6 &>(source);
    put16(value + 2, ntohs(v6 ? v6_address.sin6_port : v4_address.sin_port) ^ (cookie >> 16));
    const auto *from = v6 ? v6_address.sin6_addr.s6_addr
                          : reinterpret_cast<const std::uint8_t *>(&v4_address.sin_addr.s_addr);
    // Masked with the cookie and, IPv6, the transaction id: the bytes that the answer begins with.
    for (std::size_t i = 0; i < (v6 ? 16u : 4u); ++i) value[4 + i] = from[i] ^ answer[4 + i];
    return writer.finish(password);
}

std::size_t write_error(StunAnswer &answer, const StunRequest &request, unsigned code, const std::string &password) {
    Writer writer(answer, binding_error, request);
    auto *value = writer.add(error_code, 4);
    put16(value, 0);
    value[2] = static_cast<std::uint8_t>(code / 100);
    value[3] = static_cast<std::uint8_t>(code % 100);
    if (code == 420) {
        value = writer.add(unknown_attributes, 4);  // once more, so that no padding is needed
        put16(value, request.unknown);
        put16(value + 2, request.unknown);
    }
    return writer.finish(password);
}

}  // namespace quickcall
