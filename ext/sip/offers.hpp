// Offers and answers of one leg inside its dialog (RFC 3261 14, RFC 3264 8). SIP thread only.
#pragma once

#include <pjsip_ua.h>

#include <optional>
#include <string>

#include "media_transport.hpp"
#include "peer_media.hpp"
#include "wire.hpp"

namespace quickcall {

class Offers;

// What the offers of a leg need of it.
class OfferOwner {
public:
    // nullptr when its media are gone.
    virtual MediaTransport *media() = 0;
    // What was agreed on last.
    virtual const Agreement &agreement() const = 0;
    // True while the packets of the leg go to another leg, which cannot follow a change of codec.
    virtual bool is_joined() const = 0;
    // Those of another leg that has agreed on media, nullptr for none.
    virtual const Offers *offers_of(LegId leg) const = 0;
    // Takes ports again that were given back, for both legs of a bypass. False: none is left.
    virtual bool take_ports() = 0;
    // A `Reoffer` was taken.
    virtual void on_reoffered() = 0;
    // It came to nothing; `status` is 0 when nothing came from the wire.
    virtual void on_reoffer_failed(int status, const std::string &reason) = 0;
    // Both sides have offered at once (RFC 3261 14.1).
    virtual void on_glare() = 0;

protected:
    ~OfferOwner() = default;
};

// Our own offers go one at a time: one is under way, through all its tries, and the last of those that came
// meanwhile waits. The peer's are answered at once; both keep the direction that we last agreed on with it.
// In bypass, that is when the last agreement named the address of another leg's peer, the peer's are answered with
// what that one said last.
class Offers {
public:
    explicit Offers(OfferOwner &owner);
    ~Offers();
    Offers(const Offers &) = delete;
    Offers &operator=(const Offers &) = delete;

    // The INVITE names the address of that leg's peer.
    void begin(LegId media_of) { bypasses_ = media_of; }
    // Sends a re-INVITE as soon as none is pending. `codec` empty: what the leg uses when it is sent; `media_of` not 0:
    // the address of that leg's peer, with the codec that leg uses when it is sent.
    void want(pjsip_inv_session *session, bool hold, const std::string &codec, LegId media_of);
    // Answers the offer the negotiator of the session holds, or leaves it unanswered: pjsip refuses it with 488.
    void answer(pjsip_inv_session *session);
    // Makes the offer of a 200 to a re-INVITE without SDP: the codec in use, then all others (RFC 3261 14.2).
    pjmedia_sdp_session *offer_all(pjsip_inv_session *session);
    // A transaction of the session changed state.
    void on_transaction(pjsip_inv_session *session, pjsip_transaction *transaction);
    // An offer and an answer have been agreed on, and with them something `changed`. Returns whether that must be told
    // now: what comes of a `Reoffer` is told by `on_reoffered`.
    bool on_agreed(const pjsip_inv_session *session, const pjmedia_sdp_session *remote, bool changed);
    // What the peer said last.
    const PeerMedia &peer() const { return peer_; }
    const std::string &codec() const { return owner_.agreement().codec; }
    bool is_encrypted() const { return !owner_.agreement().media.security.empty(); }
    // The leg whose peer this one's sends to, 0: it sends to us.
    LegId bypasses() const { return bypasses_; }
    // Whether a re-INVITE that names our own address is under way or waits.
    bool leads_back() const {
        return (current_ && current_->media_of == 0) || (waiting_ && waiting_->media_of == 0);
    }
    // The leg is being hung up or gone: nothing more is sent.
    void stop();

private:
    struct Reoffer {
        bool hold = false;
        std::string codec;
        LegId media_of = 0;
    };

    static void on_timer(pj_timer_heap_t *heap, pj_timer_entry *entry);
    void next(pjsip_inv_session *session);
    std::string send(pjsip_inv_session *session);
    pjmedia_sdp_session *make_offer(pjsip_inv_session *session, const Offers *other);
    pjmedia_sdp_session *make_answer(pjsip_inv_session *session, const pjmedia_sdp_session *offer);
    pjmedia_sdp_session *lend_answer(pjsip_inv_session *session, const pjmedia_sdp_session *offer);
    void finish(pjsip_inv_session *session, const pjsip_transaction &transaction);
    void fail(int status, const std::string &reason);
    void wait(pjsip_inv_session *session, unsigned milliseconds);
    pjmedia_sdp_session *make(pjsip_inv_session *session, const pjmedia_sdp_session *remote,
                              std::vector<std::string> codecs, bool others, const Offers *lender = nullptr);

    OfferOwner &owner_;
    std::optional<Reoffer> current_, waiting_;
    pjsip_transaction *transaction_ = nullptr;  // of `current_`, while the peer has it
    bool sending_ = false;
    bool agreed_ = false;
    bool holding_ = false;  // we have the peer on hold
    PeerMedia peer_;
    LegId bypasses_ = 0;
    bool we_send_ = true, we_receive_ = true;  // the direction that we offered or agreed on last
    int tries_ = 0;
    pj_timer_entry timer_{};
    pjsip_inv_session *session_ = nullptr;  // while the timer runs
};

}  // namespace quickcall
