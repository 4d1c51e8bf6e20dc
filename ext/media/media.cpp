// The SIP thread's side of the media plane: who has which ports, who is joined; the orders to the media thread.
#include "media.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "dtls.hpp"
#include "loop.hpp"
#include "mos.hpp"

namespace quickcall {
namespace {

// Of what the peer sends, as the other side hears it. A jitter buffer holds about twice the jitter and a packet.
double mos_of(const Counters &counters, const MediaReport &report) {
    constexpr double packet_ms = 20;
    const auto *codec = counters.codec.get();
    if (codec == nullptr) return 0;
    const auto expected = static_cast<double>(counters.expected.get());
    const double loss = expected > 0 ? static_cast<double>(report.lost) / expected : 0;
    const double way_ms = std::max(0.0, report.round_trip_ms) / 2;
    return estimate_mos(*codec, loss, way_ms + 2 * report.jitter_ms + packet_ms);
}

}  // namespace

class Media::Impl {
public:
    Impl(const MediaConfig &config, Mailbox &mailbox)
        : pool_(config.host, config.first_port, config.last_port),
          loop_(std::make_unique<Loop>(config, mailbox, identity_)) {}

    struct Held {
        PortPair *pair = nullptr;  // nullptr: given back
        std::shared_ptr<Counters> counters;
        LegId other = 0;           // joined with, 0: nobody
    };

    static Time now() { return std::chrono::steady_clock::now(); }

    Held *find(LegId leg) {
        const auto found = legs_.find(leg);
        return found != legs_.end() ? &found->second : nullptr;
    }

    void post(Order &&order) {
        if (loop_ != nullptr) loop_->post(std::move(order));
    }

    void part(Held &held) {
        if (auto *other = find(held.other)) other->other = 0;
        held.other = 0;
    }

    void give_back(Held &held, Time at) {
        if (held.pair != nullptr) pool_.release(held.pair, at);
        held.pair = nullptr;
    }

    const DtlsIdentity identity_;
    PortPool pool_;
    std::unordered_map<LegId, Held> legs_;
    std::uint64_t packets_ = 0;  // of a loop that was stopped
    std::unique_ptr<Loop> loop_;
};

Media::Media(const MediaConfig &config, Mailbox &mailbox) : impl_(std::make_unique<Impl>(config, mailbox)) {}

Media::~Media() = default;

void Media::stop() {
    if (impl_->loop_ == nullptr) return;
    impl_->packets_ = impl_->loop_->packets();
    impl_->loop_.reset();
}

std::uint16_t Media::open(LegId leg) {
    auto &held = impl_->legs_[leg];
    if (held.pair == nullptr) held.pair = impl_->pool_.acquire(Impl::now());
    if (held.pair == nullptr) {
        if (held.counters == nullptr) impl_->legs_.erase(leg);
        return 0;
    }
    if (held.counters == nullptr) held.counters = std::make_shared<Counters>();
    impl_->post(OpenStream{leg, held.pair, held.counters});
    if (held.other != 0) impl_->post(JoinStreams{leg, held.other});
    return held.pair->port;
}

void Media::close(LegId leg) {
    auto *held = impl_->find(leg);
    if (held == nullptr) return;
    impl_->part(*held);
    impl_->give_back(*held, Impl::now());
    impl_->legs_.erase(leg);
    impl_->post(CloseStream{leg});
}

void Media::close_after(LegId leg, double seconds) {
    auto *held = impl_->find(leg);
    if (held == nullptr || held->pair == nullptr) return;
    const auto at = Impl::now() + std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
    impl_->give_back(*held, at);
    impl_->post(CloseStreamAt{leg, at});
}

void Media::agree(LegId leg, MediaTerms &&terms) {
    if (impl_->find(leg) != nullptr) impl_->post(AgreeOn{leg, std::move(terms)});
}

void Media::answered(LegId leg) {
    if (impl_->find(leg) != nullptr) impl_->post(NoteAnswer{leg});
}

void Media::join(LegId one, LegId other) {
    auto *first = impl_->find(one);
    auto *second = impl_->find(other);
    if (first == nullptr || second == nullptr || one == other) return;
    impl_->part(*first);
    impl_->part(*second);
    first->other = other;
    second->other = one;
    impl_->post(JoinStreams{one, other});
}

void Media::split(LegId leg) {
    auto *held = impl_->find(leg);
    if (held == nullptr) return;
    impl_->part(*held);
    impl_->post(SplitStream{leg});
}

void Media::send_digits(LegId leg, std::string digits, unsigned duration_ms) {
    if (impl_->find(leg) != nullptr) impl_->post(SendDigitsOn{leg, std::move(digits), duration_ms});
}

bool Media::has_ports(LegId leg) const {
    const auto *held = impl_->find(leg);
    return held != nullptr && held->pair != nullptr;
}

bool Media::joined(LegId leg) const {
    const auto *held = impl_->find(leg);
    return held != nullptr && held->other != 0;
}

void Media::play(LegId leg, std::uint64_t play, std::string &&sound, bool repeat) {
    impl_->post(PlaySound{leg, play, std::move(sound), repeat});
}

void Media::stop_playing(LegId leg) { impl_->post(StopSound{leg}); }

void Media::record(LegId leg, std::string &&path, double max_s) {
    impl_->post(RecordStream{leg, std::move(path), max_s});
}

void Media::stop_recording(LegId leg) { impl_->post(StopRecordingStream{leg}); }

std::optional<MediaReport> Media::report(LegId leg) const {
    const auto *held = impl_->find(leg);
    if (held == nullptr) return std::nullopt;
    const auto &counters = *held->counters;
    MediaReport report;
    report.packets_received = counters.packets_received.get();
    report.packets_sent = counters.packets_sent.get();
    report.bytes_received = counters.bytes_received.get();
    report.bytes_sent = counters.bytes_sent.get();
    report.lost = static_cast<std::int64_t>(counters.expected.get() - counters.counted.get());
    report.lost_by_peer = counters.lost_by_peer.get();
    report.jitter_ms = counters.jitter_ms.get();
    report.round_trip_ms = counters.round_trip_ms.get();
    report.mos = mos_of(counters, report);
    return report;
}

const std::string &Media::fingerprint() const { return impl_->identity_.fingerprint(); }

const sockaddr_storage &Media::local() const { return impl_->pool_.local(); }

std::uint32_t Media::ports_in_use() const { return impl_->pool_.in_use(Impl::now()); }

std::uint64_t Media::packets() const {
    return impl_->loop_ != nullptr ? impl_->loop_->packets() : impl_->packets_;
}

}  // namespace quickcall
