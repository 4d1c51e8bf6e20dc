// Sounds in packets: files and tones read, resampled and encoded once on a thread of their own, and shared by every
// leg that hears them. Neither the SIP thread nor the media thread ever waits for a file or an encoder.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "terms.hpp"

namespace quickcall {

constexpr unsigned sound_packet_ms = 20;

// A sound in packets of one codec, each of 20 ms; never changed once made.
struct Packets {
    std::vector<std::uint8_t> bytes;
    std::vector<std::uint32_t> ends;  // of each packet in `bytes`; an empty packet is a pause
    std::size_t loop_from = 0;        // where it goes on after the last one, when it is repeated

    std::size_t size() const { return ends.size(); }
    std::span<const std::uint8_t> operator[](std::size_t i) const {
        const std::uint32_t begin = i == 0 ? 0 : ends[i - 1];
        return {bytes.data() + begin, ends[i] - begin};
    }
};

struct SoundWanted {
    std::uint64_t leg = 0;
    std::uint64_t play = 0;
    std::string sound;     // path of a WAV file, or `tone:...`
    bool repeat = false;   // played again and again: a tone's period is made to fill whole packets
    Format format;         // the codec to encode it with
};

class SoundLoader {
public:
    // Called on the loader's thread: the packets, or nullptr and why there are none.
    using Done = std::function<void(SoundWanted &&, std::shared_ptr<const Packets>, std::string)>;

    explicit SoundLoader(Done done);
    // Drops what still waits.
    ~SoundLoader();
    SoundLoader(const SoundLoader &) = delete;
    SoundLoader &operator=(const SoundLoader &) = delete;

    // Any thread. Each call is answered by one `done`, but for those that wait at the end.
    void want(SoundWanted &&wanted);

private:
    struct Kept {
        std::string key;
        std::shared_ptr<const Packets> packets;
    };

    void run();
    std::shared_ptr<const Packets> find(const SoundWanted &wanted);
    void keep(std::string &&key, std::shared_ptr<const Packets> packets);

    const Done done_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<SoundWanted> wanted_;
    bool ending_ = false;
    // Below: the loader's thread only. The one used last stands first.
    std::list<Kept> kept_;
    std::unordered_map<std::string, std::list<Kept>::iterator> by_key_;
    std::size_t kept_bytes_ = 0;
    std::thread thread_;
};

}  // namespace quickcall
