#include "webrtc.hpp"

#include "address.hpp"

namespace quickcall {

Webrtc::Webrtc(const DtlsIdentity &identity, Timers &timers, WebrtcOwner &owner)
    : identity_(identity), owner_(owner), timer_(timers, [this](Time now) {
          if (dtls_) dtls_->on_timer();
          advance(now);
      }) {}

void Webrtc::agree(const MediaTerms &terms, Time now) {
    const bool same = dtls_ && dtls_->terms() == *terms.dtls && dtls_->failure().empty();
    described_ = terms.rtp;
    if (!terms.ice) {
        ice_.reset();
    } else if (same && ice_) {
        ice_->agree(*terms.ice);
    } else {
        ice_.emplace(*terms.ice);  // another peer: what the former one chose does not count
        owner_.on_selected({}, now);
    }
    if (!same) {
        dtls_.emplace(identity_, *terms.dtls);
        deadline_ = now + patience;
        told_ = false;
    }
    advance(now);
}

// Where DTLS goes; nullptr: to nobody yet.
const sockaddr_storage *Webrtc::peer(Time now) const {
    if (ice_) return ice_->selected(now);
    return described_.ss_family != 0 ? &described_ : nullptr;
}

void Webrtc::receive_stun(std::span<const std::uint8_t> packet, const sockaddr_storage &from, Time now) {
    if (!ice_) return;
    const auto *before = ice_->selected(now);
    const auto former = before != nullptr ? *before : sockaddr_storage{};
    StunAnswer answer;
    if (const auto size = ice_->receive(packet, from, now, answer); size > 0) {
        owner_.send_datagram({answer.data(), size}, from);
    }
    const auto *selected = ice_->selected(now);
    if (selected == nullptr || same_address(*selected, former)) return;
    owner_.on_selected(*selected, now);
    advance(now);
}

void Webrtc::receive_dtls(std::span<const std::uint8_t> packet, const sockaddr_storage &from, Time now) {
    const auto *expected = peer(now);
    if (expected == nullptr || !same_address(from, *expected) || !dtls_) return;
    dtls_->receive(packet);
    advance(now);
}

void Webrtc::advance(Time now) {
    const auto *to = peer(now);
    if (to != nullptr) dtls_->begin();
    for (const auto &datagram : dtls_->take_outgoing()) {
        if (to != nullptr) owner_.send_datagram(datagram, *to);
    }
    if (dtls_->keys() && !told_) {
        told_ = true;
        owner_.on_keys(*dtls_->keys());
    }
    if (!dtls_->failure().empty()) return give_up(dtls_->failure());
    if (!told_ && now >= deadline_) {
        return give_up(to == nullptr ? "no ICE check of the peer came" : "the DTLS handshake was not answered");
    }
    const auto wait = dtls_->wait();
    if (wait && (told_ || now + *wait < deadline_)) {
        timer_.set(now + *wait);
    } else if (!told_) {
        timer_.set(deadline_);
    } else {
        timer_.stop();
    }
}

void Webrtc::give_up(const std::string &reason) {
    timer_.stop();
    if (told_) return;
    told_ = true;
    owner_.on_no_keys(reason);
}

}  // namespace quickcall
