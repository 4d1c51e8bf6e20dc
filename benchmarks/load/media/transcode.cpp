// Times ext/media's transcoder: packets of 20 ms of a chirp, from one codec to another. Prints JSON: microseconds of
// CPU time for a packet, decoding and encoding together, the least of the rounds.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "transcoder.hpp"

using namespace quickcall;

namespace {

constexpr int packets = 250;  // 5 s of sound

double cpu_us() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

Format format_of(const std::string &text) {  // NAME/RATE/CHANNELS
    Format format;
    const auto first = text.find('/'), second = text.rfind('/');
    format.name = text.substr(0, first);
    format.rate = static_cast<unsigned>(std::stoul(text.substr(first + 1)));
    format.channels = static_cast<unsigned>(std::stoul(text.substr(second + 1)));
    return format;
}

std::vector<std::vector<std::uint8_t>> coded(const Format &format) {
    const auto codec = open_codec(format, 16000);
    if (codec == nullptr) std::exit(2);
    std::vector<std::vector<std::uint8_t>> made;
    const auto length = codec->rate() / 50;
    std::vector<std::int16_t> sound(length);
    double phase = 0;
    for (int packet = 0; packet < packets; ++packet) {
        for (auto &sample : sound) {
            sample = static_cast<std::int16_t>(8000 * std::sin(phase));
            phase += 2 * M_PI * (300 + 10.0 * packet) / codec->rate();
        }
        std::vector<std::uint8_t> payload(max_payload);
        payload.resize(codec->encode(sound, payload));
        made.push_back(std::move(payload));
    }
    return made;
}

double time_of(const Format &from, const Format &to, const std::vector<std::vector<std::uint8_t>> &payloads) {
    Codecs mine, theirs;
    Transcoder transcoder(mine.get(from, to), theirs.get(to, from), from, to);
    std::size_t octets = 0;
    const double began = cpu_us();
    SoundPacket in;
    in.source = 1;
    for (const auto &payload : payloads) {
        in.payload = payload;
        transcoder.pass(in, [&](const SoundPacket &out) { octets += out.payload.size(); });
        ++in.sequence;
        in.timestamp += from.rate / 50;
    }
    const double spent = cpu_us() - began;
    if (octets == 0) std::exit(3);
    return spent / packets;
}

}  // namespace

// transcode ROUNDS FROM TO [FROM TO ...]
int main(int count, char **arguments) {
    const int rounds = std::atoi(arguments[1]);
    std::printf("[");
    for (int i = 2; i + 1 < count; i += 2) {
        const auto from = format_of(arguments[i]), to = format_of(arguments[i + 1]);
        const auto payloads = coded(from);
        double least = 1e9;
        for (int round = 0; round < rounds; ++round) least = std::min(least, time_of(from, to, payloads));
        std::printf("%s%.3f", i > 2 ? "," : "", least);
    }
    std::printf("]\n");
}
