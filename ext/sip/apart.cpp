#include "apart.hpp"

#include <algorithm>

#include "challenges.hpp"

namespace quickcall {

struct ApartRequests::Pending {
    ApartRequests *requests;  // nullptr: closed
    ApartOwner *owner;
};

ApartRequests::~ApartRequests() {
    for (auto *pending : pending_) pending->requests = nullptr;
}

pjsip_tx_data *ApartRequests::create(const char *method,
                                     const std::vector<std::pair<const char *, std::string>> &headers) const {
    pjsip_method named;
    const pj_str_t name = pj_str(const_cast<char *>(method));
    pjsip_method_init_np(&named, const_cast<pj_str_t *>(&name));
    pjsip_tx_data *request = nullptr;
    if (pjsip_dlg_create_request(dialog_, &named, -1, &request) != PJ_SUCCESS) return nullptr;
    for (const auto &[header, value] : headers) {
        pjsip_msg_add_hdr(request->msg, make_header(request->pool, header, value));
    }
    return request;
}

void ApartRequests::send(pjsip_tx_data *request, ApartOwner *owner) {
    PJSIP_MSG_CSEQ_HDR(request->msg)->cseq = dialog_->local.cseq++;
    pjsip_tx_data_invalidate_msg(request);
    request->mod_data[dialog_->ua->id] = nullptr;  // it may outlive the dialog
    pjsip_tx_data_set_transport(request, &dialog_->tp_sel);
    auto *pending = PJ_POOL_ALLOC_T(request->pool, Pending);
    *pending = {this, owner};
    pending_.push_back(pending);
    const auto sent = pjsip_endpt_send_request(dialog_->endpt, request, -1, pending, &ApartRequests::on_answer);
    // A request that cannot be sent may have been reported as answered 503, or not at all.
    if (sent != PJ_SUCCESS && std::erase(pending_, pending) > 0 && owner != nullptr) {
        owner->on_final(PJSIP_SC_SERVICE_UNAVAILABLE);
    }
}

void ApartRequests::on_answer(void *token, pjsip_event *event) {
    auto *pending = static_cast<Pending *>(token);
    auto *requests = pending->requests;
    if (requests == nullptr) return;
    std::erase(requests->pending_, pending);
    auto *transaction = event->body.tsx_state.tsx;
    const int status = transaction->status_code;
    if ((status == PJSIP_SC_UNAUTHORIZED || status == PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED) &&
        event->body.tsx_state.type == PJSIP_EVENT_RX_MSG) {
        const auto *challenge = event->body.tsx_state.src.rdata;
        choose_challenges(challenge, transaction->last_tx);
        pjsip_tx_data *again = nullptr;
        const auto made = pjsip_auth_clt_reinit_req(&requests->dialog_->auth_sess, challenge, transaction->last_tx, &again);
        if (made == PJ_SUCCESS) return requests->send(again, pending->owner);
    }
    if (pending->owner != nullptr) pending->owner->on_final(status);
}

}  // namespace quickcall
