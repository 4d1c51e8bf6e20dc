// Records what legs say and hear to stereo WAV files.
//
// The media thread copies payloads into a ring, undecoded, and never waits. A writer thread takes them out every
// 50 ms, decodes them, puts them where they belong in time, and writes. When the ring is full, packets are dropped
// and counted, and `leg_recorded` says so.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "packet_ring.hpp"
#include "terms.hpp"

namespace quickcall {

class Mailbox;
class RecordingFile;

enum class Side : std::uint8_t { says, hears };  // left and right

// The media thread's end of a recording.
class Recording {
public:
    using Time = std::chrono::steady_clock::time_point;

    Recording(std::uint64_t leg, std::string path, double max_s, unsigned rate, Time started);
    ~Recording();
    Recording(const Recording &) = delete;
    Recording &operator=(const Recording &) = delete;

    // It has come to its end by itself.
    bool over() const { return over_.load(std::memory_order_relaxed); }

private:
    friend class Recorder;
    friend class RecordingFile;
    static constexpr std::size_t max_formats = 32;

    const std::uint64_t leg_;
    const std::string path_;
    const double max_s_;
    const unsigned rate_;
    const Time started_;
    // Written by the media thread before a packet that refers to it is put into the ring, and never again.
    std::array<Format, max_formats> formats_;
    std::size_t format_count_ = 0;
    std::atomic<std::uint32_t> dropped_{0};
    std::atomic<bool> over_{false};        // by the writer: nothing more is taken
    Time ended_{};                         // by the media thread, before it gives the recording back
    std::unique_ptr<RecordingFile> file_;  // the writer's
};

class Recorder {
public:
    using Time = Recording::Time;

    explicit Recorder(Mailbox &mailbox);
    // Completes what is still recorded.
    ~Recorder();
    Recorder(const Recorder &) = delete;
    Recorder &operator=(const Recorder &) = delete;

    // The media thread. `wide`: 16000 samples a second, else 8000. `max_s` 0: until `end`. One `leg_recorded` follows,
    // at the latest after `end`, which each recording needs once.
    Recording *begin(std::uint64_t leg, const std::string &path, double max_s, bool wide, Time now);
    void end(Recording *recording, Time now);
    // A packet that was heard or sent in this format. Of telephone-events only their silence is recorded.
    void put(Recording &recording, Side side, const Format &format, std::uint32_t timestamp,
             std::span<const std::uint8_t> payload, Time now);

private:
    struct Head {
        Recording *recording;
        std::int64_t at_ns;  // since the recording began
        std::uint32_t timestamp;
        std::uint16_t size;
        Side side;
        std::uint8_t format;
    };

    void run();
    void turn();
    template <class Act>
    void attempt(Recording &recording, Time now, Act &&act);
    void finish(Recording &recording, Time end, std::string error);

    Mailbox &mailbox_;
    PacketRing<Head> ring_;
    std::mutex mutex_;
    std::condition_variable changed_;
    // Guarded by mutex_, which is not held while a packet is handled.
    std::vector<std::unique_ptr<Recording>> begun_;
    std::vector<Recording *> given_back_;
    bool ending_ = false;
    std::vector<std::unique_ptr<Recording>> recordings_;  // the writer's
    std::thread thread_;
};

void post_recorded(Mailbox &mailbox, std::uint64_t leg, std::string path, double seconds, std::string error);

}  // namespace quickcall
