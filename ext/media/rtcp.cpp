#include "rtcp.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "entropy.hpp"
#include "rtp.hpp"

namespace quickcall {
namespace {

constexpr std::uint8_t sender_report = 200, receiver_report = 201, source_description = 202;
constexpr std::size_t header_size = 8, sender_info_size = 20, block_size = 24;
constexpr std::int64_t ntp_epoch = 2'208'988'800;  // seconds from 1900 to 1970
constexpr std::uint32_t longest_round_trip = 10 * 65536;
constexpr std::size_t cname_size = 24;

// Seconds since 1900 and their 2^32th parts (RFC 3550 4).
std::uint64_t ntp_now() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    const auto seconds = static_cast<std::uint64_t>(microseconds / 1'000'000 + ntp_epoch);
    const auto rest = static_cast<std::uint64_t>(microseconds % 1'000'000);
    return seconds << 32 | ((rest << 32) / 1'000'000);
}

std::uint32_t middle(std::uint64_t ntp) { return static_cast<std::uint32_t>(ntp >> 16); }

std::uint32_t units(Time::duration passed) {  // of 1/65536 s
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
    return static_cast<std::uint32_t>(microseconds * 65536 / 1'000'000);
}

void write_head(std::uint8_t *at, unsigned count, std::uint8_t type, std::size_t size) {
    at[0] = static_cast<std::uint8_t>(0x80 | count);
    at[1] = type;
    write16(at + 2, static_cast<std::uint16_t>(size / 4 - 1));
}

std::int32_t signed24(const std::uint8_t *at) {
    const auto value = static_cast<std::int32_t>(read32(at) & 0xffffff);
    return value & 0x800000 ? value - 0x1000000 : value;
}

void read_blocks(const std::uint8_t *at, const std::uint8_t *end, unsigned count, std::uint32_t ssrc, RtcpRead &into) {
    for (; count > 0 && end - at >= static_cast<std::ptrdiff_t>(block_size); --count, at += block_size) {
        if (read32(at) == ssrc) into.about_us = {signed24(at + 4), read32(at + 16), read32(at + 20)};
    }
}

}  // namespace

RtcpRead read_rtcp(const std::uint8_t *data, std::size_t size, std::uint32_t ssrc) {
    RtcpRead found;
    for (const auto *end = data + size; end - data >= static_cast<std::ptrdiff_t>(header_size);) {
        const std::size_t length = 4 * (static_cast<std::size_t>(read16(data + 2)) + 1);
        if (data[0] >> 6 != 2 || length < header_size || length > static_cast<std::size_t>(end - data)) break;
        const unsigned count = data[0] & 0x1f;
        const auto *next = data + length;
        if (data[1] == sender_report && length >= header_size + sender_info_size) {
            found.report = middle(static_cast<std::uint64_t>(read32(data + 8)) << 32 | read32(data + 12));
            read_blocks(data + header_size + sender_info_size, next, count, ssrc, found);
            found.valid = true;
        } else if (data[1] == receiver_report) {
            read_blocks(data + header_size, next, count, ssrc, found);
            found.valid = true;
        }
        if (!found.valid) break;
        data = next;
    }
    return found;
}

// Says nothing of the host, and is the leg's alone (RFC 7022 4.2).
Rtcp::Rtcp() {
    static constexpr char digits[] = "0123456789abcdef";
    while (cname_.size() < cname_size) {
        for (auto value = random32(), left = 8u; left > 0; --left, value >>= 4) cname_ += digits[value & 0xf];
    }
}

std::size_t Rtcp::write(std::uint8_t *data, const Sender &sender, Receiver &receiver, const Counters &counters,
                        Time now) {
    const unsigned blocks = receiver.started() ? 1 : 0;
    std::size_t size = header_size;
    write32(data + 4, sender.ssrc());
    if (sender.started()) {
        const auto ntp = ntp_now();
        write32(data + 8, static_cast<std::uint32_t>(ntp >> 32));
        write32(data + 12, static_cast<std::uint32_t>(ntp));
        write32(data + 16, sender.timestamp_at(now));
        write32(data + 20, static_cast<std::uint32_t>(counters.packets_sent.get()));
        write32(data + 24, static_cast<std::uint32_t>(counters.bytes_sent.get()));
        size += sender_info_size;
        sent_[next_++ % sent_.size()] = {middle(ntp), now};
    }
    if (blocks > 0) {
        const auto loss = receiver.report_loss();
        auto *at = data + size;
        write32(at, receiver.ssrc());
        write32(at + 4, static_cast<std::uint32_t>(loss.fraction) << 24 |
                            (static_cast<std::uint32_t>(std::clamp(loss.packets, -0x800000, 0x7fffff)) & 0xffffff));
        write32(at + 8, receiver.highest());
        write32(at + 12, receiver.jitter());
        write32(at + 16, their_stamp_);
        write32(at + 20, their_stamp_ != 0 ? units(now - their_report_at_) : 0);
        size += block_size;
    }
    write_head(data, blocks, sender.started() ? sender_report : receiver_report, size);
    auto *description = data + size;
    // CNAME is item 1; zeros end the list and fill it up to a word.
    const std::size_t length = (header_size + 2 + cname_.size() + 1 + 3) / 4 * 4;
    std::memset(description, 0, length);
    write_head(description, 1, source_description, length);
    write32(description + 4, sender.ssrc());
    description[8] = 1;
    description[9] = static_cast<std::uint8_t>(cname_.size());
    std::memcpy(description + 10, cname_.data(), cname_.size());
    return size + length;
}

bool Rtcp::read(const std::uint8_t *data, std::size_t size, std::uint32_t ssrc, Counters &counters, Time now) {
    const auto found = read_rtcp(data, size, ssrc);
    if (!found.valid) return false;
    if (found.report) {
        their_stamp_ = *found.report;
        their_report_at_ = now;
    }
    if (!found.about_us) return true;
    counters.lost_by_peer.set(found.about_us->lost);
    for (const auto &sent : sent_) {
        if (sent.stamp == 0 || sent.stamp != found.about_us->last_report) continue;
        const auto passed = units(now - sent.at);
        if (passed < found.about_us->delay || passed - found.about_us->delay > longest_round_trip) continue;
        counters.round_trip_ms.set(static_cast<double>(passed - found.about_us->delay) * 1000 / 65536);
    }
    return true;
}

}  // namespace quickcall
