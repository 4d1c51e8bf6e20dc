#include "transfer.hpp"

#include <algorithm>

namespace quickcall {
namespace {

constexpr const char *active = "active;expires=180";  // longer than any dialled leg rings before it is given up
constexpr const char *terminated = "terminated;reason=noresource";
constexpr std::size_t max_reason = 64;

// Reasons may be a peer's words: no line may end in one.
std::string status_line(int status, const std::string &reason) {
    auto text = reason.substr(0, max_reason);
    std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
    if (text.empty()) text = text_of(*pjsip_get_status_text(status));
    return "SIP/2.0 " + std::to_string(status) + " " + text + "\r\n";
}

void set_sipfrag(pjsip_tx_data *request, const std::string &line) {
    const pj_str_t type = pj_str(const_cast<char *>("message"));
    const pj_str_t subtype = pj_str(const_cast<char *>("sipfrag"));
    const pj_str_t text{const_cast<char *>(line.data()), static_cast<pj_ssize_t>(line.size())};
    request->msg->body = pjsip_msg_body_create(request->pool, &type, &subtype, &text);
    auto *version = PJ_POOL_ZALLOC_T(request->pool, pjsip_param);
    version->name = pj_str(const_cast<char *>("version"));
    version->value = pj_str(const_cast<char *>("2.0"));
    pj_list_push_back(&request->msg->body->content_type.param, version);
}

}  // namespace

Transfer::Transfer(LegId leg, Mailbox &mailbox, ApartRequests &requests)
    : leg_(leg), mailbox_(mailbox), requests_(requests) {}

void Transfer::begin(Refer &&refer, unsigned cseq) {
    pending_ = true;
    subscribed_ = refer.subscribes;
    waiting_.clear();
    // RFC 3515 2.4.6: the first REFER of a dialog needs no id.
    event_ = ++referred_ == 1 ? "refer" : "refer;id=" + std::to_string(cseq);
    notify(status_line(PJSIP_SC_TRYING, {}), false);
    Event event;
    event.kind = EventKind::transfer_requested;
    event.leg = leg_;
    event.uri = std::move(refer.target);
    event.text = std::move(refer.replaces);
    event.from = std::move(refer.referred_by);
    mailbox_.post(std::move(event));
}

void Transfer::progress(int status, const std::string &reason) {
    if (!pending_ || status < 100 || status > 699) return;
    pending_ = status < 200;
    notify(status_line(status, reason), !pending_);
}

void Transfer::hurry() {
    under_way_ = false;
    if (waiting_.empty()) return;
    const auto line = std::move(waiting_);
    waiting_.clear();
    notify(line, waiting_last_);
}

void Transfer::notify(const std::string &line, bool last) {
    if (!subscribed_) return;
    if (under_way_) {
        waiting_ = line;
        waiting_last_ = last;
        return;
    }
    auto *request = requests_.create("NOTIFY", {{"Event", event_}, {"Subscription-State", last ? terminated : active}});
    if (request == nullptr) return;
    set_sipfrag(request, line);
    under_way_ = true;
    subscribed_ = !last;
    requests_.send(request, this);
}

void Transfer::on_final(int status) {
    if (status / 100 != 2) subscribed_ = false;
    hurry();
}

}  // namespace quickcall
