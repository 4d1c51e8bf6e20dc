// What the SIP thread tells the media thread, in order.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "media.hpp"
#include "ports.hpp"
#include "receiver.hpp"
#include "sounds.hpp"

namespace quickcall {

struct OpenStream {
    LegId leg;
    PortPair *pair;
    std::shared_ptr<Counters> counters;
};
struct CloseStream {
    LegId leg;
};
struct CloseStreamAt {
    LegId leg;
    Time at;
};
struct AgreeOn {
    LegId leg;
    MediaTerms terms;
};
struct NoteAnswer {
    LegId leg;
};
struct JoinStreams {
    LegId one, other;
};
struct SplitStream {
    LegId leg;
};

struct PlaySound {
    LegId leg;
    std::uint64_t play;
    std::string sound;
    bool repeat;
};
struct StopSound {
    LegId leg;
};
// From the loader's thread.
struct UseSound {
    SoundWanted wanted;
    std::shared_ptr<const Packets> packets;
    std::string error;
};
struct RecordStream {
    LegId leg;
    std::string path;
    double max_s;
};
struct StopRecordingStream {
    LegId leg;
};
struct SendDigitsOn {
    LegId leg;
    std::string digits;
    unsigned duration_ms;
};
struct StopLoop {};

using Order = std::variant<OpenStream, CloseStream, CloseStreamAt, AgreeOn, NoteAnswer, JoinStreams, SplitStream,
                           PlaySound, StopSound, UseSound, RecordStream, StopRecordingStream, SendDigitsOn, StopLoop>;

// Held for the length of a move by one side, of a swap of two vectors by the other.
class OrderQueue {
public:
    // True: it was empty, the media thread must be woken.
    bool push(Order &&order) {
        std::lock_guard lock(mutex_);
        orders_.push_back(std::move(order));
        return orders_.size() == 1;
    }

    void take(std::vector<Order> &into) {
        std::lock_guard lock(mutex_);
        into.swap(orders_);
    }

private:
    std::mutex mutex_;
    std::vector<Order> orders_;
};

}  // namespace quickcall
