// What is played to a leg and recorded of it.
#include <algorithm>
#include <utility>

#include "codec.hpp"
#include "stream.hpp"

namespace quickcall {

const Format *Stream::own_choice() const {
    const auto found = std::find_if(terms_.formats.begin(), terms_.formats.end(),
                                    [](const Format &format) { return !format.is_event() && format.theirs >= 0; });
    return found != terms_.formats.end() ? &*found : nullptr;
}

void Stream::play(std::uint64_t id, std::string &&sound, bool repeat) {
    if (player_ == nullptr) {
        player_ = std::make_unique<Player>(
            leg_, context_.timers, context_.sounds, context_.mailbox,
            [this](RtpHeader &rtp, std::span<const std::uint8_t> payload, unsigned rate, Time now) {
                send_played(rtp, payload, rate, now);
            });
        player_->agreed(own_choice(), terms_.sends);
    }
    player_->play(id, std::move(sound), repeat);
}

void Stream::stop_playing() {
    if (player_ != nullptr) player_->stop();
}

void Stream::use_sound(const SoundWanted &wanted, std::shared_ptr<const Packets> &&packets, const std::string &error,
                       Time now) {
    if (player_ != nullptr) player_->loaded(wanted, std::move(packets), error, now);
}

void Stream::send_played(RtpHeader &rtp, std::span<const std::uint8_t> payload, unsigned rate, Time now) {
    if (sends_digits()) return;  // the sound goes on behind them, unheard
    send_made(rtp, payload, Origin{0, player_->generation()}, rate, now);
}

void Stream::record(std::string &&path, double max_s, Time now) {
    if (recording_ != nullptr && !recording_->over()) {
        return post_recorded(context_.mailbox, leg_, std::move(path), 0, "the leg is recorded already");
    }
    stop_recording(now);
    const auto *format = own_choice();
    const bool wide = format == nullptr || only_rate(*format) != 8000;
    recording_ = context_.recorder.begin(leg_, path, max_s, wide, now);
}

void Stream::stop_recording(Time now) {
    if (recording_ != nullptr) context_.recorder.end(recording_, now);
    recording_ = nullptr;
}

const Format *Stream::sent_format(std::uint8_t type) const {
    const auto found = std::find_if(terms_.formats.begin(), terms_.formats.end(),
                                    [type](const Format &format) { return format.theirs == type; });
    return found != terms_.formats.end() ? &*found : nullptr;
}

void Stream::tap(Side side, const Format *format, const Datagram &datagram, const RtpHeader &rtp, Time now) {
    if (format == nullptr) return;
    const std::span payload(datagram.data + rtp.size, rtp.payload_size);
    context_.recorder.put(*recording_, side, *format, rtp.timestamp, payload, now);
}

}  // namespace quickcall
