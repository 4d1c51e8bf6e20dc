// Random numbers that nobody can guess, from the kernel (RFC 3550 8.1: SSRCs must not collide, nor be predicted).
#pragma once

#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace quickcall {

inline std::uint32_t random32() {
    std::uint32_t value;
    if (::getrandom(&value, sizeof value, 0) != sizeof value) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    return value;
}

}  // namespace quickcall
