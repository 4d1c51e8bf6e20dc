// Timers of the media thread: a heap of pointers, so that setting and stopping one allocates nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace quickcall {

using Time = std::chrono::steady_clock::time_point;

class Timers;

// Fires once, at or soon after its time; may be set again from what it calls. Stops when it is destroyed.
class Timer {
public:
    Timer(Timers &timers, std::function<void(Time now)> fired) : timers_(timers), fired_(std::move(fired)) {}
    inline ~Timer();
    Timer(const Timer &) = delete;
    Timer &operator=(const Timer &) = delete;

    inline void set(Time at);  // replaces what was set before
    inline void stop();
    bool is_set() const { return place_ != nowhere; }
    Time at() const { return at_; }

private:
    friend class Timers;
    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

    Timers &timers_;
    std::function<void(Time)> fired_;
    Time at_{};
    std::size_t place_ = nowhere;
};

class Timers {
public:
    Timers() = default;
    Timers(const Timers &) = delete;
    Timers &operator=(const Timers &) = delete;

    bool empty() const { return heap_.empty(); }
    Time next() const { return heap_.front()->at_; }

    // Fires what is due. What is set meanwhile, and due already, waits for the next time.
    void run(Time now) {
        std::size_t left = heap_.size();
        while (left-- > 0 && !heap_.empty() && heap_.front()->at_ <= now) {
            Timer *timer = heap_.front();
            remove(*timer);
            timer->fired_(now);  // may destroy it
        }
    }

private:
    friend class Timer;

    void place(Timer *timer, std::size_t at) {
        heap_[at] = timer;
        timer->place_ = at;
    }

    void add(Timer &timer) {
        heap_.push_back(&timer);
        rise(heap_.size() - 1, &timer);
    }

    void remove(Timer &timer) {
        const std::size_t hole = timer.place_;
        Timer *last = heap_.back();
        heap_.pop_back();
        timer.place_ = Timer::nowhere;
        if (last == &timer) return;
        place(last, hole);
        rise(hole, last);
        sink(last->place_, last);
    }

    void rise(std::size_t at, Timer *timer) {
        for (std::size_t parent; at > 0 && timer->at_ < heap_[parent = (at - 1) / 2]->at_; at = parent) {
            place(heap_[parent], at);
        }
        place(timer, at);
    }

    void sink(std::size_t at, Timer *timer) {
        for (;;) {
            std::size_t child = 2 * at + 1;
            if (child >= heap_.size()) break;
            if (child + 1 < heap_.size() && heap_[child + 1]->at_ < heap_[child]->at_) ++child;
            if (timer->at_ <= heap_[child]->at_) break;
            place(heap_[child], at);
            at = child;
        }
        place(timer, at);
    }

    std::vector<Timer *> heap_;
};

inline Timer::~Timer() { stop(); }

inline void Timer::set(Time at) {
    stop();
    at_ = at;
    timers_.add(*this);
}

inline void Timer::stop() {
    if (place_ != nowhere) timers_.remove(*this);
}

}  // namespace quickcall
