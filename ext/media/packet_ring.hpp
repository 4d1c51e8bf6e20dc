// A bounded queue of packets from one thread to one other, without a lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace quickcall {

// `Head` is copied bytewise and has a `size`: that of the payload which follows it, at most `max_payload`.
template <class Head>
class PacketRing {
public:
    static constexpr std::size_t max_payload = 2048;

    // `size`: of all that can wait, bytes, a power of two.
    explicit PacketRing(std::size_t size) : size_(size), bytes_(std::make_unique_for_overwrite<std::uint8_t[]>(size)) {}

    // One thread. Returns false, and takes nothing, when there is no room.
    bool put(const Head &head, const std::uint8_t *payload) {
        const auto end = end_.load(std::memory_order_relaxed);
        const auto needed = sizeof head + head.size;
        if (head.size > max_payload || size_ - (end - begin_.load(std::memory_order_acquire)) < needed) return false;
        copy_in(end, &head, sizeof head);
        copy_in(end + sizeof head, payload, head.size);
        end_.store(end + needed, std::memory_order_release);
        return true;
    }

    // The other thread: calls `take(head, payload)` for everything that waits.
    template <class Take>
    void drain(Take &&take) {
        auto begin = begin_.load(std::memory_order_relaxed);
        const auto end = end_.load(std::memory_order_acquire);
        while (begin != end) {
            Head head;
            std::uint8_t payload[max_payload];
            copy_out(begin, &head, sizeof head);
            copy_out(begin + sizeof head, payload, head.size);
            begin += sizeof head + head.size;
            begin_.store(begin, std::memory_order_release);
            take(head, std::span<const std::uint8_t>(payload, head.size));
        }
    }

private:
    void copy_in(std::uint64_t at, const void *from, std::size_t count) {
        const auto place = static_cast<std::size_t>(at) & (size_ - 1);
        const auto first = std::min(count, size_ - place);
        std::memcpy(bytes_.get() + place, from, first);
        std::memcpy(bytes_.get(), static_cast<const std::uint8_t *>(from) + first, count - first);
    }

    void copy_out(std::uint64_t at, void *into, std::size_t count) const {
        const auto place = static_cast<std::size_t>(at) & (size_ - 1);
        const auto first = std::min(count, size_ - place);
        std::memcpy(into, bytes_.get() + place, first);
        std::memcpy(static_cast<std::uint8_t *>(into) + first, bytes_.get(), count - first);
    }

    const std::size_t size_;
    const std::unique_ptr<std::uint8_t[]> bytes_;
    // On lines of their own: each is written by one thread and read by the other.
    alignas(64) std::atomic<std::uint64_t> begin_{0};
    alignas(64) std::atomic<std::uint64_t> end_{0};
};

}  // namespace quickcall
