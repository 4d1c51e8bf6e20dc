// One half-call over pj::Call. SIP thread only.
#pragma once

#include <pjsua2.hpp>

#include <atomic>
#include <optional>
#include <string>

#include "in_dialog.hpp"
#include "mailbox.hpp"
#include "media_transport.hpp"
#include "offers.hpp"
#include "wire.hpp"

namespace quickcall {

class Leg;

// What a leg needs of the thread it lives on.
// What was counted since the start; the SIP thread alone writes.
struct LegCounts {
    std::atomic<std::uint64_t> cancel_races{0};  // a 200 crossed our CANCEL
    std::atomic<std::uint64_t> glares{0};
};

class LegOwner {
public:
    virtual LegCounts &counts() = 0;
    virtual Mailbox &mailbox() = 0;
    virtual Media &media() = 0;
    // Slot in a dialog's module data that points back to its leg.
    virtual int module_id() const = 0;
    // Adds a Reason header (RFC 3326) to the CANCEL or BYE of the dialog with this From tag; empty: no more.
    virtual void set_reason(const std::string &from_tag, const std::string &reason) = 0;
    // nullptr: there is none.
    virtual Leg *find(LegId leg) = 0;
    // Deletes the leg and counts it no longer.
    virtual void forget(LegId leg) = 0;

protected:
    ~LegOwner() = default;
};

// Lives from Dial to LegEnded. pjsua reports a call as gone as soon as we ask for it to be hung up, long before
// the peer knows; so the states come from pjsip's INVITE session, see pjsua_hooks.hpp.
class Leg final : public pj::Call, public MediaObserver, private OfferOwner {
public:
    Leg(LegOwner &owner, pj::Account &account, Command &&command);
    ~Leg();

    // Each of these may end the leg, and with it delete this, before it returns.
    void dial();
    void hang_up(const std::string &reason);
    // `codec` empty: what the leg uses; `media_of` not 0: what that leg uses, and where its peer wants it.
    void reoffer(bool hold, const std::string &codec, LegId media_of);
    // Gives the ports of both back when their peers send to each other.
    void free_media(Leg &other);
    // By the method of its `Dial`; by INFO too when its media go past us.
    void send_digits(const std::string &digits, int duration_ms);
    void on_state(pjsip_inv_session *session, const pjsip_event *event);
    void on_transaction(pjsip_inv_session *session, const pjsip_event *event);
    void force_end();
    InDialog &in_dialog() { return in_dialog_; }

    const std::string &codec() const { return agreement_.codec; }
    Offers &offers() { return offers_; }

    void onCreateMediaTransport(pj::OnCreateMediaTransportParam &prm) override;
    void on_media_started(const Agreement &agreement, const pjmedia_sdp_session *remote) override;
    void on_media_refused(const std::string &reason) override;
    void on_media_closed() override;

private:
    MediaTransport *media() override { return media_; }
    const Agreement &agreement() const override { return agreement_; }
    bool is_joined() const override;
    const Offers *offers_of(LegId leg) const override;
    bool take_ports() override;
    void on_reoffered() override;
    void on_reoffer_failed(int status, const std::string &reason) override;
    void on_glare() override;

    Event event(EventKind kind) const;
    std::string contact() const;
    void make_call(pj::CallOpParam &prm, std::string &failure);
    void prepare_dialog(pjsip_dialog *dialog);
    void on_provisional(pjsip_msg *message);
    void report_media(EventKind kind, bool by_us = false);
    void note_report();
    bool bypasses(const Leg &other) const { return offers_.bypasses() == other.command_.leg; }
    bool take_port();
    void give_port_back();
    void give_up(pjsip_inv_session *session);
    void on_answer(const pjsip_inv_session *session);
    void on_end(const pjsip_inv_session *session, const pjsip_event *event);
    static void on_refused_inside(pj_timer_heap_t *heap, pj_timer_entry *entry);
    void finish(Party party, int status, const std::string &text, const pjsip_msg *message = nullptr,
                const std::string &warning = {});
    void leave();

    LegOwner &owner_;
    const int acc_id_;
    Command command_;
    InDialog in_dialog_;
    Event end_;
    MediaTransport *media_ = nullptr;
    pjsip_dialog *dialog_ = nullptr;  // valid until `finish`
    bool dialing_ = false;
    bool hanging_up_ = false;
    bool answered_ = false;
    bool freed_ = false;              // its ports were given back when it began to bypass us
    bool agreed_ = false;             // an offer and its answer: `agreement_` says on what
    bool ended_ = false;
    int provisionals_ = 0;
    std::string refusal_;             // why what the peer agreed to must not be used, empty: it may
    pj_timer_entry refused_inside_{};
    Agreement agreement_;
    std::optional<MediaReport> report_;
    Offers offers_;
    bool talk_ = false;  // what Allow-Events of the last 18x says
    std::string user_agent_;
};

}  // namespace quickcall
