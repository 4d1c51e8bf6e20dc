// DTMF digits that come as telephone-events (RFC 4733). No sockets, no clock, no pj.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace quickcall {

constexpr unsigned max_digit_ms = 10000;  // what is told of a digit, however long a key is held

// The event code of a digit (RFC 4733 3.2), -1: it is none.
int event_of_digit(char digit);

struct HeardDigit {
    char digit;
    unsigned duration_ms;
    bool carried = false;  // the joined leg has been sent some of it
};

// Tells each event once. It is sent as a growing duration under one timestamp, its end three times, and each of
// these packets may be lost, doubled or late (2.5.1). The end is told by the first packet that says so; by the
// next event; or by `expire`, when nothing has come for `silence_ms`. An event that outgrows the 16 bits of its
// duration goes on in segments with timestamps of their own (2.5.1.3) and stays one digit. Volumes mean nothing
// here. More than `most_per_s` digits a second are no fingers and no dialler: those above are not told.
class EventReceiver {
public:
    static constexpr std::int64_t silence_ms = 200;  // four of the longest usual interval
    static constexpr unsigned most_per_s = 25;

    // A packet, and whether the joined leg is sent it. `rate` is the clock of its format, `now_ms` of any clock that
    // does not go backwards.
    std::vector<HeardDigit> take(std::span<const std::uint8_t> payload, std::uint32_t timestamp, unsigned rate,
                                 bool carried, std::int64_t now_ms);
    // True while the end of an event has not come: then `expire` is worth calling.
    bool open() const { return current_.has_value() && !current_->told; }
    std::vector<HeardDigit> expire(std::int64_t now_ms);
    // Another source speaks from now on: its timestamps have nothing to do with those before.
    std::vector<HeardDigit> restart(std::int64_t now_ms);

private:
    struct Current {
        std::uint8_t code = 0;
        std::uint32_t timestamp = 0;  // of its segment
        std::uint16_t length = 0;     // of its segment, in clock units
        std::uint64_t before = 0;     // of the segments before
        unsigned rate = 8000;
        std::int64_t last_ms = 0;     // when its last packet came
        bool told = false;
        bool carried = false;
    };

    bool continues(std::uint8_t code, std::uint32_t timestamp) const;
    void tell(std::vector<HeardDigit> &into, std::int64_t now_ms);

    std::optional<Current> current_;
    std::int64_t second_ms_ = 0;
    unsigned told_in_second_ = 0;
};

}  // namespace quickcall
