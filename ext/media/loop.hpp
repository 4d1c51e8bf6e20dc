// The media thread: sockets, orders, timers, in one epoll.
#pragma once

#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "orders.hpp"
#include "recorder.hpp"
#include "sounds.hpp"
#include "stream.hpp"
#include "timers.hpp"

namespace quickcall {

class Loop {
public:
    // Starts the thread. Throws std::runtime_error.
    Loop(const MediaConfig &config, Mailbox &mailbox, const DtlsIdentity &identity);
    // Ends every stream, then the thread.
    ~Loop();
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    // Any thread.
    void post(Order &&order);
    std::uint64_t packets() const { return relayed_.get(); }

private:
    struct Entry {
        std::unique_ptr<Stream> stream;
        std::optional<Timer> end;  // of a stream that only waits for stragglers
    };

    void run();
    int patience(Time now) const;
    void read(PortPair &pair, int which);
    void execute();
    void execute(OpenStream &order);
    void execute(CloseStream &order);
    void execute(CloseStreamAt &order);
    void execute(AgreeOn &order);
    void execute(NoteAnswer &order);
    void execute(JoinStreams &order);
    void execute(SplitStream &order);
    void execute(PlaySound &order);
    void execute(StopSound &order);
    void execute(UseSound &order);
    void execute(RecordStream &order);
    void execute(StopRecordingStream &order);
    void execute(SendDigitsOn &order);
    void execute(StopLoop &order);
    void watch(PortPair &pair);
    void end(LegId leg);
    void tick();
    Stream *find(LegId leg) const;

    const MediaConfig config_;
    Mailbox &mailbox_;
    OrderQueue orders_;
    Gauge<std::uint64_t> relayed_;
    int epoll_ = -1, wake_ = -1;

    std::unique_ptr<SoundLoader> sounds_;
    std::unique_ptr<Recorder> recorder_;

    // Below: media thread only.
    Time now_{};  // when the epoll of this turn returned: one reading of the clock for all its packets
    bool stopping_ = false;
    Timers timers_;
    MediaContext context_;
    std::unordered_map<LegId, Entry> streams_;
    std::vector<Stream *> row_;  // all of them, each knows its place
    Timer ticking_;              // set while there are any
    std::uint64_t ticks_ = 0;
    std::vector<Order> batch_;
    std::thread thread_;
};

}  // namespace quickcall
