// The DTMF digits that one leg sends with its media, told to the mailbox. Media thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec.hpp"
#include "digits.hpp"
#include "mailbox.hpp"
#include "resampler.hpp"
#include "rtp.hpp"
#include "terms.hpp"
#include "timers.hpp"
#include "tone_digits.hpp"

namespace quickcall {

// Each digit is one `leg_sent_digit`. Whether the joined leg has got it too is told by who passes the packets on.
class DigitListener {
public:
    DigitListener(LegId leg, Timers &timers, Mailbox &mailbox);

    // A packet of telephone-event, of a format with this clock.
    void take_event(const RtpHeader &rtp, std::span<const std::uint8_t> payload, unsigned rate, bool carried, Time now);
    // A packet of sound, of a leg that has no telephone-event. What cannot be decoded is not listened to.
    void take_sound(const RtpHeader &rtp, std::span<const std::uint8_t> payload, const Format &format, bool carried,
                    Time now);

private:
    bool follows(const RtpHeader &rtp, const Format &format);
    void open(const Format &format);
    void on_silence(Time now);
    void tell(std::vector<HeardDigit> &&heard, DtmfMethod method);

    const LegId leg_;
    Mailbox &mailbox_;
    Timer silence_;
    std::uint32_t source_ = 0;      // SSRC
    EventReceiver events_;

    std::optional<ToneDetector> tones_;
    bool carried_ = false;          // the tone that sounds
    std::string codec_name_;        // of `codec_`
    unsigned codec_rate_ = 0;
    std::unique_ptr<Codec> codec_;  // nullptr: it cannot be decoded
    std::optional<Resampler> resampler_;
    std::uint16_t sequence_ = 0;    // of the last packet of sound
    std::uint32_t timestamp_ = 0;
};

}  // namespace quickcall
