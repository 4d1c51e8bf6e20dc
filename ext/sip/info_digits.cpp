#include "info_digits.hpp"

#include <pjsua-lib/pjsua.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "headers.hpp"

namespace quickcall {
namespace {

constexpr int max_duration_ms = 10000;
constexpr int pause_ms = 60;
constexpr std::size_t most_waiting = 128;
constexpr const char *relay_type = "application/dtmf-relay";
constexpr const char *plain_type = "application/dtmf";

// A digit by its sign or, as some send `*` and `#`, by its event number (RFC 4733 3.2); empty: neither.
std::string digit_of(std::string_view text) {
    if (text == "10") return "*";
    if (text == "11") return "#";
    constexpr std::string_view digits = "0123456789*#ABCD";
    if (text.size() != 1) return {};
    const char digit = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
    return digits.find(digit) != std::string_view::npos ? std::string(1, digit) : std::string();
}

void set_digit(pjsip_tx_data *request, char digit, int duration_ms) {
    const pj_str_t type = pj_str(const_cast<char *>("application"));
    const pj_str_t subtype = pj_str(const_cast<char *>("dtmf-relay"));
    const auto body = std::string("Signal=") + digit + "\r\nDuration=" + std::to_string(duration_ms) + "\r\n";
    const pj_str_t text{const_cast<char *>(body.data()), static_cast<pj_ssize_t>(body.size())};
    request->msg->body = pjsip_msg_body_create(request->pool, &type, &subtype, &text);
}

}  // namespace

bool is_digit_type(std::string_view type) { return type == relay_type || type == plain_type; }

InfoDigit read_info_digit(std::string_view type, const pjsip_msg_body *body) {
    const std::string_view text(static_cast<const char *>(body->data), body->len);
    InfoDigit read;
    if (type == plain_type) {
        read.digit = digit_of(split(text, '\n').front());
        return read;
    }
    for (const auto line : split(text, '\n')) {
        const auto parts = split(line, '=');
        if (parts.size() != 2) continue;
        const auto name = lower(parts[0]);
        if (name == "signal" && read.digit.empty()) read.digit = digit_of(parts[1]);
        if (name == "duration") {
            std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), read.duration_ms);
            read.duration_ms = std::clamp(read.duration_ms, 0, max_duration_ms);
        }
    }
    return read;
}

bool InfoDigits::send(const std::string &digits, int duration_ms) {
    if (waiting_.size() + digits.size() > most_waiting) return false;
    for (const char digit : digits) {
        if (!digit_of({&digit, 1}).empty()) waiting_.push_back({digit, duration_ms});
    }
    if (!under_way_ && timer_.id == 0) next();
    return true;
}

void InfoDigits::stop() {
    waiting_.clear();
    if (timer_.id != 0) pjsip_endpt_cancel_timer(pjsua_get_pjsip_endpt(), &timer_);
    timer_.id = 0;
}

void InfoDigits::next() {
    if (waiting_.empty()) return;
    pj_time_val now;
    pj_gettickcount(&now);
    if (PJ_TIME_VAL_LT(now, next_at_)) {
        pj_time_val delay = next_at_;
        PJ_TIME_VAL_SUB(delay, now);
        timer_.cb = &InfoDigits::on_timer;
        timer_.user_data = this;
        timer_.id = 1;
        pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &timer_, &delay);
        return;
    }
    const auto [digit, duration_ms] = waiting_.front();
    waiting_.pop_front();
    auto *request = requests_.create("INFO", {});
    if (request == nullptr) return stop();
    set_digit(request, digit, duration_ms);
    const pj_time_val length{0, duration_ms + pause_ms};
    next_at_ = now;
    PJ_TIME_VAL_ADD(next_at_, length);
    under_way_ = true;
    requests_.send(request, this);
}

void InfoDigits::on_final(int status) {
    under_way_ = false;
    if (status / 100 != 2) return stop();
    next();
}

void InfoDigits::on_timer(pj_timer_heap_t *, pj_timer_entry *entry) {
    entry->id = 0;
    static_cast<InfoDigits *>(entry->user_data)->next();
}

}  // namespace quickcall
