// DTMF digits that wait to be sent to one leg, cut into frames of 20 ms. No sockets, no clock, no pj.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>

namespace quickcall {

// What goes out in the next 20 ms.
struct DigitFrame {
    enum class Kind : std::uint8_t {
        nothing,  // a pause between events: RTP is silent
        event,    // a packet of telephone-event
        tone,     // audio: the next samples of a pair of tones, or the pause behind them
    };
    Kind kind = Kind::nothing;
    bool first = false;                        // of its digit: marker bit, and a timestamp of its own
    std::array<std::uint8_t, 4> payload{};     // event
};

// How a digit is sent.
struct DigitForm {
    bool event = true;       // telephone-event, else tones
    unsigned rate = 8000;    // of the event's clock, or of the samples
};

// One digit after the other, each with a pause behind it. As events (RFC 4733 2.5.1): a packet every 20 ms with
// the duration so far, the last of them three times. As tones (ITU-T Q.23, levels of Q.24): both frequencies
// together. The form of a digit is settled when it begins.
class DigitSender {
public:
    static constexpr unsigned frame_ms = 20;
    static constexpr unsigned pause_ms = 60;
    static constexpr std::size_t most_waiting = 128;

    // False: so many wait already that these do not fit; none of them is taken then.
    bool add(std::string_view digits, unsigned duration_ms);
    bool active() const { return !waiting_.empty(); }
    void stop();
    // True when the next frame begins a digit, so that its form can be chosen.
    bool between() const { return elapsed_ms_ == 0; }
    DigitFrame next(const DigitForm &form);
    // Fills in the samples of a frame that is a tone: 20 ms at the rate of its form.
    void samples(std::span<std::int16_t> into);

private:
    struct Waiting {
        char digit;
        unsigned duration_ms;
    };

    DigitFrame event_frame();
    void advance(unsigned length_ms);

    std::deque<Waiting> waiting_;
    DigitForm form_;
    unsigned elapsed_ms_ = 0;      // of the digit in front, its pause included
    unsigned sounding_ms_ = 0;     // of the frame that `samples` is asked for
    double low_ = 0, high_ = 0;    // phases, in radians
    char tone_ = 0;                // the digit that `samples` makes
};

}  // namespace quickcall
