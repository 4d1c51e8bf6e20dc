// A hash table from numbers to 32-bit values: two cache misses for a look-up, no copy of the key.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace quickcall::numbers {

// Filled by add(), then only read, from any number of threads.
class NumberIndex {
public:
    // False when the number is there already; it keeps its first value. Values are not negative.
    bool add(std::string_view number, std::int32_t value) {
        if (2 * (count_ + 1) > slots_.size()) {
            grow();
        }
        const std::uint64_t hash = hash_of(number);
        Slot& slot = slots_[place(number, hash)];
        if (slot.value >= 0) {
            return false;
        }
        if (texts_.size() + number.size() > std::numeric_limits<std::uint32_t>::max()) {
            throw std::length_error("numbers of one index are longer than 4 GiB in all");
        }
        slot = {tag_of(hash), value, static_cast<std::uint32_t>(texts_.size()),
                static_cast<std::uint32_t>(number.size())};
        texts_.append(number);
        ++count_;
        return true;
    }

    // The value of a number, or -1.
    std::int32_t find(std::string_view number) const {
        return count_ == 0 ? -1 : slots_[place(number, hash_of(number))].value;
    }

    std::size_t size() const { return count_; }

private:
    struct Slot {
        std::uint32_t tag = 0;
        std::int32_t value = -1;
        std::uint32_t offset = 0;
        std::uint32_t size = 0;
    };

    static std::uint64_t hash_of(std::string_view number) {
        return std::hash<std::string_view>{}(number);
    }
    static std::uint32_t tag_of(std::uint64_t hash) {
        return static_cast<std::uint32_t>(hash >> 32);
    }

    std::string_view text(const Slot& slot) const { return {&texts_[slot.offset], slot.size}; }

    // The slot of the number, or the free one that it would take; at least half are free.
    std::size_t place(std::string_view number, std::uint64_t hash) const {
        const std::size_t mask = slots_.size() - 1;
        std::size_t at = hash & mask;
        while (slots_[at].value >= 0 &&
               (slots_[at].tag != tag_of(hash) || text(slots_[at]) != number)) {
            at = (at + 1) & mask;
        }
        return at;
    }

    void grow() {
        std::vector<Slot> old(slots_.empty() ? 16 : 2 * slots_.size());
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.value >= 0) {
                slots_[place(text(slot), hash_of(text(slot)))] = slot;
            }
        }
    }

    std::vector<Slot> slots_;  // a power of two
    std::string texts_;
    std::size_t count_ = 0;
};

}  // namespace quickcall::numbers
