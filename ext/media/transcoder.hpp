// Packets of one codec into packets of another, driven by the packets alone: no clock, no jitter buffer, no thread.
//
// What comes in leaves at once, as soon as there is a packet full of it. Time is kept by the timestamps: a gap of the
// source (loss, or a talker's silence) becomes a gap of the same length, and what was collected before it is filled
// up with silence. Lost packets are missing in the sequence numbers too, so that the receiver counts and conceals
// them; a gap without loss only moves the timestamp. A packet that comes later than its successor is dropped: decoders
// know only one direction of time. Background noise of a silent talker (SID, DTX) is not passed on, because no codec's
// way to describe it fits another; once in a second it is sent as sound, which keeps pinholes open.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec.hpp"
#include "resampler.hpp"

namespace quickcall {

// One RTP packet, without its header's payload type.
struct SoundPacket {
    std::uint32_t source = 0;  // SSRC
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    bool marker = false;
    std::span<const std::uint8_t> payload;
};

// The codecs that are open for one leg, by format. Opened when first used; both directions share them, so that an AMR
// peer's mode request reaches our encoder.
class Codecs {
public:
    // nullptr: cannot be coded. `partner` is what the other leg speaks.
    std::shared_ptr<Codec> get(const Format &format, const Format &partner);
    // Another agreement: formats mean something else from now on.
    void clear() { open_.clear(); }

private:
    struct Open {
        std::string name;
        unsigned rate;
        std::shared_ptr<Codec> codec;
    };
    std::vector<Open> open_;
};

class Transcoder {
public:
    // Throws std::bad_alloc. `ptime` of `to` says how much a packet shall hold.
    Transcoder(std::shared_ptr<Codec> decoder, std::shared_ptr<Codec> encoder, const Format &from, const Format &to);

    // Calls `emit(const SoundPacket &)` for every packet that is full. The source's number goes with it; sequence
    // numbers and timestamps begin with those of the first packet. The payload is good until `emit` returns.
    template <class Emit>
    void pass(const SoundPacket &in, Emit &&emit) {
        if (!accept(in)) return;
        std::int16_t heard[max_decoded], converted[max_decoded * 4];
        auto sound = decode(in, heard, converted);
        if (sound.empty()) return;
        if (fill_before_gap()) send(emit);
        step_over_gap();
        while (collect(sound)) send(emit);
    }

    // A packet of the same source and clock that goes on undecoded, a telephone-event: gives it its place among ours. All
    // packets of one event keep one timestamp (RFC 4733 2.5.1.2).
    void carry(std::uint16_t &sequence, std::uint32_t &timestamp);

    // Packets dropped because they came after their successor.
    std::uint64_t late() const { return late_; }

private:
    template <class Emit>
    void send(Emit &&emit) {
        const auto packet = pack();
        if (!packet.payload.empty()) emit(packet);
    }

    bool accept(const SoundPacket &in);
    std::span<const std::int16_t> decode(const SoundPacket &in, std::span<std::int16_t> heard,
                                         std::span<std::int16_t> converted);
    bool fill_before_gap();
    void step_over_gap();
    bool collect(std::span<const std::int16_t> &sound);
    SoundPacket pack();

    const std::shared_ptr<Codec> decoder_, encoder_;
    Resampler resampler_;
    const unsigned clock_in_, clock_out_;
    const std::size_t packet_samples_;        // of a packet sent, at the encoder's rate
    std::vector<std::int16_t> collected_;     // less than a packet, its first sample is of time `timestamp_`

    bool started_ = false;
    std::uint32_t source_ = 0;
    std::uint16_t last_sequence_ = 0;         // received
    std::uint16_t missing_ = 0;               // packets not received before the one at hand
    std::uint32_t expected_ = 0;              // timestamp the next packet has when nothing is missing
    std::int64_t gap_ = 0;                    // samples at the encoder's rate that were not received
    std::uint32_t ticks_ = 0;                 // of the packet at hand, received clock
    std::uint32_t heard_at_ = 0;              // end of the last sound sent, received clock
    std::uint16_t sequence_ = 0;              // of the next packet sent
    std::uint32_t timestamp_ = 0;
    bool marker_ = false;
    std::uint64_t late_ = 0;
    std::uint8_t payload_[max_payload];
};

}  // namespace quickcall
