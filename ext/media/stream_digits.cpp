// DTMF digits that the peer of a stream sends with its media, and those it is sent.
#include <algorithm>

#include "stream.hpp"

namespace quickcall {

bool Stream::send_digits(std::string_view digits, unsigned duration_ms, Time now) {
    if (latch_.target().ss_family == 0) return false;
    if (digits_ == nullptr) {
        digits_ = std::make_unique<DigitPlayer>(
            context_.timers, [this](RtpHeader &rtp, std::span<const std::uint8_t> payload, unsigned rate, Time at) {
                send_made(rtp, payload, Origin{0, ~digits_->generation()}, rate, at);
            });
    }
    return digits_->play(digits, duration_ms, terms_, now);
}

// Tones are looked for where no other way was agreed on, and once somebody may press a key for: decoding costs more
// than passing on does, and a phone that sends events sends tones as well, some of them.
void Stream::listen_to_tones() {
    const auto &formats = terms_.formats;
    const bool events = std::any_of(formats.begin(), formats.end(), [](const Format &one) { return one.is_event(); });
    const bool wanted = terms_.dtmf == DtmfMethod::automatic || terms_.dtmf == DtmfMethod::inband;
    tones_ = wanted && !events && (other_ != nullptr || answered_);
}

void Stream::hear(const Format &format, std::size_t place, const Datagram &datagram, const RtpHeader &rtp, Time now) {
    if (listener_ == nullptr) listener_ = std::make_unique<DigitListener>(leg_, context_.timers, context_.mailbox);
    const std::span<const std::uint8_t> payload(datagram.data + rtp.size, rtp.payload_size);
    if (format.is_event()) {
        listener_->take_event(rtp, payload, format.rate, carries(place), now);
    } else {
        listener_->take_sound(rtp, payload, format, carries_tones(), now);
    }
}

bool Stream::carries(std::size_t place) const {
    return other_ != nullptr && terms_.receives && type_onward_[place] != none && other_->terms_.sends &&
           other_->latch_.target().ss_family != 0 && !other_->hears_us();
}

// Sound goes on whatever it holds; whoever is sent digits as events or by INFO does not listen to it.
bool Stream::carries_tones() const {
    if (other_ == nullptr || !terms_.receives || !other_->terms_.sends || other_->hears_us()) return false;
    const auto formats = digit_formats(other_->terms_);
    return other_->terms_.dtmf != DtmfMethod::info && formats.event == nullptr && formats.sound != nullptr;
}

unsigned Stream::clock_of(std::size_t place) const {
    const auto &format = terms_.formats[place];
    return format.is_event() && sound_ != none ? terms_.formats[static_cast<std::size_t>(sound_)].rate : format.rate;
}

}  // namespace quickcall
