#include "forked_answers.hpp"

namespace quickcall {
namespace {

pjsip_module forks{};

// The dialog has no other usage. The answer that made it comes through here too, acknowledged by then.
pj_bool_t on_response(pjsip_rx_data *rdata) {
    auto *dialog = pjsip_rdata_get_dlg(rdata);
    if (dialog == nullptr || dialog->usage_cnt == 0 || dialog->usage[0] != &forks) return PJ_FALSE;
    const auto *cseq = rdata->msg_info.cseq;
    if (cseq->method.id != PJSIP_INVITE_METHOD || rdata->msg_info.msg->line.status.code / 100 != 2) return PJ_FALSE;
    void *&repeated = dialog->mod_data[forks.id];
    if (repeated != nullptr) {
        pjsip_tx_data *ack = nullptr;
        const auto status = pjsip_dlg_create_request(dialog, pjsip_get_ack_method(), cseq->cseq, &ack);
        if (status == PJ_SUCCESS) pjsip_dlg_send_request(dialog, ack, -1, nullptr);
    }
    repeated = dialog;
    return PJ_TRUE;
}

}  // namespace

void acknowledge_forked_answers(pjsip_endpoint *endpoint) {
    static char name[] = "mod-quickcall-forks";
    forks = {};
    forks.name = pj_str(name);
    forks.id = -1;
    forks.priority = PJSIP_MOD_PRIORITY_DIALOG_USAGE;
    forks.on_rx_response = &on_response;
    pjsip_endpt_register_module(endpoint, &forks);
}

}  // namespace quickcall

extern "C" {

pj_status_t __real_pjsip_dlg_fork(const pjsip_dialog *first, const pjsip_rx_data *rdata, pjsip_dialog **made);

// Only pjsua's on_dlg_forked calls it, for a 200 that lost. `pjsip_dlg_add_usage` would unlock the dialog, and with
// that destroy it: it has no transaction yet.
pj_status_t __wrap_pjsip_dlg_fork(const pjsip_dialog *first, const pjsip_rx_data *rdata, pjsip_dialog **made) {
    if (rdata->msg_info.to->tag.slen == 0) return PJSIP_EMISSINGTAG;  // asserted there
    const auto status = __real_pjsip_dlg_fork(first, rdata, made);
    if (status == PJ_SUCCESS) (*made)->usage[(*made)->usage_cnt++] = &quickcall::forks;
    return status;
}

}
