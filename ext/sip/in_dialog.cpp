#include "in_dialog.hpp"

#include <pjsip_ua.h>

#include <algorithm>
#include <array>

#include "challenges.hpp"
#include "flow.hpp"
#include "headers.hpp"

namespace quickcall {
namespace {

constexpr int bad_info_package = 469;  // RFC 6086 4.2.2

bool accepts_transfers = true;  // as the stack was started; pjsip's callbacks carry no user data

pjsip_dialog *dialog_of(pjsip_rx_data *rdata) { return pjsip_rdata_get_dlg(rdata); }

// What pjsip's INVITE session answers itself.
bool belongs_to_session(const std::string &method) {
    constexpr std::array session{"INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK"};
    return std::find(session.begin(), session.end(), method) != session.end();
}

// Replaces what pjsip and pjsua have collected in a capability header: they count on a telephone behind them.
void set_capability(pjsip_endpoint *endpoint, int header, const std::vector<const char *> &values) {
    auto *list = reinterpret_cast<pjsip_generic_array_hdr *>(
        const_cast<pjsip_hdr *>(pjsip_endpt_get_capability(endpoint, header, nullptr)));
    list->count = 0;
    for (const auto *value : values) list->values[list->count++] = pj_str(const_cast<char *>(value));
}

class Answer {
public:
    Answer(pjsip_dialog *dialog, pjsip_rx_data *rdata) : dialog_(dialog), rdata_(rdata) { pj_list_init(&headers_); }

    Answer &with(const char *name, const std::string &value) {
        pj_list_push_back(&headers_, make_header(rdata_->tp_info.pool, name, value));
        return *this;
    }
    Answer &with_capability(int header) {
        const auto *capability = pjsip_endpt_get_capability(dialog_->endpt, header, nullptr);
        if (capability != nullptr) {
            pj_list_push_back(&headers_, pjsip_hdr_clone(rdata_->tp_info.pool, capability));
        }
        return *this;
    }
    void send(int status, const char *reason = nullptr) {
        const pj_str_t text = pj_str(const_cast<char *>(reason != nullptr ? reason : ""));
        pjsip_dlg_respond(dialog_, rdata_, status, reason != nullptr ? &text : nullptr, &headers_, nullptr);
    }

private:
    pjsip_dialog *dialog_;
    pjsip_rx_data *rdata_;
    pjsip_hdr headers_;
};

// The option tags of Require that are not supported, comma separated.
std::string unsupported(const pjsip_dialog *dialog, const pjsip_msg *message) {
    const auto *header = pjsip_endpt_get_capability(dialog->endpt, PJSIP_H_SUPPORTED, nullptr);
    const auto supported = header != nullptr ? lower(value_of(header)) : std::string();
    const auto known = split(supported, ',');
    std::string missing;
    for (const auto *required : headers_named(message, "Require")) {
        const auto text = value_of(required);
        for (const auto tag : split(text, ',')) {
            if (tag.empty() || std::find(known.begin(), known.end(), lower(tag)) != known.end()) continue;
            missing += (missing.empty() ? "" : ", ") + std::string(tag);
        }
    }
    return missing;
}

}  // namespace

// pjsip's callbacks, which need access to InDialog.
class InDialogModule {
public:
    static inline pjsip_module module{};

    static InDialog *of(const pjsip_dialog *dialog) { return static_cast<InDialog *>(dialog->mod_data[module.id]); }

    // Requests inside dialogs come here through the dialog, others from the endpoint.
    static pj_bool_t on_request(pjsip_rx_data *rdata) {
        return dialog_of(rdata) != nullptr && !belongs_to_session(text_of(rdata->msg_info.msg->line.req.method.name));
    }

    static void on_state(pjsip_transaction *transaction, pjsip_event *event) {
        auto *dialog = pjsip_tsx_get_dlg(transaction);
        auto *usage = of(dialog);
        if (transaction->role == PJSIP_ROLE_UAC) {
            if (usage != nullptr) usage->on_our_request(transaction, event);
            return;
        }
        if (transaction->state != PJSIP_TSX_STATE_TRYING || event->body.tsx_state.type != PJSIP_EVENT_RX_MSG) return;
        auto *rdata = event->body.tsx_state.src.rdata;
        if (usage != nullptr) {
            usage->answer(transaction, rdata);
        } else if (!belongs_to_session(text_of(transaction->method.name))) {
            Answer(dialog, rdata).send(PJSIP_SC_CALL_TSX_DOES_NOT_EXIST);
        }
    }
};

void start_in_dialog(pjsip_endpoint *endpoint, bool transfers) {
    accepts_transfers = transfers;
    static char name[] = "mod-quickcall-in-dialog";
    auto &module = InDialogModule::module;
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_DIALOG_USAGE - 1;  // the INVITE session has DIALOG_USAGE
    module.on_rx_request = &InDialogModule::on_request;
    module.on_tsx_state = &InDialogModule::on_state;
    pjsip_endpt_register_module(endpoint, &module);
    std::vector<const char *> methods{"INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK", "INFO", "OPTIONS"};
    if (transfers) methods.push_back("REFER");
    set_capability(endpoint, PJSIP_H_ALLOW, methods);
    set_capability(endpoint, PJSIP_H_ACCEPT, {"application/sdp", "application/dtmf-relay", "application/dtmf"});
    set_capability(endpoint, PJSIP_H_SUPPORTED, {"replaces", "100rel", "timer", "norefersub"});
}

InDialog::InDialog(LegId leg, Mailbox &mailbox) : leg_(leg), mailbox_(mailbox) {}

void InDialog::open(pjsip_dialog *dialog) {
    dialog_ = dialog;
    apart_.emplace(dialog);
    info_.emplace(*apart_);
    pjsip_dlg_add_usage(dialog, &InDialogModule::module, this);
}

void InDialog::close() {
    if (dialog_ == nullptr) return;
    dialog_->mod_data[InDialogModule::module.id] = nullptr;
    lose();
}

void InDialog::lose() {
    dialog_ = nullptr;
    info_.reset();
    apart_.reset();
}

void InDialog::answer(pjsip_transaction *transaction, pjsip_rx_data *rdata) {
    const auto method = text_of(transaction->method.name);
    // A BYE or CANCEL ends what it names, whatever else it asks for.
    if (method == "BYE" || method == "CANCEL") return;
    const auto missing = unsupported(dialog_, rdata->msg_info.msg);
    Answer answer(dialog_, rdata);
    if (!missing.empty()) {
        answer.with("Unsupported", missing).send(PJSIP_SC_BAD_EXTENSION);
    } else if (belongs_to_session(method)) {
        return;
    } else if (method == "OPTIONS") {
        answer.with_capability(PJSIP_H_ALLOW).with_capability(PJSIP_H_ACCEPT).with_capability(PJSIP_H_SUPPORTED);
        answer.send(PJSIP_SC_OK);
    } else if (method == "INFO") {
        take_info(rdata);
    } else if (method == "REFER") {
        take_refer(rdata);
    } else if (method == "SUBSCRIBE" || method == "NOTIFY") {
        // 489 and not 481: the latter would tell a peer that the whole dialog is gone (RFC 5057 5.1).
        answer.with_capability(PJSIP_H_ALLOW).send(PJSIP_SC_BAD_EVENT);
    } else {
        answer.with_capability(PJSIP_H_ALLOW).send(PJSIP_SC_METHOD_NOT_ALLOWED);
    }
}

void InDialog::take_info(pjsip_rx_data *rdata) {
    Answer answer(dialog_, rdata);
    const auto *body = rdata->msg_info.msg->body;
    if (!headers_named(rdata->msg_info.msg, "Info-Package").empty()) {
        return answer.with("Recv-Info", "").send(bad_info_package, "Bad Info Package");
    }
    if (body == nullptr || body->len == 0) return answer.send(PJSIP_SC_OK);  // a keep-alive (RFC 2976 2.2)
    const auto type = lower(text_of(body->content_type.type) + "/" + text_of(body->content_type.subtype));
    if (!is_digit_type(type)) {
        return answer.with("Accept", "application/dtmf-relay, application/dtmf").send(PJSIP_SC_UNSUPPORTED_MEDIA_TYPE);
    }
    auto read = read_info_digit(type, body);
    if (read.digit.empty()) return answer.send(PJSIP_SC_BAD_REQUEST, "Not A DTMF Digit");
    answer.send(PJSIP_SC_OK);
    Event event;
    event.kind = EventKind::leg_sent_digit;
    event.leg = leg_;
    event.text = std::move(read.digit);
    event.status = read.duration_ms;
    event.method = DtmfMethod::info;
    mailbox_.post_droppable(std::move(event));
}

void InDialog::take_refer(pjsip_rx_data *rdata) {
    Answer answer(dialog_, rdata);
    const auto *session = pjsip_dlg_get_inv_session(dialog_);
    if (!accepts_transfers) return answer.send(PJSIP_SC_DECLINE);
    if (session == nullptr || session->state != PJSIP_INV_STATE_CONFIRMED) return answer.send(PJSIP_SC_FORBIDDEN);
    if (transfer_ && transfer_->pending()) return answer.send(PJSIP_SC_REQUEST_PENDING);
    Refer refer;
    if (const auto *wrong = read_refer(rdata, refer)) return answer.send(PJSIP_SC_BAD_REQUEST, wrong);
    if (!refer.subscribes) answer.with("Refer-Sub", "false");
    answer.send(PJSIP_SC_ACCEPTED);
    if (!transfer_) transfer_.emplace(leg_, mailbox_, *apart_);
    transfer_->begin(std::move(refer), static_cast<unsigned>(rdata->msg_info.cseq->cseq));
}

void InDialog::on_our_request(pjsip_transaction *transaction, const pjsip_event *event) {
    const auto source = event->body.tsx_state.type;
    const int status = transaction->status_code;
    if (transaction->method.id == PJSIP_INVITE_METHOD && source == PJSIP_EVENT_RX_MSG && status > 100 && status < 300) {
        keep_flow(dialog_, transaction, event->body.tsx_state.src.rdata);
    }
    // The connection broke under a BYE, or could not be made.
    if (transaction->method.id == PJSIP_BYE_METHOD && source == PJSIP_EVENT_TRANSPORT_ERROR &&
        transaction->state == PJSIP_TSX_STATE_TERMINATED && transaction->is_reliable) {
        say_bye_again();
    }
}

// The session ends with its own BYE, answered or not; the peer has not heard it. A request to the same address
// makes a new connection; one to the address of a connection that the peer had opened goes to its Contact instead.
void InDialog::say_bye_again() {
    if (bye_repeated_) return;
    bye_repeated_ = true;
    auto *bye = apart_->create("BYE", {});
    if (bye == nullptr) return;
    leave_flow(bye);
    apart_->send(bye, nullptr);
}

void InDialog::notify_talk() {
    if (dialog_ == nullptr || dialog_->remote.info->tag.slen == 0) return;  // no 18x with a tag: no early dialog
    auto *request = apart_->create("NOTIFY", {{"Event", "talk"}, {"Subscription-State", "terminated;reason=noresource"}});
    if (request != nullptr) apart_->send(request, nullptr);
}

void InDialog::transfer_progress(int status, const std::string &reason) {
    if (dialog_ != nullptr && transfer_) transfer_->progress(status, reason);
}

void InDialog::send_digits(const std::string &digits, int duration_ms) {
    if (dialog_ == nullptr || dialog_->remote.info->tag.slen == 0) return;  // no dialog yet
    if (!info_->send(digits, duration_ms)) mailbox_.count_dropped();
}

void InDialog::hang_up() {
    if (info_) info_->stop();
    if (dialog_ != nullptr && transfer_) transfer_->hurry();
}

}  // namespace quickcall
