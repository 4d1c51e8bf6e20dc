#include "loop.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace quickcall {
namespace {

// RTP over Ethernet is below 1500 bytes; SRTP adds its tag behind a packet that was taken.
constexpr std::size_t max_datagram = 2048, room_behind = 64;
constexpr int max_events = 256;
constexpr std::chrono::milliseconds tick_every{100};
constexpr std::uint64_t listen_ticks = 10, report_ticks = Stream::report_every / tick_every;

constexpr char no_media[] = "the leg has no media";

static_assert(alignof(PortPair) >= 2, "the lowest bit of a pointer tells which socket of the pair");

std::uint64_t key_of(const PortPair &pair, unsigned which) { return reinterpret_cast<std::uintptr_t>(&pair) | which; }

PortPair *pair_of(std::uint64_t key) { return reinterpret_cast<PortPair *>(key & ~std::uint64_t{1}); }

}  // namespace

Loop::Loop(const MediaConfig &config, Mailbox &mailbox, const DtlsIdentity &identity)
    : config_(config),
      mailbox_(mailbox),
      sounds_(std::make_unique<SoundLoader>(
          [this](SoundWanted &&wanted, std::shared_ptr<const Packets> packets, std::string error) {
              post(UseSound{std::move(wanted), std::move(packets), std::move(error)});
          })),
      recorder_(std::make_unique<Recorder>(mailbox)),
      context_{config_, mailbox, timers_, identity, relayed_, *sounds_, *recorder_},
      ticking_(timers_, [this](Time) { tick(); }) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 0;
    if (epoll_ < 0 || wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
        ::close(epoll_);
        ::close(wake_);
        throw std::runtime_error("media: no descriptors left");
    }
    thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
    post(StopLoop{});
    thread_.join();
    sounds_.reset();    // posts orders, which write to `wake_`
    recorder_.reset();  // completes what the streams gave back
    ::close(epoll_);
    ::close(wake_);
}

void Loop::post(Order &&order) {
    if (!orders_.push(std::move(order))) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void Loop::run() {
    ::pthread_setname_np(::pthread_self(), "media");
    epoll_event events[max_events];
    while (!stopping_) {
        const int count = ::epoll_wait(epoll_, events, max_events, patience(now_));
        now_ = std::chrono::steady_clock::now();
        for (int i = 0; i < count; ++i) {
            if (i + 1 < count) __builtin_prefetch(pair_of(events[i + 1].data.u64));
            const auto key = events[i].data.u64;
            if (key == 0) {
                execute();
            } else {
                read(*pair_of(key), static_cast<int>(key & 1));
            }
        }
        timers_.run(now_);
    }
    streams_.clear();
}

// Milliseconds until the next timer, rounded up: none fires early.
int Loop::patience(Time now) const {
    if (timers_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.next() - now).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

// One packet, the usual case: to ask for a second would be a system call in vain. epoll says when there are more.
void Loop::read(PortPair &pair, int which) {
    std::uint8_t bytes[max_datagram + room_behind];
    sockaddr_storage from;
    socklen_t length = sizeof from;
    const auto size = ::recvfrom(pair.fd[which], bytes, max_datagram, 0, reinterpret_cast<sockaddr *>(&from), &length);
    if (size <= 0 || pair.stream == nullptr) return;
    Datagram datagram{bytes, static_cast<std::size_t>(size), sizeof bytes};
    pair.stream->receive(datagram, from, which, now_);
}

void Loop::execute() {
    std::uint64_t count;
    [[maybe_unused]] const auto taken = ::read(wake_, &count, sizeof count);
    batch_.clear();
    orders_.take(batch_);
    for (auto &order : batch_) {
        std::visit([this](auto &which) { execute(which); }, order);
    }
}

Stream *Loop::find(LegId leg) const {
    const auto found = streams_.find(leg);
    return found != streams_.end() ? found->second.stream.get() : nullptr;
}

void Loop::watch(PortPair &pair) {
    if (pair.watched) return;
    pair.watched = true;
    for (unsigned which = 0; which < 2; ++which) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = key_of(pair, which);
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, pair.fd[which], &event);
    }
}

void Loop::execute(OpenStream &order) {
    watch(*order.pair);
    end(order.leg);  // it may still wait for stragglers on its former ports
    auto stream = std::make_unique<Stream>(order.leg, *order.pair, std::move(order.counters), context_);
    stream->row = row_.size();
    row_.push_back(stream.get());
    streams_[order.leg].stream = std::move(stream);
    if (!ticking_.is_set()) ticking_.set(now_ + tick_every);
}

void Loop::execute(CloseStream &order) { end(order.leg); }

void Loop::end(LegId leg) {
    const auto found = streams_.find(leg);
    if (found == streams_.end()) return;
    const auto place = found->second.stream->row;
    row_[place] = row_.back();
    row_[place]->row = place;
    row_.pop_back();
    streams_.erase(found);
}

// Each stream has its turn in one tick of many, so that what is done for all of them never comes at once.
void Loop::tick() {
    if (row_.empty()) return;
    ticking_.set(now_ + tick_every);
    const auto turn = [&](std::uint64_t ticks, auto &&act) {
        const auto part = ticks_ % ticks;
        for (auto i = row_.size() * part / ticks; i < row_.size() * (part + 1) / ticks; ++i) act(*row_[i]);
    };
    turn(listen_ticks, [this](Stream &stream) { stream.listen(now_); });
    turn(report_ticks, [this](Stream &stream) { stream.report(now_); });
    ++ticks_;
}

void Loop::execute(CloseStreamAt &order) {
    const auto found = streams_.find(order.leg);
    if (found == streams_.end()) return;
    found->second.end.emplace(timers_, [this, leg = order.leg](Time) { end(leg); });
    found->second.end->set(order.at);
}

void Loop::execute(AgreeOn &order) {
    if (auto *stream = find(order.leg)) stream->agree(std::move(order.terms), now_);
}

void Loop::execute(NoteAnswer &order) {
    if (auto *stream = find(order.leg)) stream->answered(now_);
}

void Loop::execute(JoinStreams &order) {
    auto *one = find(order.one);
    auto *other = find(order.other);
    if (one != nullptr && other != nullptr && one != other) one->join(*other, now_);
}

void Loop::execute(SplitStream &order) {
    if (auto *stream = find(order.leg)) stream->split();
}

void Loop::execute(PlaySound &order) {
    if (auto *stream = find(order.leg)) return stream->play(order.play, std::move(order.sound), order.repeat);
    post_played(mailbox_, order.leg, order.play, no_media);
}

void Loop::execute(StopSound &order) {
    if (auto *stream = find(order.leg)) stream->stop_playing();
}

void Loop::execute(UseSound &order) {
    if (auto *stream = find(order.wanted.leg)) {
        stream->use_sound(order.wanted, std::move(order.packets), order.error, now_);
    }
}

void Loop::execute(RecordStream &order) {
    if (auto *stream = find(order.leg)) return stream->record(std::move(order.path), order.max_s, now_);
    post_recorded(mailbox_, order.leg, std::move(order.path), 0, no_media);
}

void Loop::execute(StopRecordingStream &order) {
    if (auto *stream = find(order.leg)) stream->stop_recording(now_);
}

void Loop::execute(SendDigitsOn &order) {
    auto *stream = find(order.leg);
    if (stream == nullptr || !stream->send_digits(order.digits, order.duration_ms, now_)) {
        context_.mailbox.count_dropped();
    }
}

void Loop::execute(StopLoop &) { stopping_ = true; }

}  // namespace quickcall
