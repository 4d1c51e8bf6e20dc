// DTMF digits in INFO requests: `application/dtmf-relay` and `application/dtmf`, read and sent. SIP thread only.
#pragma once

#include <pjsip.h>

#include <deque>
#include <string>
#include <string_view>

#include "apart.hpp"

namespace quickcall {

struct InfoDigit {
    std::string digit;  // empty: not readable
    int duration_ms = 0;
};

// Whether a media type (`type/subtype`, lower case) carries a digit.
bool is_digit_type(std::string_view type);
// `Signal=5` and `Duration=160` on lines of their own, or the digit alone in `application/dtmf`.
InfoDigit read_info_digit(std::string_view type, const pjsip_msg_body *body);

// Digits to one leg, an INFO each. The next one is sent when the last has been answered and as much time has passed
// as its tone and a pause take: a gateway that plays them would run them together. Whatever the answer, the call
// goes on; after a refusal the digits that wait are dropped, for a number with a gap in it helps nobody.
class InfoDigits final : private ApartOwner {
public:
    explicit InfoDigits(ApartRequests &requests) : requests_(requests) {}
    ~InfoDigits() { stop(); }
    InfoDigits(const InfoDigits &) = delete;
    InfoDigits &operator=(const InfoDigits &) = delete;

    // False: so many wait already that these do not fit; none of them is taken then.
    bool send(const std::string &digits, int duration_ms);
    // Nothing more is sent.
    void stop();

private:
    struct Waiting {
        char digit;
        int duration_ms;
    };

    static void on_timer(pj_timer_heap_t *heap, pj_timer_entry *entry);
    void on_final(int status) override;
    void next();

    ApartRequests &requests_;
    std::deque<Waiting> waiting_;
    bool under_way_ = false;
    pj_time_val next_at_{};  // pjlib's clock, not the time of day
    pj_timer_entry timer_{};
};

}  // namespace quickcall
