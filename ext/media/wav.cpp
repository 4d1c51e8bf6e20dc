#include "wav.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace quickcall {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint64_t max_file = 128U << 20;
constexpr unsigned max_seconds = 600;
constexpr unsigned min_rate = 4000, max_rate = 192000;
constexpr unsigned pcm = 1, extensible = 0xFFFE;  // format tags

[[noreturn]] void refuse(const std::string &why) { throw std::runtime_error("no WAV file that can be played: " + why); }

std::uint32_t little(Bytes bytes, std::size_t at, unsigned size) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i) value |= std::uint32_t{bytes[at + i]} << (8 * i);
    return value;
}

bool tagged(Bytes bytes, std::size_t at, std::string_view tag) {
    return bytes.size() >= at + tag.size() && std::memcmp(bytes.data() + at, tag.data(), tag.size()) == 0;
}

struct Shape {
    unsigned channels = 0, rate = 0, bits = 0;
};

Shape read_shape(Bytes chunk) {
    if (chunk.size() < 16) refuse("its fmt chunk is too short");
    auto format = little(chunk, 0, 2);
    if (format == extensible && chunk.size() >= 26) format = little(chunk, 24, 2);  // of the sub-format's GUID
    const Shape shape{little(chunk, 2, 2), little(chunk, 4, 4), little(chunk, 14, 2)};
    if (format != pcm) refuse("its format is " + std::to_string(format) + ", and PCM (1) is needed");
    if (shape.bits != 8 && shape.bits != 16) refuse("it has " + std::to_string(shape.bits) + " bits, 8 or 16 are needed");
    if (shape.channels != 1 && shape.channels != 2) {
        refuse("it has " + std::to_string(shape.channels) + " channels, 1 or 2 are needed");
    }
    if (shape.rate < min_rate || shape.rate > max_rate) {
        refuse("its rate is " + std::to_string(shape.rate) + " Hz, 4000 to 192000 are allowed");
    }
    return shape;
}

// 8 bit samples have no sign, 16 bit ones have.
int sample(Bytes data, std::size_t at, unsigned bits) {
    return bits == 8 ? (int{data[at]} - 128) * 256 : static_cast<std::int16_t>(little(data, at, 2));
}

Pcm read_samples(const Shape &shape, Bytes data) {
    const std::size_t frame = shape.channels * shape.bits / 8;
    const auto frames = data.size() / frame;
    if (frames == 0) refuse("it holds no sound");
    if (frames > std::size_t{shape.rate} * max_seconds) refuse("it is longer than 600 s");
    Pcm sound{shape.rate, std::vector<std::int16_t>(frames)};
    for (std::size_t i = 0; i < frames; ++i) {
        int sum = sample(data, i * frame, shape.bits);
        if (shape.channels == 2) sum = (sum + sample(data, i * frame + shape.bits / 8, shape.bits)) / 2;
        sound.samples[i] = static_cast<std::int16_t>(sum);
    }
    return sound;
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

}  // namespace

Pcm parse_wav(Bytes file) {
    if (!tagged(file, 0, "RIFF") || !tagged(file, 8, "WAVE")) refuse("it does not begin with RIFF and WAVE");
    Shape shape;
    for (std::size_t at = 12; at + 8 <= file.size();) {
        // A recorder that died leaves a size of 0 or of all ones: what is there counts.
        const auto rest = file.size() - at - 8;
        const auto size = std::min<std::size_t>(little(file, at + 4, 4), rest);
        const auto chunk = file.subspan(at + 8, size);
        if (tagged(file, at, "fmt ")) {
            shape = read_shape(chunk);
        } else if (tagged(file, at, "data")) {
            if (shape.rate == 0) refuse("its data come before its format");
            return read_samples(shape, chunk);
        }
        at += 8 + size + (size & 1);  // chunks begin at even places
    }
    refuse("it has no data");
}

Pcm read_wav(const std::string &path) {
    // Not to wait where the path is a FIFO.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
        throw std::runtime_error("cannot be read: " + std::generic_category().message(errno));
    }
    if (!S_ISREG(status.st_mode)) refuse("it is no file");
    if (static_cast<std::uint64_t>(status.st_size) > max_file) refuse("it is larger than 128 MiB");
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(status.st_size));
    std::size_t have = 0;
    while (have < bytes.size()) {
        const auto count = ::read(file.get(), bytes.data() + have, bytes.size() - have);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw std::runtime_error("cannot be read: " + std::generic_category().message(errno));
        if (count == 0) break;  // it has become shorter meanwhile
        have += static_cast<std::size_t>(count);
    }
    bytes.resize(have);
    return parse_wav(bytes);
}

}  // namespace quickcall
