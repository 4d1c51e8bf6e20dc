#include "incoming.hpp"

#include <string>

namespace quickcall {
namespace {

pjsip_module incoming{};
std::string handled_call_id;  // of the message that is being handled, or was last
pj_sockaddr handled_source{};

void note(const pjsip_rx_data *rdata) {
    handled_call_id.assign(rdata->msg_info.cid->id.ptr, static_cast<std::size_t>(rdata->msg_info.cid->id.slen));
    pj_sockaddr_cp(&handled_source, &rdata->pkt_info.src_addr);
}

void drop_strange_contacts(pjsip_msg *message) {
    for (auto *header = message->hdr.next; header != &message->hdr;) {
        auto *next = header->next;
        if (header->type == PJSIP_H_CONTACT) {
            const auto *uri = reinterpret_cast<pjsip_contact_hdr *>(header)->uri;
            if (uri != nullptr && !PJSIP_URI_SCHEME_IS_SIP(uri) && !PJSIP_URI_SCHEME_IS_SIPS(uri)) {
                pj_list_erase(header);
            }
        }
        header = next;
    }
}

pj_bool_t on_response(pjsip_rx_data *rdata) {
    auto *message = rdata->msg_info.msg;
    note(rdata);
    if (pjsip_msg_find_hdr(message, PJSIP_H_VIA, rdata->msg_info.via->next) != nullptr) return PJ_TRUE;
    if (message->line.status.code < 300) drop_strange_contacts(message);
    return PJ_FALSE;
}

pj_bool_t on_request(pjsip_rx_data *rdata) {
    note(rdata);
    // A REGISTER may bind what it likes; the registrar judges it.
    if (rdata->msg_info.msg->line.req.method.id != PJSIP_REGISTER_METHOD && rdata->msg_info.to->tag.slen != 0) {
        drop_strange_contacts(rdata->msg_info.msg);
    }
    return PJ_FALSE;
}

}  // namespace

void check_incoming(pjsip_endpoint *endpoint) {
    static char name[] = "mod-quickcall-incoming";
    incoming = {};
    incoming.name = pj_str(name);
    incoming.id = -1;
    incoming.priority = PJSIP_MOD_PRIORITY_TSX_LAYER - 1;
    incoming.on_rx_request = &on_request;
    incoming.on_rx_response = &on_response;
    pjsip_endpt_register_module(endpoint, &incoming);
}

bool came_from(std::string_view call_id, pj_sockaddr &source) {
    if (handled_call_id != call_id || handled_source.addr.sa_family == 0) return false;
    source = handled_source;
    return true;
}

}  // namespace quickcall
