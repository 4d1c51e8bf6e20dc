#include "recording_file.hpp"

#include <algorithm>

namespace quickcall {
namespace {

// A packet that is heard this late is not recorded any more: the jitter buffer, so to say.
constexpr double latest_s = 0.6;
// Written in pieces of this length, and the header with every second of them.
constexpr double piece_s = 0.5;
// How much later or earlier than its place a packet may come before the time of arrival counts anew: because the
// clock of the sender drifts, or its timestamps jump. Later is what the network does.
constexpr double most_late_s = 0.5, most_early_s = 0.2;

}  // namespace

RecordingFile::RecordingFile(const Recording &recording) : recording_(recording), writer_(recording.path_, recording.rate_) {}

std::int64_t RecordingFile::samples(std::int64_t ns) const {
    // No product of a day's nanoseconds and a rate that would not fit.
    return ns / 1000000 * recording_.rate_ / 1000;
}

// Packets come with jitter and out of order, so their places are those of their timestamps; which place the first
// timestamp has, its arrival says.
std::int64_t RecordingFile::place_of(Track &track, unsigned clock, std::uint32_t timestamp, std::int64_t at_ns) const {
    const auto arrived = samples(at_ns);
    const std::int64_t since = static_cast<std::int32_t>(timestamp - track.anchor_timestamp);
    const auto place = track.anchor + since * recording_.rate_ / clock;
    const auto late = static_cast<double>(arrived - place) / recording_.rate_;
    if (track.anchored && late <= most_late_s && late >= -most_early_s) {
        // Timestamps wrap: the anchor follows.
        if (since > 0) {
            track.anchor = place;
            track.anchor_timestamp = timestamp;
        }
        return place;
    }
    track.anchored = true;
    track.anchor = arrived;
    track.anchor_timestamp = timestamp;
    return arrived;
}

void RecordingFile::put(Side side, std::size_t format, std::uint32_t timestamp, std::span<const std::uint8_t> payload,
                        std::int64_t at_ns) {
    auto &track = tracks_[static_cast<std::size_t>(side)];
    const auto &described = recording_.formats_[format];
    if (format != track.format) {
        track = Track{};
        track.format = format;
        track.codec = open_codec(described, recording_.rate_);
        if (track.codec != nullptr && track.codec->rate() != recording_.rate_) {
            track.resampler = std::make_unique<Resampler>(track.codec->rate(), recording_.rate_);
        }
    }
    if (track.codec == nullptr) return;  // silence: nobody here can decode it
    const auto count = track.codec->decode(payload, decoded_).samples;
    std::span<const std::int16_t> heard(decoded_.data(), count);
    if (track.resampler != nullptr) heard = track.resampler->convert(heard, resampled_);
    writer_.put(static_cast<unsigned>(side), place_of(track, described.rate, timestamp, at_ns), heard);
}

bool RecordingFile::advance(std::int64_t now_ns) {
    const auto rate = static_cast<double>(recording_.rate_);
    const auto longest = recording_.max_s_ > 0 ? static_cast<std::int64_t>(recording_.max_s_ * rate) : INT64_MAX;
    const auto settled = std::min(samples(now_ns) - static_cast<std::int64_t>(latest_s * rate), longest);
    if (settled - writer_.written() < static_cast<std::int64_t>(piece_s * rate) && settled < longest) return false;
    writer_.write_until(settled);
    if (settled - header_at_ >= recording_.rate_ || settled >= longest) {
        writer_.write_header();
        header_at_ = settled;
    }
    return settled >= longest;
}

void RecordingFile::complete(std::int64_t end_ns) {
    auto end = samples(end_ns);
    if (recording_.max_s_ > 0) end = std::min(end, static_cast<std::int64_t>(recording_.max_s_ * recording_.rate_));
    writer_.write_until(end);
    writer_.write_header();
}

double RecordingFile::seconds() const { return static_cast<double>(writer_.written()) / recording_.rate_; }

}  // namespace quickcall
