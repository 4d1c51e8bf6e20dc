// Sound that the other leg of a stream sends in a codec which the peer has not agreed on.
#include <exception>

#include "stream.hpp"

namespace quickcall {

void Stream::transcode(Stream &from, const Datagram &datagram, const RtpHeader &rtp, std::size_t format, Time now) {
    const bool event = from.terms_.formats[format].is_event();
    if (event || !terms_.sends || latch_.target().ss_family == 0 || !open_transcoder(from, format)) {
        return from.counters_->not_passed_on.add(1);
    }
    const SoundPacket heard{rtp.ssrc, rtp.sequence, rtp.timestamp, rtp.marker,
                            {datagram.data + rtp.size, rtp.payload_size}};
    const auto origin = transcoded_origin(from, rtp.ssrc);
    transcoder_->pass(heard, [&](const SoundPacket &made) {
        RtpHeader header;
        header.marker = made.marker;
        header.payload_type = static_cast<std::uint8_t>(encoded_->theirs);
        header.sequence = made.sequence;
        header.timestamp = made.timestamp;
        send_made(header, made.payload, origin, encoded_->rate, now);
    });
}

// Opened with the first packet that needs it: few of the codecs that two legs agree on are ever spoken, and an open one
// is tens of kilobytes.
bool Stream::open_transcoder(Stream &from, std::size_t format) {
    if (transcoded_ == static_cast<std::int8_t>(format)) return transcoder_ != nullptr;
    forget_codecs();
    transcoded_ = static_cast<std::int8_t>(format);
    const auto &said = from.terms_.formats[format];
    for (const auto &wanted : terms_.formats) {
        if (wanted.is_event() || wanted.theirs < 0) continue;
        auto decoder = from.codecs_.get(said, wanted);
        auto encoder = codecs_.get(wanted, said);
        if (decoder == nullptr || encoder == nullptr) continue;
        try {
            transcoder_ = std::make_unique<Transcoder>(std::move(decoder), std::move(encoder), said, wanted);
        } catch (const std::exception &) {
            return false;  // no memory for a resampler
        }
        encoded_ = &wanted;
        ++transcoders_;
        return true;
    }
    return false;
}

// A stream of its own for the Sender: sequence numbers and clock have nothing to do with those of the source.
Origin Stream::transcoded_origin(const Stream &from, std::uint32_t ssrc) const {
    return Origin{from.leg_, ssrc ^ (transcoders_ << 1 | 1U)};
}

void Stream::forget_codecs() {
    transcoder_.reset();
    encoded_ = nullptr;
    transcoded_ = none;
}

}  // namespace quickcall
