// What a stream has of keys, and of ICE and DTLS that lead to them.
#include <sys/socket.h>

#include <exception>
#include <memory>
#include <utility>

#include "address.hpp"
#include "stream.hpp"

namespace quickcall {

void Stream::use_keys(Time now) {
    if (terms_.dtls) {
        if (webrtc_ == nullptr) {
            auto &owner = static_cast<WebrtcOwner &>(*this);
            webrtc_ = std::make_unique<Webrtc>(context_.identity, context_.timers, owner);
        }
        webrtc_->agree(terms_, now);
        if (!webrtc_->has_keys()) srtp_.reset();
        return;
    }
    webrtc_.reset();
    if (!terms_.sdes) return srtp_.reset();
    use(terms_.sdes->sent, terms_.sdes->received);
}

void Stream::use(const SrtpKey &sent, const SrtpKey &received) {
    try {
        if (srtp_ != nullptr) {
            srtp_->change(sent, received);
        } else {
            srtp_ = std::make_unique<Srtp>(sent, received);
        }
    } catch (const std::exception &) {
        // The keys fit their suites, so it is memory that lacks: rather nothing than something in the clear.
        terms_.sends = terms_.receives = false;
    }
}

void Stream::send_datagram(std::span<const std::uint8_t> bytes, const sockaddr_storage &to) {
    ::sendto(pair_.fd[0], bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr *>(&to), length_of(to));
}

void Stream::on_selected(const sockaddr_storage &address, Time now) { latch_.agree(address, {}, now); }

void Stream::on_keys(const DtlsKeys &keys) { use(keys.sent, keys.received); }

void Stream::on_no_keys(const std::string &reason) {
    Event failed;
    failed.kind = EventKind::leg_media_failed;
    failed.leg = leg_;
    failed.reason = reason;
    context_.mailbox.post(std::move(failed));
}

}  // namespace quickcall
