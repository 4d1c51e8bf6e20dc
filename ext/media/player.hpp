// What is played to one leg: packets that were made before, one every 20 ms. The media thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "rtp.hpp"
#include "sounds.hpp"
#include "terms.hpp"
#include "timers.hpp"

namespace quickcall {

class Mailbox;

// Each `play` is answered by one `leg_played`, whatever becomes of it. Packets are due on a grid of 5 ms that all
// players share, so that a thousand of them wake the thread 200 times a second and not 50000 times.
class Player {
public:
    // Sends a packet of this header; its sequence numbers and timestamps go on through one `play`.
    using Send = std::function<void(RtpHeader &header, std::span<const std::uint8_t> payload, unsigned rate, Time now)>;

    Player(std::uint64_t leg, Timers &timers, SoundLoader &loader, Mailbox &mailbox, Send send);
    // Stops what is played.
    ~Player();
    Player(const Player &) = delete;
    Player &operator=(const Player &) = delete;

    // True: what the leg hears is this player's; packets of others are not for it.
    bool playing() const { return playing_; }
    // Which `play` this is, for the packets' origin.
    std::uint32_t generation() const { return generation_; }

    void play(std::uint64_t id, std::string &&sound, bool repeat);
    void stop();
    // What the leg is sent now, nullptr: nothing has been agreed on; whether it may be sent anything. A sound waits
    // for the first agreement; while nothing may be sent it goes on unheard.
    void agreed(const Format *format, bool may_send);
    void loaded(const SoundWanted &wanted, std::shared_ptr<const Packets> &&packets, const std::string &error, Time now);

private:
    void want();
    void on_due(Time now);
    void finish(const std::string &error);

    const std::uint64_t leg_;
    SoundLoader &loader_;
    Mailbox &mailbox_;
    const Send send_;
    Timer timer_;
    bool playing_ = false;
    bool repeat_ = false;
    bool may_send_ = false;
    std::uint32_t generation_ = 0;
    std::uint64_t id_ = 0;
    std::string sound_;
    std::optional<Format> format_;
    std::shared_ptr<const Packets> packets_;
    std::size_t next_ = 0;         // packet
    std::uint16_t sequence_ = 0;
    std::uint32_t timestamp_ = 0;
};

void post_played(Mailbox &mailbox, std::uint64_t leg, std::uint64_t id, const std::string &error);

}  // namespace quickcall
