#include "reasons.hpp"

#include "headers.hpp"

namespace quickcall {

void Reasons::set(const std::string &from_tag, const std::string &reason) {
    if (reason.empty()) {
        by_tag_.erase(from_tag);
    } else {
        by_tag_[from_tag] = reason;
    }
}

void Reasons::write(pjsip_tx_data *request) const {
    const auto method = request->msg->line.req.method.id;
    if (method != PJSIP_CANCEL_METHOD && method != PJSIP_BYE_METHOD) return;
    const auto *from = static_cast<pjsip_from_hdr *>(pjsip_msg_find_hdr(request->msg, PJSIP_H_FROM, nullptr));
    const auto found = by_tag_.find(text_of(from->tag));
    if (found == by_tag_.end()) return;
    const pj_str_t name = pj_str(const_cast<char *>("Reason"));
    // pjsip's own words, for an answer that crossed our CANCEL and could not be used.
    if (auto *other = static_cast<pjsip_hdr *>(pjsip_msg_find_hdr_by_name(request->msg, &name, nullptr))) {
        pj_list_erase(other);
    }
    const pj_str_t value = pj_str(const_cast<char *>(found->second.c_str()));
    pjsip_msg_add_hdr(request->msg, reinterpret_cast<pjsip_hdr *>(
                                        pjsip_generic_string_hdr_create(request->pool, &name, &value)));
}

}  // namespace quickcall
