#include "sounds.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>
#include <utility>

#include "codec.hpp"
#include "pcm.hpp"
#include "tones.hpp"
#include "wav.hpp"

namespace quickcall {
namespace {

// What no leg hears any more is kept up to these bounds; ten minutes of G.711 are 4.8 MB.
constexpr std::size_t max_kept_bytes = 64U << 20;
constexpr std::size_t max_kept = 256;
// A period that fills no whole number of packets is repeated until it does, or would become longer than this.
constexpr std::size_t max_unrolled_s = 60;
// Packets of most codecs mean what they mean only after those before them. Where a repeated sound begins anew, its
// first seconds follow that were encoded after its end; from then on the first encoding does.
constexpr unsigned settled_after_s = 2;
// For the same reason a sound in such a codec begins with silence: a phone that has just answered drops the first
// packets, and what it makes of a tone from the middle of it is a bang.
constexpr unsigned lead_in_ms = 100;
// Samples per second of a sound where the codec (opus) leaves it to us.
constexpr unsigned rate_of_choice = 16000;

// A file that has been written anew is another sound.
std::string version_of(const std::string &path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return "-";
    return std::to_string(status.st_ino) + "/" + std::to_string(status.st_size) + "/" +
           std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
}

std::string key_of(const SoundWanted &wanted) {
    const auto &format = wanted.format;
    std::string key = wanted.sound + '\n' + (is_tone(wanted.sound) ? "tone" : version_of(wanted.sound)) + '\n';
    key += format.name + '/' + std::to_string(format.rate) + '/' + std::to_string(format.channels) + '\n';
    return key + format.our_fmtp + '\n' + format.their_fmtp + (wanted.repeat ? "\nr" : "\n");
}

void fill_packets(Pcm &sound, bool repeat) {
    const std::size_t packet = sound.rate * sound_packet_ms / 1000;
    const auto period = sound.samples.size();
    auto whole = sound.samples.size();
    while (repeat && whole % packet != 0 && whole + period <= sound.rate * max_unrolled_s) whole += period;
    if (whole % packet == 0) {
        sound.samples.reserve(whole);
        for (auto i = period; i < whole; ++i) sound.samples.push_back(sound.samples[i - period]);
    } else {
        sound.samples.resize((period + packet - 1) / packet * packet);  // the last packet ends in silence
    }
}

bool is_stateless(const Format &format) { return format.name == "PCMU" || format.name == "PCMA"; }

std::vector<std::int16_t> silence(unsigned rate) { return std::vector<std::int16_t>(rate / 1000 * lead_in_ms); }

// Appends the packets of whole 20 ms of sound.
void encode(Codec &codec, std::span<const std::int16_t> sound, Packets &packets) {
    const std::size_t packet = codec.rate() * sound_packet_ms / 1000;
    std::array<std::uint8_t, max_payload> payload;
    for (std::size_t at = 0; at < sound.size(); at += packet) {
        const auto size = codec.encode(sound.subspan(at, packet), payload);
        packets.bytes.insert(packets.bytes.end(), payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
        packets.ends.push_back(static_cast<std::uint32_t>(packets.bytes.size()));
    }
}

std::shared_ptr<const Packets> make(const SoundWanted &wanted) {
    const auto codec = open_codec(wanted.format, rate_of_choice);
    if (codec == nullptr) throw std::runtime_error("nothing here encodes " + wanted.format.name);
    const bool tone = is_tone(wanted.sound);
    Pcm sound = tone ? make_tone(wanted.sound, codec->rate()) : at_rate(read_wav(wanted.sound), codec->rate());
    fill_packets(sound, tone && wanted.repeat);
    auto packets = std::make_shared<Packets>();
    const bool stateless = is_stateless(wanted.format);
    if (!stateless) encode(*codec, silence(sound.rate), *packets);
    const auto begin = packets->size();
    encode(*codec, sound.samples, *packets);
    if (wanted.repeat && !stateless) {
        const auto end = packets->size();
        const auto again = std::min<std::size_t>(sound.samples.size(), sound.rate * settled_after_s);
        encode(*codec, {sound.samples.data(), again}, *packets);
        packets->loop_from = again < sound.samples.size() ? begin + packets->size() - end : end;
    }
    packets->bytes.shrink_to_fit();
    return packets;
}

}  // namespace

SoundLoader::SoundLoader(Done done) : done_(std::move(done)), thread_([this] { run(); }) {}

SoundLoader::~SoundLoader() {
    {
        std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void SoundLoader::want(SoundWanted &&wanted) {
    {
        std::lock_guard lock(mutex_);
        wanted_.push_back(std::move(wanted));
    }
    changed_.notify_one();
}

void SoundLoader::run() {
    for (;;) {
        SoundWanted wanted;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return ending_ || !wanted_.empty(); });
            if (ending_) return;
            wanted = std::move(wanted_.front());
            wanted_.pop_front();
        }
        std::shared_ptr<const Packets> packets;
        std::string error;
        try {
            packets = find(wanted);
        } catch (const std::exception &failure) {
            error = failure.what();
        }
        done_(std::move(wanted), std::move(packets), std::move(error));
    }
}

std::shared_ptr<const Packets> SoundLoader::find(const SoundWanted &wanted) {
    auto key = key_of(wanted);
    const auto found = by_key_.find(key);
    if (found != by_key_.end()) {
        kept_.splice(kept_.begin(), kept_, found->second);
        return found->second->packets;
    }
    auto packets = make(wanted);
    keep(std::move(key), packets);
    return packets;
}

void SoundLoader::keep(std::string &&key, std::shared_ptr<const Packets> packets) {
    kept_bytes_ += packets->bytes.size();
    kept_.push_front({key, std::move(packets)});
    by_key_.emplace(std::move(key), kept_.begin());
    while (kept_.size() > max_kept || (kept_bytes_ > max_kept_bytes && kept_.size() > 1)) {
        kept_bytes_ -= kept_.back().packets->bytes.size();
        by_key_.erase(kept_.back().key);
        kept_.pop_back();
    }
}

}  // namespace quickcall
