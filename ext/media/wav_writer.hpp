// Writes a stereo WAV of 16 bit PCM whose two sides come in pieces, late and with gaps.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace quickcall {

// A window of time is kept in memory, into which the pieces of each side are put at their places; what leaves it is
// written, silence where nothing came. One thread at a time.
class WavWriter {
public:
    // Creates the file, which must not exist, readable by its owner alone. Throws std::runtime_error.
    WavWriter(const std::string &path, unsigned rate);
    ~WavWriter();
    WavWriter(const WavWriter &) = delete;
    WavWriter &operator=(const WavWriter &) = delete;

    // Puts samples at a place, counted in samples from the beginning; what is older than the window is dropped.
    // Like the others below, throws std::runtime_error when the file cannot be written.
    void put(unsigned side, std::int64_t at, std::span<const std::int16_t> samples);
    // Writes what is older than `at`.
    void write_until(std::int64_t at);
    // Makes the header say how much there is.
    void write_header();

    std::int64_t written() const { return written_; }  // samples of each side

private:
    void append(const std::uint8_t *bytes, std::size_t size);

    int fd_ = -1;
    const unsigned rate_;
    const std::int64_t window_;                          // samples
    std::array<std::vector<std::int16_t>, 2> sides_;     // a ring each; place: position modulo the window
    std::vector<std::uint8_t> block_;
    std::int64_t written_ = 0;
};

}  // namespace quickcall
