// Bounded queues between the SIP thread and Python. Neither side ever waits for the other longer than a
// swap of two vectors takes; `blocked_max_ns` proves it.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "wire.hpp"

namespace quickcall {

// Locks and remembers the longest wait: the figure for "time the SIP thread is blocked".
class TimedLock {
public:
    TimedLock(std::mutex &mutex, std::atomic<std::uint64_t> &longest) : lock_(mutex, std::try_to_lock) {
        if (lock_.owns_lock()) return;  // the common case costs no clock reading
        const auto start = std::chrono::steady_clock::now();
        lock_.lock();
        const auto waited = static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start).count());
        std::uint64_t seen = longest.load(std::memory_order_relaxed);
        while (waited > seen && !longest.compare_exchange_weak(seen, waited)) {
        }
    }

private:
    std::unique_lock<std::mutex> lock_;
};

// Events up. State events are always taken: their number is bounded by the legs (each emits a bounded
// number) and by the pending requests. Log lines and traces are dropped above `droppable_limit`, counted.
// `congested` tells the stack to refuse new legs and requests, which keeps the bound real.
class Mailbox {
public:
    explicit Mailbox(std::size_t limit)
        : limit_(limit), droppable_limit_(limit / 2), fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    ~Mailbox() { ::close(fd_); }
    Mailbox(const Mailbox &) = delete;
    Mailbox &operator=(const Mailbox &) = delete;

    int fd() const { return fd_; }
    bool congested() const { return size_.load(std::memory_order_relaxed) >= limit_; }
    std::size_t size() const { return size_.load(std::memory_order_relaxed); }
    std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
    std::uint64_t blocked_max_ns() const { return blocked_.load(std::memory_order_relaxed); }

    void post(Event &&event) { push(std::move(event)); }

    void post_droppable(Event &&event) {
        if (size() >= droppable_limit_) {
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        push(std::move(event));
    }

    // For what is dropped before it becomes an event.
    void count_dropped() { dropped_.fetch_add(1, std::memory_order_relaxed); }

    // Python side. Clears the descriptor before it looks, so that no event is left behind unannounced.
    void drain(std::vector<Event> &into) {
        std::uint64_t count;
        if (::read(fd_, &count, sizeof count) < 0 && errno != EAGAIN) return;
        std::lock_guard lock(mutex_);
        into.swap(events_);
        size_.store(events_.size(), std::memory_order_relaxed);
    }

private:
    void push(Event &&event) {
        bool first;
        {
            TimedLock lock(mutex_, blocked_);
            first = events_.empty();
            events_.push_back(std::move(event));
            size_.store(events_.size(), std::memory_order_relaxed);
        }
        if (first) {
            const std::uint64_t one = 1;
            // A full counter (EAGAIN) is readable all the same.
            [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
        }
    }

    const std::size_t limit_;
    const std::size_t droppable_limit_;
    const int fd_;
    std::mutex mutex_;
    std::vector<Event> events_;
    std::atomic<std::size_t> size_{0};
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> blocked_{0};
};

// Commands down. All of a batch or none of it is taken.
class CommandQueue {
public:
    explicit CommandQueue(std::size_t limit) : limit_(limit) {}

    // Returns false when the batch does not fit. `first` tells whether the SIP thread must be woken.
    bool push(std::vector<Command> &&batch, bool &first) {
        std::lock_guard lock(mutex_);
        if (commands_.size() + batch.size() > limit_) return false;
        first = commands_.empty();
        for (auto &command : batch) commands_.push_back(std::move(command));
        return true;
    }

    void take(std::vector<Command> &into) {
        TimedLock lock(mutex_, blocked_);
        into.swap(commands_);
    }

    std::uint64_t blocked_max_ns() const { return blocked_.load(std::memory_order_relaxed); }

private:
    const std::size_t limit_;
    std::mutex mutex_;
    std::vector<Command> commands_;
    std::atomic<std::uint64_t> blocked_{0};
};

}  // namespace quickcall
