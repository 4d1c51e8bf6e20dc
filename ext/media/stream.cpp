#include "stream.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "address.hpp"
#include "mos.hpp"

namespace quickcall {
namespace {

constexpr std::size_t room_for_srtp = 64;
constexpr std::chrono::seconds heard_lately{2};

}  // namespace

Stream::Stream(LegId leg, PortPair &pair, std::shared_ptr<Counters> counters, const MediaContext &context)
    : leg_(leg),
      pair_(pair),
      counters_(std::move(counters)),
      context_(context),
      latch_(context.config.latching),
      receiver_(*counters_) {
    format_of_.fill(none);
    type_onward_.fill(none);
    if (pair_.stream != nullptr) pair_.stream->pair_.stream = nullptr;
    pair_.stream = this;
}

Stream::~Stream() {
    split();
    stop_recording(std::chrono::steady_clock::now());
    if (pair_.stream == this) pair_.stream = nullptr;
}

void Stream::agree(MediaTerms &&terms, Time now) {
    terms_ = std::move(terms);
    if (terms_.formats.size() > max_formats) terms_.formats.resize(max_formats);
    if (is_unspecified(terms_.rtp)) terms_.rtp.ss_family = terms_.rtcp.ss_family = 0;
    use_keys(now);
    if (rtcp_target_.ss_family == 0 || !same_address(terms_.rtcp, described_rtcp_)) {
        described_rtcp_ = rtcp_target_ = terms_.rtcp;
    }
    if (!terms_.ice) latch_.agree(terms_.rtp, terms_.signalling, now);  // or the peer's checks say where it is
    agreed_ = now;
    format_of_.fill(none);
    // A peer may number its formats as it likes to receive them (RFC 3264 5.1), but not all keep to our numbers.
    add_types(&Format::ours);
    add_types(&Format::theirs);
    translate_formats();
    codecs_.clear();
    forget_codecs();
    if (other_ != nullptr) {
        other_->translate_formats();
        other_->forget_codecs();
    }
    if (player_ != nullptr) player_->agreed(own_choice(), terms_.sends);
    sound_ = format_before_ = none;
    listen_to_tones();
    if (digits_ != nullptr) digits_->agreed(terms_);
}

void Stream::add_types(int Format::*type) {
    for (std::size_t i = 0; i < terms_.formats.size(); ++i) {
        const int number = terms_.formats[i].*type;
        if (number < 0 || number > 127) continue;
        auto &place = format_of_[static_cast<std::size_t>(number)];
        if (place == none) place = static_cast<std::int8_t>(i);
    }
}

void Stream::answered(Time now) {
    answered_ = true;
    agreed_ = now;
    latch_.answered(now);
    listen_to_tones();
}

void Stream::join(Stream &other, Time now) {
    split();
    other.split();
    other_ = &other;
    other.other_ = this;
    joined_ = other.joined_ = now;
    translate_formats();
    other.translate_formats();
    listen_to_tones();
    other.listen_to_tones();
}

void Stream::split() {
    if (other_ != nullptr) {
        other_->other_ = nullptr;
        other_->forget_codecs();
    }
    other_ = nullptr;
    forget_codecs();
}

void Stream::translate_formats() {
    type_onward_.fill(none);
    if (other_ == nullptr) return;
    for (std::size_t i = 0; i < terms_.formats.size(); ++i) {
        for (const auto &theirs : other_->terms_.formats) {
            if (!is_same_payload(terms_.formats[i], theirs)) continue;
            type_onward_[i] = static_cast<std::int8_t>(theirs.theirs);
            break;
        }
    }
}

void Stream::receive(Datagram &datagram, const sockaddr_storage &from, int which, Time now) {
    switch (kind_of(datagram)) {
    case Kind::rtp:
        if (which == 0) return receive_rtp(datagram, from, now);
        break;
    case Kind::rtcp:
        return receive_rtcp(datagram, from, which, now);
    case Kind::stun:
        if (which == 0 && webrtc_ != nullptr) return webrtc_->receive_stun({datagram.data, datagram.size}, from, now);
        break;
    case Kind::dtls:
        if (which == 0 && webrtc_ != nullptr) return webrtc_->receive_dtls({datagram.data, datagram.size}, from, now);
        break;
    default:
        break;
    }
    counters_->refused.add(1);
}

void Stream::receive_rtp(Datagram &datagram, const sockaddr_storage &from, Time now) {
    if (!lets_in(from)) return counters_->refused.add(1);
    // Before the latch: whoever does not have the key takes nothing over.
    if (srtp_ != nullptr && !srtp_->unprotect_rtp(datagram)) return counters_->refused.add(1);
    RtpHeader rtp;
    const bool is_rtp = parse_rtp(datagram.data, datagram.size, rtp);
    const auto format_place = is_rtp ? format_of_[rtp.payload_type] : static_cast<std::int8_t>(none);
    const auto proof = format_place == none ? Latch::Proof::none
                       : srtp_ != nullptr   ? Latch::Proof::authentic
                                            : Latch::Proof::negotiated;
    const auto verdict = is_rtp ? latch_.judge(from, rtp, proof, now) : Latch::Verdict::refused;
    if (verdict == Latch::Verdict::refused) return counters_->refused.add(1);
    if (verdict == Latch::Verdict::moved) note_source();
    const auto *format = format_place != none ? &terms_.formats[static_cast<std::size_t>(format_place)] : nullptr;
    if (format_place != format_before_) {
        format_before_ = format_place;
        if (format != nullptr && !format->is_event()) {
            counters_->codec.set(impairment_of(format->name));
            sound_ = format_place;
        }
    }
    const bool is_sound = format != nullptr && format_place == sound_;
    receiver_.count(rtp, is_sound ? format->rate : 0, now);
    if (recording_ != nullptr) tap(Side::says, format, datagram, rtp, now);
    if (format != nullptr && (tones_ || !is_sound)) hear(*format, static_cast<std::size_t>(format_place), datagram, rtp, now);
    if (other_ == nullptr || !terms_.receives) return;
    if (format == nullptr) return counters_->not_passed_on.add(1);
    other_->pass_on(*this, datagram, rtp, static_cast<std::size_t>(format_place), now);
}

// RTCP is each leg's own: what it says of the other side of a relay would be about another stream.
void Stream::receive_rtcp(Datagram &datagram, const sockaddr_storage &from, int which, Time now) {
    const bool expected = (which == 1 || terms_.rtcp_mux) && lets_in(from);
    if (!expected) return counters_->refused.add(1);
    if (srtp_ != nullptr && !srtp_->unprotect_rtcp(datagram)) return counters_->refused.add(1);
    if (!(same_host(from, latch_.target()) || same_host(from, terms_.rtcp)) ||
        !rtcp_.read(datagram.data, datagram.size, sender_.ssrc(), *counters_, now)) {
        return counters_->refused.add(1);
    }
    if (which == 1) rtcp_target_ = from;  // symmetric (RFC 4961)
    alive_ = now;
}

void Stream::report(Time now) {
    if (!sender_.started() && !receiver_.started()) return;
    const auto &target = terms_.rtcp_mux ? latch_.target() : rtcp_target_;
    if (target.ss_family == 0 || !may_send(now)) return;
    std::uint8_t bytes[Rtcp::max_size + room_for_srtp];
    Datagram datagram{bytes, rtcp_.write(bytes, sender_, receiver_, *counters_, now), sizeof bytes};
    if (srtp_ != nullptr && !srtp_->protect_rtcp(datagram)) return;
    // Lost when it cannot be sent: the next one says it all again.
    ::sendto(pair_.fd[terms_.rtcp_mux ? 0 : 1], datagram.data, datagram.size, 0,
             reinterpret_cast<const sockaddr *>(&target), length_of(target));
}

void Stream::listen(Time now) {
    if (std::exchange(moved_, false)) post_heard();
    if (!answered_ || latch_.target().ss_family == 0) return;
    const auto &config = context_.config;
    const auto passed = now - std::max({latch_.last(), alive_, agreed_});
    const auto longer = [](Time::duration time, double limit_s) {
        return limit_s > 0 && time >= std::chrono::duration<double>(limit_s);
    };
    const bool silent = longer(passed, is_held() ? config.silent_held_s : config.silent_s);
    if (silent && !silence_told_) post_silent(passed, false);
    silence_told_ = silent;
    // Only RTP counts here: a peer whose RTP is lost on the way says by RTCP that it is well.
    const auto unheard = now - std::max({latch_.last(), joined_, agreed_});
    const bool one_way = other_ != nullptr && !is_held() && !other_->is_held() && longer(unheard, config.one_way_s) &&
                         now - other_->latch_.last() < heard_lately;
    if (one_way && !one_way_told_) post_silent(unheard, true);
    one_way_told_ = one_way;
}

// The first at once; later ones with the next turn, so that a peer that jumps about cannot fill the mailbox.
void Stream::note_source() {
    moved_ = heard_told_;
    if (!std::exchange(heard_told_, true)) post_heard();
}

void Stream::post_heard() const {
    Event heard;
    heard.kind = EventKind::leg_heard;
    heard.leg = leg_;
    heard.source = text_of_address(latch_.target());
    context_.mailbox.post(std::move(heard));
}

void Stream::post_silent(Time::duration passed, bool one_way) const {
    Event silent;
    silent.kind = EventKind::leg_silent;
    silent.leg = leg_;
    silent.at = std::chrono::duration<double>(passed).count();
    silent.one_way = one_way;
    context_.mailbox.post(std::move(silent));
}

void Stream::pass_on(Stream &from, Datagram &datagram, RtpHeader rtp, std::size_t format, Time now) {
    if (hears_us()) return;
    const auto type = from.type_onward_[format];
    if (type == none) return transcode(from, datagram, rtp, format, now);
    rtp.payload_type = static_cast<std::uint8_t>(type);
    if (transcoder_ != nullptr) {
        if (from.terms_.formats[format].is_event()) {
            transcoder_->carry(rtp.sequence, rtp.timestamp);
            return send_rtp(datagram, rtp, transcoded_origin(from, rtp.ssrc), encoded_->rate, now);
        }
        forget_codecs();  // its sound is in a format of the peer again
    }
    send_rtp(datagram, rtp, Origin{from.leg_, rtp.ssrc}, from.clock_of(format), now);
}

void Stream::send_rtp(Datagram &datagram, RtpHeader rtp, const Origin &origin, unsigned rate, Time now) {
    const auto &target = latch_.target();
    if (!terms_.sends || target.ss_family == 0 || !may_send(now)) return;
    if (!sender_.stamp(rtp, origin, rate, now)) return;
    if (recording_ != nullptr) tap(Side::hears, sent_format(rtp.payload_type), datagram, rtp, now);
    rewrite_rtp(datagram.data, rtp);
    if (srtp_ != nullptr && !srtp_->protect_rtp(datagram)) return counters_->not_passed_on.add(1);
    const auto size = static_cast<ssize_t>(datagram.size);
    if (::sendto(pair_.fd[0], datagram.data, datagram.size, 0, reinterpret_cast<const sockaddr *>(&target),
                 length_of(target)) != size) {
        return;
    }
    counters_->packets_sent.add(1);
    counters_->bytes_sent.add(rtp.payload_size);
    context_.relayed.add(1);
}

void Stream::send_made(RtpHeader &rtp, std::span<const std::uint8_t> payload, const Origin &origin, unsigned rate,
                       Time now) {
    std::uint8_t bytes[rtp_header_size + max_payload + room_for_srtp];
    rtp.size = rtp_header_size;
    rtp.payload_size = payload.size();
    write_rtp(bytes, rtp);
    std::memcpy(bytes + rtp_header_size, payload.data(), payload.size());
    Datagram datagram{bytes, rtp_header_size + payload.size(), sizeof bytes};
    send_rtp(datagram, rtp, origin, rate, now);
}

}  // namespace quickcall
