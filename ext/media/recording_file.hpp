// One recording as the writer thread has it: packets are decoded and put in their place in time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec.hpp"
#include "recorder.hpp"
#include "resampler.hpp"
#include "wav_writer.hpp"

namespace quickcall {

class RecordingFile {
public:
    // Throws std::runtime_error, as the other functions, when the file cannot be written.
    explicit RecordingFile(const Recording &recording);

    void put(Side side, std::size_t format, std::uint32_t timestamp, std::span<const std::uint8_t> payload,
             std::int64_t at_ns);
    // Writes what no packet can come for any more; true: it is as long as it may become.
    bool advance(std::int64_t now_ns);
    void complete(std::int64_t end_ns);
    double seconds() const;

private:
    // Of one direction: which codec it is in, and which place a timestamp has.
    struct Track {
        std::size_t format = Recording::max_formats;
        std::unique_ptr<Codec> codec;
        std::unique_ptr<Resampler> resampler;
        bool anchored = false;
        std::int64_t anchor = 0;
        std::uint32_t anchor_timestamp = 0;
    };

    std::int64_t place_of(Track &track, unsigned clock, std::uint32_t timestamp, std::int64_t at_ns) const;
    std::int64_t samples(std::int64_t ns) const;

    const Recording &recording_;
    WavWriter writer_;
    std::int64_t header_at_ = 0;  // samples
    std::array<Track, 2> tracks_;
    std::array<std::int16_t, max_decoded> decoded_;
    std::array<std::int16_t, 2 * max_decoded + 16> resampled_;  // 8 kHz become 16
};

}  // namespace quickcall
