#include "wav_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace quickcall {
namespace {

constexpr unsigned window_s = 3;
constexpr std::size_t header_size = 44;
constexpr std::size_t frame_size = 4;  // two samples of 16 bit
// A WAV counts its bytes in 32 bits.
constexpr std::int64_t max_frames = (0xFFFFFFFFLL - header_size) / frame_size;

[[noreturn]] void fail() { throw std::runtime_error(std::generic_category().message(errno)); }

void little(std::uint8_t *into, std::uint32_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) into[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

std::array<std::uint8_t, header_size> header(unsigned rate, std::uint32_t data_size) {
    std::array<std::uint8_t, header_size> bytes{};
    std::memcpy(&bytes[0], "RIFF", 4);
    little(&bytes[4], data_size + header_size - 8, 4);
    std::memcpy(&bytes[8], "WAVEfmt ", 8);
    little(&bytes[16], 16, 4);                // of the format that follows
    little(&bytes[20], 1, 2);                 // PCM
    little(&bytes[22], 2, 2);                 // channels
    little(&bytes[24], rate, 4);
    little(&bytes[28], rate * frame_size, 4);  // bytes a second
    little(&bytes[32], frame_size, 2);
    little(&bytes[34], 16, 2);                // bits
    std::memcpy(&bytes[36], "data", 4);
    little(&bytes[40], data_size, 4);
    return bytes;
}

}  // namespace

WavWriter::WavWriter(const std::string &path, unsigned rate)
    : rate_(rate), window_(static_cast<std::int64_t>(rate) * window_s) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd_ < 0) fail();
    for (auto &side : sides_) side.resize(static_cast<std::size_t>(window_));
    try {
        const auto first = header(rate, 0);
        append(first.data(), first.size());
    } catch (...) {
        ::close(fd_);
        throw;
    }
}

WavWriter::~WavWriter() { ::close(fd_); }

void WavWriter::put(unsigned side, std::int64_t at, std::span<const std::int16_t> samples) {
    if (at < written_) {
        const auto late = std::min<std::int64_t>(written_ - at, static_cast<std::int64_t>(samples.size()));
        samples = samples.subspan(static_cast<std::size_t>(late));
        at = written_;
    }
    const auto end = at + static_cast<std::int64_t>(samples.size());
    if (end > written_ + window_) write_until(end - window_);
    auto &ring = sides_[side];
    for (std::size_t i = 0; i < samples.size(); ++i) {
        ring[static_cast<std::size_t>((at + static_cast<std::int64_t>(i)) % window_)] = samples[i];
    }
}

void WavWriter::write_until(std::int64_t at) {
    if (at > max_frames) throw std::runtime_error("a WAV file cannot be longer");
    while (written_ < at) {
        const auto count = std::min(at - written_, window_);
        block_.resize(static_cast<std::size_t>(count) * frame_size);
        for (std::int64_t i = 0; i < count; ++i) {
            const auto place = static_cast<std::size_t>((written_ + i) % window_);
            for (std::size_t side = 0; side < 2; ++side) {
                auto &sample = sides_[side][place];
                little(&block_[static_cast<std::size_t>(i) * frame_size + side * 2], static_cast<std::uint16_t>(sample), 2);
                sample = 0;
            }
        }
        append(block_.data(), block_.size());
        written_ += count;
    }
}

void WavWriter::write_header() {
    const auto bytes = header(rate_, static_cast<std::uint32_t>(written_) * static_cast<std::uint32_t>(frame_size));
    if (::pwrite(fd_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) fail();
}

void WavWriter::append(const std::uint8_t *bytes, std::size_t size) {
    while (size > 0) {
        const auto count = ::write(fd_, bytes, size);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail();
        bytes += count;
        size -= static_cast<std::size_t>(count);
    }
}

}  // namespace quickcall
