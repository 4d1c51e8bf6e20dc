// The DTMF digits that one leg is sent with its media, at their time. Media thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "codec.hpp"
#include "digit_sender.hpp"
#include "rtp.hpp"
#include "terms.hpp"
#include "timers.hpp"

namespace quickcall {

// How a leg is sent digits by what was agreed on: `events` or `sound` is set, or neither when it cannot be.
struct DigitFormats {
    const Format *event = nullptr;
    const Format *sound = nullptr;  // with `event`: whose clock the timestamps follow
};
DigitFormats digit_formats(const MediaTerms &terms);

// While it is busy, it alone feeds the stream the leg is sent; its timer runs no longer than that.
class DigitPlayer {
public:
    // Sends a packet of this header; sequence numbers and timestamps go on while it is busy.
    using Send = std::function<void(RtpHeader &header, std::span<const std::uint8_t> payload, unsigned rate, Time now)>;

    DigitPlayer(Timers &timers, Send send);

    bool busy() const { return sender_.active(); }
    // Which time of being busy this is, for the packets' origin.
    std::uint32_t generation() const { return generation_; }
    // False: they are not sent, because the leg cannot be sent digits or too many wait already.
    bool play(std::string_view digits, unsigned duration_ms, const MediaTerms &terms, Time now);
    // Another agreement: the digit at hand is finished, what waits is sent as that says, or dropped if it cannot be.
    void agreed(const MediaTerms &terms);

private:
    void on_due(Time now);
    void send_tone(RtpHeader &header, Time now);
    bool choose(const MediaTerms &terms);

    Timer timer_;
    const Send send_;
    DigitSender sender_;
    std::optional<MediaTerms> agreed_;  // since the digit at hand began
    bool as_event_ = true;
    Format event_, sound_;
    unsigned clock_ = 8000;           // of the timestamps
    std::unique_ptr<Codec> codec_;    // of tones
    std::uint32_t generation_ = 0;
    std::uint16_t sequence_ = 0;
    std::uint32_t timestamp_ = 0;     // of this frame
    std::uint32_t begun_ = 0;         // of the digit at hand
};

}  // namespace quickcall
