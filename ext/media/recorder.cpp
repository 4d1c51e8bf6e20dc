#include "recorder.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "mailbox.hpp"
#include "recording_file.hpp"

namespace quickcall {
namespace {

// A second of 200 recordings of G.711, or minutes of one. The pages are the system's until they are used.
constexpr std::size_t ring_size = 8U << 20;
constexpr std::chrono::milliseconds turn_every{50};
constexpr unsigned narrow = 8000, wide_band = 16000;

std::int64_t nanoseconds(Recording::Time::duration since) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

bool same(const Format &one, const Format &other) {
    return one.name == other.name && one.rate == other.rate && one.channels == other.channels &&
           one.our_fmtp == other.our_fmtp && one.their_fmtp == other.their_fmtp;
}

}  // namespace

Recording::Recording(std::uint64_t leg, std::string path, double max_s, unsigned rate, Time started)
    : leg_(leg), path_(std::move(path)), max_s_(max_s), rate_(rate), started_(started) {}

Recording::~Recording() = default;

// --- the media thread -------------------------------------------------------------------------------

Recorder::Recorder(Mailbox &mailbox) : mailbox_(mailbox), ring_(ring_size), thread_([this] { run(); }) {}

Recorder::~Recorder() {
    {
        std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

Recording *Recorder::begin(std::uint64_t leg, const std::string &path, double max_s, bool wide, Time now) {
    auto made = std::make_unique<Recording>(leg, path, max_s, wide ? wide_band : narrow, now);
    auto *recording = made.get();
    {
        std::lock_guard lock(mutex_);
        begun_.push_back(std::move(made));
    }
    changed_.notify_one();
    return recording;
}

void Recorder::end(Recording *recording, Time now) {
    recording->ended_ = now;
    {
        std::lock_guard lock(mutex_);
        given_back_.push_back(recording);
    }
    changed_.notify_one();
}

void Recorder::put(Recording &recording, Side side, const Format &format, std::uint32_t timestamp,
                   std::span<const std::uint8_t> payload, Time now) {
    if (format.is_event() || recording.over_.load(std::memory_order_relaxed)) return;
    std::size_t index = 0;
    while (index < recording.format_count_ && !same(recording.formats_[index], format)) ++index;
    if (index == Recording::max_formats) return;
    if (index == recording.format_count_) recording.formats_[recording.format_count_++] = format;
    const Head head{&recording, nanoseconds(now - recording.started_), timestamp,
                    static_cast<std::uint16_t>(std::min(payload.size(), ring_.max_payload)), side,
                    static_cast<std::uint8_t>(index)};
    if (!ring_.put(head, payload.data())) recording.dropped_.fetch_add(1, std::memory_order_relaxed);
}

// --- the writer thread ------------------------------------------------------------------------------

void Recorder::run() {
    for (;;) {
        bool ending;
        {
            std::unique_lock lock(mutex_);
            const auto called = [this] { return ending_ || !begun_.empty() || !given_back_.empty(); };
            if (recordings_.empty()) {
                changed_.wait(lock, called);
            } else {
                changed_.wait_for(lock, turn_every, called);
            }
            ending = ending_;
        }
        turn();
        if (!ending) continue;
        for (auto &recording : recordings_) finish(*recording, std::chrono::steady_clock::now(), {});
        return;
    }
}

void Recorder::turn() {
    std::vector<Recording *> given_back;
    {
        std::lock_guard lock(mutex_);
        for (auto &recording : begun_) recordings_.push_back(std::move(recording));
        begun_.clear();
        given_back.swap(given_back_);
    }
    // What was given back put its last packet into the ring before that.
    const auto now = std::chrono::steady_clock::now();
    ring_.drain([&](const Head &head, std::span<const std::uint8_t> payload) {
        attempt(*head.recording, now, [&](RecordingFile &file) {
            file.put(head.side, head.format, head.timestamp, payload, head.at_ns);
            return false;
        });
    });
    for (auto &recording : recordings_) {
        attempt(*recording, now, [&](RecordingFile &file) { return file.advance(nanoseconds(now - recording->started_)); });
    }
    for (auto *recording : given_back) {
        finish(*recording, recording->ended_, {});
        std::erase_if(recordings_, [&](const auto &owned) { return owned.get() == recording; });
    }
}

// Opens the file when it is the first to need it. `act` returns whether the recording has come to its end.
template <class Act>
void Recorder::attempt(Recording &recording, Time now, Act &&act) {
    if (recording.over_.load(std::memory_order_relaxed)) return;
    try {
        if (recording.file_ == nullptr) recording.file_ = std::make_unique<RecordingFile>(recording);
        if (act(*recording.file_)) finish(recording, now, {});
    } catch (const std::exception &failure) {
        finish(recording, now, failure.what());
    }
}

// Once for each recording, whoever ends it.
void Recorder::finish(Recording &recording, Time end, std::string error) {
    if (recording.over_.exchange(true, std::memory_order_relaxed)) return;
    if (error.empty()) {
        try {
            if (recording.file_ == nullptr) recording.file_ = std::make_unique<RecordingFile>(recording);
            recording.file_->complete(nanoseconds(end - recording.started_));
        } catch (const std::exception &failure) {
            error = failure.what();
        }
    }
    const auto dropped = recording.dropped_.load(std::memory_order_relaxed);
    if (error.empty() && dropped > 0) {
        error = std::to_string(dropped) + " packets were dropped: the disk does not keep up";
    }
    const double seconds = recording.file_ != nullptr ? recording.file_->seconds() : 0;
    recording.file_.reset();
    post_recorded(mailbox_, recording.leg_, recording.path_, seconds, std::move(error));
}

void post_recorded(Mailbox &mailbox, std::uint64_t leg, std::string path, double seconds, std::string error) {
    Event event;
    event.kind = EventKind::leg_recorded;
    event.leg = leg;
    event.text = std::move(path);
    event.at = seconds;
    event.reason = std::move(error);
    mailbox.post(std::move(event));
}

}  // namespace quickcall
