// One transfer by the peer: its REFER, and what we tell it (RFC 3515). SIP thread only.
#pragma once

#include <pjsip.h>

#include <memory>
#include <string>

#include "apart.hpp"
#include "mailbox.hpp"
#include "refer.hpp"
#include "wire.hpp"

namespace quickcall {

// The subscription that a REFER makes is kept here and not by pjsip's, which would keep the dialog after its BYE
// and end the call when a NOTIFY fails. It ends with the final progress, with a NOTIFY that fails, and with the leg.
// One NOTIFY is under way at a time, so that they cannot overtake each other; a later progress waits, and the last
// of those wins.
class Transfer final : public ApartOwner {
public:
    Transfer(LegId leg, Mailbox &mailbox, ApartRequests &requests);

    // A REFER waits for its final progress.
    bool pending() const { return pending_; }
    // Tells the peer `100 Trying` and the core what is asked for. The REFER was answered 202.
    void begin(Refer &&refer, unsigned cseq);
    void progress(int status, const std::string &reason);
    // A BYE follows: a NOTIFY that waits goes before it, for after it the peer has no dialog to take it in (481).
    void hurry();
    void on_final(int status) override;

private:
    void notify(const std::string &line, bool last);

    const LegId leg_;
    Mailbox &mailbox_;
    ApartRequests &requests_;
    bool pending_ = false;
    bool subscribed_ = false;
    bool under_way_ = false;
    int referred_ = 0;
    std::string event_;
    std::string waiting_;  // status line of the next NOTIFY, empty: none
    bool waiting_last_ = false;
};

}  // namespace quickcall
