#include "request_checks.hpp"

namespace quickcall {
namespace {

constexpr pjsip_hdr_e once[] = {PJSIP_H_CALL_ID, PJSIP_H_CSEQ,         PJSIP_H_FROM,
                                PJSIP_H_TO,      PJSIP_H_MAX_FORWARDS, PJSIP_H_CONTENT_LENGTH};

}  // namespace

bool is_malformed(const pjsip_msg *request) {
    unsigned seen = 0;
    for (const auto *header = request->hdr.next; header != &request->hdr; header = header->next) {
        for (unsigned i = 0; i < PJ_ARRAY_SIZE(once); ++i) {
            if (header->type != once[i]) continue;
            if ((seen & (1U << i)) != 0) return true;
            seen |= 1U << i;
        }
    }
    const auto *cseq = static_cast<const pjsip_cseq_hdr *>(pjsip_msg_find_hdr(request, PJSIP_H_CSEQ, nullptr));
    return cseq == nullptr || pjsip_method_cmp(&cseq->method, &request->line.req.method) != 0;
}

std::string unsupported_tags(const pjsip_msg *request) {
    std::string tags;
    for (const auto *header = request->hdr.next; header != &request->hdr; header = header->next) {
        if (header->type != PJSIP_H_REQUIRE) continue;
        const auto *require = reinterpret_cast<const pjsip_require_hdr *>(header);
        for (unsigned i = 0; i < require->count; ++i) {
            if (pj_stricmp2(&require->values[i], "path") == 0) continue;  // RFC 3327: the registrar keeps it
            if (!tags.empty()) tags += ", ";
            tags.append(require->values[i].ptr, static_cast<std::size_t>(require->values[i].slen));
        }
    }
    return tags;
}

}  // namespace quickcall
