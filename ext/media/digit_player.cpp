#include "digit_player.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace quickcall {
namespace {

constexpr std::chrono::milliseconds frame{DigitSender::frame_ms};
constexpr unsigned fastest = 48000;  // samples per second of any codec
constexpr unsigned usual = 8000;

}  // namespace

DigitFormats digit_formats(const MediaTerms &terms) {
    DigitFormats found;
    for (const auto &format : terms.formats) {
        const auto *&place = format.is_event() ? found.event : found.sound;
        if (place == nullptr && format.theirs >= 0) place = &format;
    }
    if (!takes_events(terms.dtmf)) found.event = nullptr;
    // Only what `rfc4733` asks for: an endpoint that wants it so would not understand tones.
    if (terms.dtmf == DtmfMethod::rfc4733 && found.event == nullptr) found.sound = nullptr;
    return found;
}

DigitPlayer::DigitPlayer(Timers &timers, Send send)
    : timer_(timers, [this](Time now) { on_due(now); }), send_(std::move(send)) {}

bool DigitPlayer::play(std::string_view digits, unsigned duration_ms, const MediaTerms &terms, Time now) {
    if (busy()) return sender_.add(digits, duration_ms);
    if (!choose(terms) || !sender_.add(digits, duration_ms)) return false;
    ++generation_;
    sequence_ = 0;
    timestamp_ = 0;
    if (busy()) timer_.set(now);
    return true;
}

void DigitPlayer::agreed(const MediaTerms &terms) {
    if (busy()) agreed_ = terms;
}

bool DigitPlayer::choose(const MediaTerms &terms) {
    const auto formats = digit_formats(terms);
    if (!terms.sends || (formats.event == nullptr && formats.sound == nullptr)) return false;
    as_event_ = formats.event != nullptr;
    clock_ = formats.sound != nullptr ? formats.sound->rate : formats.event->rate;
    if (as_event_) {
        event_ = *formats.event;
        return true;
    }
    if (codec_ == nullptr || !sound_.is_same(*formats.sound)) codec_ = open_codec(*formats.sound, usual);
    sound_ = *formats.sound;
    return codec_ != nullptr && DigitSender::frame_ms % codec_->frame_ms() == 0;
}

void DigitPlayer::on_due(Time now) {
    if (agreed_ && (sender_.between() || !agreed_->sends)) {
        const auto terms = std::exchange(agreed_, std::nullopt);
        if (!choose(*terms)) return sender_.stop();
    }
    const auto made = sender_.next({as_event_, as_event_ ? event_.rate : codec_->rate()});
    RtpHeader header;
    header.marker = made.first;
    header.sequence = sequence_;
    header.timestamp = timestamp_;
    if (made.first) begun_ = timestamp_;
    timestamp_ += clock_ / 1000 * DigitSender::frame_ms;
    if (made.kind == DigitFrame::Kind::event) {
        ++sequence_;
        header.timestamp = begun_;
        header.payload_type = static_cast<std::uint8_t>(event_.theirs);
        send_(header, made.payload, clock_, now);
    } else if (made.kind == DigitFrame::Kind::tone) {
        send_tone(header, now);
    }
    if (busy()) {
        timer_.set(timer_.at() + frame);
    } else {
        agreed_.reset();
    }
}

void DigitPlayer::send_tone(RtpHeader &header, Time now) {
    std::array<std::int16_t, fastest / 1000 * DigitSender::frame_ms> samples;
    const auto tone = std::span(samples).first(codec_->rate() / 1000 * DigitSender::frame_ms);
    sender_.samples(tone);
    std::array<std::uint8_t, max_payload> payload;
    const auto size = codec_->encode(tone, payload);
    if (size == 0) return;
    ++sequence_;
    header.payload_type = static_cast<std::uint8_t>(sound_.theirs);
    send_(header, std::span(payload).first(size), clock_, now);
}

}  // namespace quickcall
