// needs: ext/media/stun.cpp ext/media/ice.cpp -lcrypto
// What ICE reads of a stranger's packet. The input is the attributes of a Binding request; header, MESSAGE-INTEGRITY
// and FINGERPRINT are put around them here, by a plain reading of RFC 8489, or left wrong.
#include "stun.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "ice.hpp"

namespace {

using namespace quickcall;
using quickcall::fuzz::expect;
using Bytes = std::vector<std::uint8_t>;

const std::string password = "0123456789012345678901";

void put16(Bytes &to, std::size_t value) {
    to.push_back(static_cast<std::uint8_t>(value >> 8));
    to.push_back(static_cast<std::uint8_t>(value));
}

void set_length(Bytes &message, std::size_t length) {
    message[2] = static_cast<std::uint8_t>(length >> 8);
    message[3] = static_cast<std::uint8_t>(length);
}

std::uint32_t crc(const Bytes &bytes) {
    std::uint32_t value = 0xFFFFFFFF;
    for (const auto byte : bytes) {
        value ^= byte;
        for (int bit = 0; bit < 8; ++bit) value = value & 1 ? value >> 1 ^ 0xEDB88320 : value >> 1;
    }
    return ~value;
}

Bytes request_around(const std::uint8_t *data, std::size_t size, bool sign, const Bytes &behind) {
    Bytes message{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    message.insert(message.end(), data, data + (size & ~std::size_t{3}));
    if (sign) {
        set_length(message, message.size() - 20 + 24);
        Bytes digest(20);
        unsigned made = 0;
        HMAC(EVP_sha1(), password.data(), static_cast<int>(password.size()), message.data(), message.size(),
             digest.data(), &made);
        put16(message, 0x0008);
        put16(message, 20);
        message.insert(message.end(), digest.begin(), digest.end());
        message.insert(message.end(), behind.begin(), behind.end());
    }
    set_length(message, message.size() - 20 + 8);
    const auto print = crc(message) ^ 0x5354554E;
    put16(message, 0x8028);
    put16(message, 4);
    put16(message, print >> 16);
    put16(message, print & 0xFFFF);
    return message;
}

void answer_it(const Bytes &packet, const StunRequest &request) {
    sockaddr_storage source{};
    for (const auto family : {AF_INET, AF_INET6}) {
        source.ss_family = static_cast<sa_family_t>(family);
        StunAnswer answer;
        const auto size = write_success(answer, request, source, password);
        expect(size <= answer.size() && size % 4 == 0, "an answer fits");
        for (const unsigned code : {400u, 401u, 420u, 487u}) {
            expect(write_error(answer, request, code, code == 401 ? "" : password) <= answer.size(), "an error fits");
        }
    }
    Ice ice({"ours", password, "peer", password});
    StunAnswer answer;
    source = {};
    source.ss_family = AF_INET;
    const bool ours = is_authentic(packet, request, password) && request.username == "ours:peer";
    expect(ice.receive(packet, source, {}, answer) > 0, "a request is answered");
    const bool chosen = ice.selected({}) != nullptr;
    expect(chosen == (ours && request.use_candidate && !request.controlled && request.unknown == 0),
           "nobody is nominated but by the peer");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    read_binding_request({data, size});
    if (size > 1500) return 0;
    const Bytes use_candidate{0, 0x25, 0, 0};
    for (const bool sign : {false, true}) {
        const auto packet = request_around(data, size, sign, {});
        const auto request = read_binding_request(packet);
        if (!request) continue;
        expect(request->signed_size <= packet.size(), "what is signed is in the packet");
        answer_it(packet, *request);
        if (!sign || !is_authentic(packet, *request, password)) continue;
        const auto longer = request_around(data, size, true, use_candidate);
        const auto same = read_binding_request(longer);
        expect(same && same->use_candidate == request->use_candidate, "what is not signed does not count");
    }
    return 0;
}
