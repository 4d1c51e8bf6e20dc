#include "player.hpp"

#include <chrono>
#include <utility>

#include "mailbox.hpp"

namespace quickcall {
namespace {

constexpr std::chrono::milliseconds packet_every{sound_packet_ms}, grid{5};
// Who was kept from running for longer than this goes on from here and does not send what was missed all at once.
constexpr std::chrono::milliseconds most_behind{100};

bool same(const Format &one, const Format &other) {
    return one.name == other.name && one.rate == other.rate && one.channels == other.channels &&
           one.our_fmtp == other.our_fmtp && one.their_fmtp == other.their_fmtp;
}

Time next_on_grid(Time now) {
    const auto since = now.time_since_epoch();
    return now + grid - since % std::chrono::duration_cast<Time::duration>(grid);
}

}  // namespace

void post_played(Mailbox &mailbox, std::uint64_t leg, std::uint64_t id, const std::string &error) {
    Event event;
    event.kind = EventKind::leg_played;
    event.leg = leg;
    event.play = id;
    event.reason = error;
    mailbox.post(std::move(event));
}

Player::Player(std::uint64_t leg, Timers &timers, SoundLoader &loader, Mailbox &mailbox, Send send)
    : leg_(leg), loader_(loader), mailbox_(mailbox), send_(std::move(send)),
      timer_(timers, [this](Time now) { on_due(now); }) {}

Player::~Player() { stop(); }

void Player::play(std::uint64_t id, std::string &&sound, bool repeat) {
    stop();
    playing_ = true;
    ++generation_;
    id_ = id;
    sound_ = std::move(sound);
    repeat_ = repeat;
    next_ = 0;
    sequence_ = 0;
    timestamp_ = 0;
    if (format_.has_value()) want();
}

void Player::stop() {
    if (playing_) finish({});
}

void Player::agreed(const Format *format, bool may_send) {
    may_send_ = may_send;
    const bool changed = format != nullptr && (!format_.has_value() || !same(*format, *format_));
    if (format != nullptr) format_ = *format;
    if (!playing_ || !changed) return;
    // The same sound from here on, in the other codec.
    packets_.reset();
    timer_.stop();
    want();
}

void Player::want() { loader_.want({leg_, id_, sound_, repeat_, *format_}); }

void Player::loaded(const SoundWanted &wanted, std::shared_ptr<const Packets> &&packets, const std::string &error,
                    Time now) {
    const bool asked = playing_ && packets_ == nullptr && wanted.play == id_ && wanted.sound == sound_ &&
                       wanted.repeat == repeat_ && same(wanted.format, *format_);
    if (!asked) return;
    if (packets == nullptr) return finish(error);
    packets_ = std::move(packets);
    timer_.set(next_on_grid(now));
}

void Player::on_due(Time now) {
    if (next_ >= packets_->size()) {
        if (!repeat_) return finish({});
        next_ = packets_->loop_from;
    }
    const auto payload = (*packets_)[next_++];
    if (may_send_ && !payload.empty()) {
        RtpHeader header;
        header.payload_type = static_cast<std::uint8_t>(format_->theirs);
        header.sequence = sequence_++;
        header.timestamp = timestamp_;
        send_(header, payload, format_->rate, now);
    }
    timestamp_ += format_->rate * sound_packet_ms / 1000;
    // From when it was due, not from now: the pace does not drift.
    auto due = timer_.at() + packet_every;
    while (now - due > most_behind) {
        due += packet_every;
        timestamp_ += format_->rate * sound_packet_ms / 1000;
    }
    timer_.set(due);
}

void Player::finish(const std::string &error) {
    playing_ = false;
    timer_.stop();
    packets_.reset();
    post_played(mailbox_, leg_, id_, error);
}

}  // namespace quickcall
