// How a stream gets from an agreement on ICE and DTLS to the keys of its SRTP: whom it may talk to, whose DTLS it
// takes, what is sent again when. Media thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "dtls.hpp"
#include "ice.hpp"
#include "terms.hpp"
#include "timers.hpp"

namespace quickcall {

// What it needs of its stream.
class WebrtcOwner {
public:
    virtual void send_datagram(std::span<const std::uint8_t> bytes, const sockaddr_storage &to) = 0;
    // The peer has proven that it is to be sent media there, and nowhere else; family 0: another peer has yet to.
    virtual void on_selected(const sockaddr_storage &address, Time now) = 0;
    virtual void on_keys(const DtlsKeys &keys) = 0;
    // There will be no keys. At most once for an agreement.
    virtual void on_no_keys(const std::string &reason) = 0;

protected:
    ~WebrtcOwner() = default;
};

class Webrtc {
public:
    // From an agreement to the keys; what takes longer has failed.
    static constexpr std::chrono::seconds patience{30};

    Webrtc(const DtlsIdentity &identity, Timers &timers, WebrtcOwner &owner);

    // `terms` have DTLS, and ICE or not. An association whose certificate and roles stay goes on (RFC 8842 4), and
    // with it its keys; before another one the keys are lost.
    void agree(const MediaTerms &terms, Time now);

    void receive_stun(std::span<const std::uint8_t> packet, const sockaddr_storage &from, Time now);
    void receive_dtls(std::span<const std::uint8_t> packet, const sockaddr_storage &from, Time now);

    // Whether RTP of that source is looked at, and whether any may be sent.
    bool accepts(const sockaddr_storage &from) const { return !ice_ || ice_->accepts(from); }
    bool may_send(Time now) const { return !ice_ || ice_->selected(now) != nullptr; }
    bool has_keys() const { return dtls_ && dtls_->keys(); }

private:
    const sockaddr_storage *peer(Time now) const;
    void advance(Time now);
    void give_up(const std::string &reason);

    const DtlsIdentity &identity_;
    WebrtcOwner &owner_;
    std::optional<Ice> ice_;
    std::optional<Dtls> dtls_;
    sockaddr_storage described_{};  // without ICE: where the description wants media
    Time deadline_{};
    bool told_ = false;             // of the keys, or that there are none
    Timer timer_;
};

}  // namespace quickcall
