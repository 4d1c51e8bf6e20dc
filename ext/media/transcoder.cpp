#include "transcoder.hpp"

#include <algorithm>

namespace quickcall {
namespace {

std::size_t packet_samples(const Codec &encoder, unsigned ptime_ms) {
    const auto frame = encoder.frame_ms();
    const auto wanted = std::clamp(ptime_ms / frame * frame, frame, max_packet_ms / frame * frame);
    return static_cast<std::size_t>(encoder.rate()) / 1000 * wanted;
}

}  // namespace

std::shared_ptr<Codec> Codecs::get(const Format &format, const Format &partner) {
    for (const auto &open : open_) {
        if (open.name == format.name && open.rate == format.rate) return open.codec;
    }
    // A codec that can choose follows the other side; two of them meet in wide band, which is telephony's best.
    const auto theirs = only_rate(partner);
    std::shared_ptr<Codec> codec = open_codec(format, theirs != 0 ? theirs : 16000);
    open_.push_back({format.name, format.rate, codec});
    return codec;
}

Transcoder::Transcoder(std::shared_ptr<Codec> decoder, std::shared_ptr<Codec> encoder, const Format &from,
                       const Format &to)
    : decoder_(std::move(decoder)),
      encoder_(std::move(encoder)),
      resampler_(decoder_->rate(), encoder_->rate()),
      clock_in_(from.rate),
      clock_out_(to.rate),
      packet_samples_(packet_samples(*encoder_, to.ptime_ms)) {
    collected_.reserve(packet_samples_);
}

// Counts what is missing before a packet; false for one that is too late.
bool Transcoder::accept(const SoundPacket &in) {
    if (!started_ || in.source != source_) {
        started_ = true;
        source_ = in.source;
        expected_ = heard_at_ = in.timestamp;
        sequence_ = in.sequence;
        timestamp_ = in.timestamp;
        collected_.clear();
        missing_ = 0;
    } else {
        const auto steps = static_cast<std::int16_t>(in.sequence - last_sequence_);
        if (steps <= 0) {
            ++late_;
            return false;
        }
        missing_ = static_cast<std::uint16_t>(missing_ + steps - 1);
    }
    last_sequence_ = in.sequence;
    marker_ = marker_ || in.marker;
    const auto ahead = static_cast<std::int32_t>(in.timestamp - expected_);
    gap_ = static_cast<std::int64_t>(ahead) * encoder_->rate() / clock_in_;
    return true;
}

// Nothing, when there is nothing to send on.
std::span<const std::int16_t> Transcoder::decode(const SoundPacket &in, std::span<std::int16_t> heard,
                                                 std::span<std::int16_t> converted) {
    const auto decoded = decoder_->decode(in.payload, heard);
    if (decoded.samples == 0) {
        ++missing_;  // as good as lost
        return {};
    }
    if (decoded.comfort && in.timestamp - heard_at_ < clock_in_) return {};
    ticks_ = static_cast<std::uint32_t>(decoded.samples * clock_in_ / decoder_->rate());
    expected_ = heard_at_ = in.timestamp + ticks_;
    return resampler_.convert(heard.first(decoded.samples), converted);
}

// What was collected before a gap becomes a packet when the gap is longer than what it lacks.
bool Transcoder::fill_before_gap() {
    if (gap_ <= 0 || collected_.empty()) return false;
    const auto lacks = static_cast<std::int64_t>(packet_samples_ - collected_.size());
    const auto filled = std::min(gap_, lacks);
    collected_.resize(collected_.size() + static_cast<std::size_t>(filled));
    gap_ -= filled;
    return collected_.size() == packet_samples_;
}

void Transcoder::step_over_gap() {
    if (gap_ != 0 && collected_.empty()) {
        const auto rate = static_cast<std::int64_t>(encoder_->rate());
        timestamp_ += static_cast<std::uint32_t>(gap_ * clock_out_ / rate);
    }
    if (missing_ != 0) {
        // As many of our packets as would have held what is missing.
        const auto length = static_cast<std::int64_t>(packet_samples_);
        const auto lost = std::clamp<std::int64_t>((gap_ + length / 2) / length, 0, missing_ * 6L);
        sequence_ = static_cast<std::uint16_t>(sequence_ + lost);
    }
    missing_ = 0;
    gap_ = 0;
}

void Transcoder::carry(std::uint16_t &sequence, std::uint32_t &timestamp) {
    const auto steps = static_cast<std::int16_t>(sequence - last_sequence_);
    if (steps > 0) {
        missing_ = static_cast<std::uint16_t>(missing_ + steps - 1);
        last_sequence_ = sequence;
    }
    sequence = sequence_++;
    const std::int64_t since = static_cast<std::int32_t>(timestamp - expected_);
    timestamp = timestamp_ + static_cast<std::uint32_t>(since * clock_out_ / clock_in_);
}

// Takes from `sound` up to a full packet; false when there is not enough for one.
bool Transcoder::collect(std::span<const std::int16_t> &sound) {
    const auto taken = std::min(sound.size(), packet_samples_ - collected_.size());
    collected_.insert(collected_.end(), sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(taken));
    sound = sound.subspan(taken);
    return collected_.size() == packet_samples_;
}

SoundPacket Transcoder::pack() {
    const auto octets = encoder_->encode(collected_, payload_);
    SoundPacket out{source_, sequence_++, timestamp_, marker_, {payload_, octets}};
    timestamp_ += static_cast<std::uint32_t>(packet_samples_ * clock_out_ / encoder_->rate());
    marker_ = false;
    collected_.clear();
    return out;
}

}  // namespace quickcall
