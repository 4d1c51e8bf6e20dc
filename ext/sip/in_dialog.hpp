// Requests inside the dialog of a leg, in front of pjsip's INVITE session and pjsua. SIP thread only.
#pragma once

#include <pjsip.h>

#include <optional>
#include <string>

#include "apart.hpp"
#include "info_digits.hpp"
#include "mailbox.hpp"
#include "transfer.hpp"
#include "wire.hpp"

namespace quickcall {

// Registers the modules of this file and says in Allow and Accept what the engine does; once per endpoint.
void start_in_dialog(pjsip_endpoint *endpoint, bool transfers);

// A usage of the leg's dialog (pjsip's word), called before the INVITE session. It answers OPTIONS, INFO, REFER
// and every method that has no business in a call; INVITE, ACK, CANCEL, BYE, UPDATE and PRACK go on to pjsip,
// unless they require an extension that is not there (RFC 3261 8.2.2.3).
class InDialog {
public:
    InDialog(LegId leg, Mailbox &mailbox);

    // The dialog was made, its INVITE was not.
    void open(pjsip_dialog *dialog);
    // The leg is over: its dialog may live on for its last transactions and answers 481.
    void close();
    // pjsip has destroyed the dialog.
    void lose();

    void notify_talk();
    void transfer_progress(int status, const std::string &reason);
    // By INFO.
    void send_digits(const std::string &digits, int duration_ms);
    // Our BYE or CANCEL is about to be sent.
    void hang_up();

private:
    friend class InDialogModule;
    void answer(pjsip_transaction *transaction, pjsip_rx_data *rdata);
    void on_our_request(pjsip_transaction *transaction, const pjsip_event *event);
    void take_info(pjsip_rx_data *rdata);
    void take_refer(pjsip_rx_data *rdata);
    void say_bye_again();

    const LegId leg_;
    Mailbox &mailbox_;
    pjsip_dialog *dialog_ = nullptr;
    std::optional<ApartRequests> apart_;
    std::optional<InfoDigits> info_;
    std::optional<Transfer> transfer_;
    bool bye_repeated_ = false;
};

}  // namespace quickcall
