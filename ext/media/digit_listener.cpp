#include "digit_listener.hpp"

#include <utility>

namespace quickcall {
namespace {

constexpr std::chrono::milliseconds silence{EventReceiver::silence_ms};
// Packets that may be missing inside a tone: 100 ms at the usual 20 each. After more of them another may have begun.
constexpr int most_missing = 5;

std::int64_t milliseconds(Time now) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
}

}  // namespace

DigitListener::DigitListener(LegId leg, Timers &timers, Mailbox &mailbox)
    : leg_(leg), mailbox_(mailbox), silence_(timers, [this](Time now) { on_silence(now); }) {}

void DigitListener::take_event(const RtpHeader &rtp, std::span<const std::uint8_t> payload, unsigned rate, bool carried,
                               Time now) {
    if (std::exchange(source_, rtp.ssrc) != rtp.ssrc) tell(events_.restart(milliseconds(now)), DtmfMethod::rfc4733);
    tell(events_.take(payload, rtp.timestamp, rate, carried, milliseconds(now)), DtmfMethod::rfc4733);
    if (events_.open()) {
        silence_.set(now + silence);
    } else {
        silence_.stop();
    }
}

void DigitListener::take_sound(const RtpHeader &rtp, std::span<const std::uint8_t> payload, const Format &format,
                               bool carried, Time now) {
    open(format);
    if (codec_ == nullptr || !follows(rtp, format)) return;
    std::int16_t decoded[max_decoded], converted[max_decoded];
    auto samples = std::span<const std::int16_t>(decoded, codec_->decode(payload, decoded).samples);
    if (resampler_) samples = resampler_->convert(samples, converted);
    const bool sounded = tones_->open();
    auto heard = tones_->take(samples);
    if (sounded || tones_->open()) carried_ = carried_ || carried;
    for (auto &digit : heard) digit.carried = carried_;
    tell(std::move(heard), DtmfMethod::inband);
    if (tones_->open()) {
        silence_.set(now + silence);
    } else if (sounded) {
        silence_.stop();
        carried_ = false;
    }
}

// False for a packet that is late: what it holds has been stepped over.
bool DigitListener::follows(const RtpHeader &rtp, const Format &format) {
    const bool same = std::exchange(source_, rtp.ssrc) == rtp.ssrc;
    const auto ahead = static_cast<std::int16_t>(rtp.sequence - sequence_);
    if (same && ahead <= 0 && ahead > -100) return false;
    if (same && ahead > 1 && ahead <= most_missing + 1) {
        const auto ticks = (rtp.timestamp - timestamp_) / static_cast<unsigned>(ahead);
        tones_->skip(ticks * static_cast<unsigned>(ahead - 1) / (format.rate / 1000) * (ToneDetector::rate / 1000));
    }
    sequence_ = rtp.sequence;
    timestamp_ = rtp.timestamp;
    return true;
}

void DigitListener::open(const Format &format) {
    if (codec_name_ == format.name && codec_rate_ == format.rate) return;
    codec_name_ = format.name;
    codec_rate_ = format.rate;
    codec_ = open_codec(format, ToneDetector::rate);
    resampler_.reset();
    if (codec_ == nullptr) return;
    if (codec_->rate() != ToneDetector::rate) resampler_.emplace(codec_->rate(), ToneDetector::rate);
    if (!tones_) tones_.emplace();
}

void DigitListener::on_silence(Time now) {
    tell(events_.expire(milliseconds(now)), DtmfMethod::rfc4733);
    if (!tones_ || !tones_->open()) return;
    auto heard = tones_->end();
    for (auto &digit : heard) digit.carried = carried_;
    carried_ = false;
    tell(std::move(heard), DtmfMethod::inband);
}

void DigitListener::tell(std::vector<HeardDigit> &&heard, DtmfMethod method) {
    for (const auto &digit : heard) {
        Event event;
        event.kind = EventKind::leg_sent_digit;
        event.leg = leg_;
        event.text = digit.digit;
        event.status = static_cast<int>(digit.duration_ms);
        event.method = method;
        event.carried = digit.carried;
        mailbox_.post_droppable(std::move(event));
    }
}

}  // namespace quickcall
