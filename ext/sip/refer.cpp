#include "refer.hpp"

#include <algorithm>

#include "headers.hpp"

namespace quickcall {
namespace {

constexpr std::size_t max_header = 1024;

// What was escaped in a URI goes into a header later: no line may end in it.
bool has_control(const std::string &text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

// `call-id;to-tag=x;from-tag=y`, in any order after the Call-ID.
bool is_replaces(const std::string &text) {
    const auto parts = split(text, ';');
    const auto has = [&](const char *prefix) {
        return std::any_of(parts.begin() + 1, parts.end(), [&](std::string_view part) {
            return lower(part).rfind(prefix, 0) == 0 && part.size() > std::string_view(prefix).size();
        });
    };
    return !has_control(text) && !parts.front().empty() && has("to-tag=") && has("from-tag=");
}

// A Contact has the same grammar as a Refer-To (RFC 3515 2.1), and pjsip reads it.
pjsip_sip_uri *parse_refer_to(pj_pool_t *pool, const std::string &text) {
    const pj_str_t name = pj_str(const_cast<char *>("Contact"));
    pj_str_t value;
    pj_strdup2_with_null(pool, &value, text.c_str());
    auto *contact = static_cast<pjsip_contact_hdr *>(
        pjsip_parse_hdr(pool, &name, value.ptr, static_cast<pj_size_t>(value.slen), nullptr));
    if (contact == nullptr || contact->star || contact->uri == nullptr || contact->next != contact) return nullptr;
    auto *uri = static_cast<pjsip_uri *>(pjsip_uri_get_uri(contact->uri));
    if (!PJSIP_URI_SCHEME_IS_SIP(uri) && !PJSIP_URI_SCHEME_IS_SIPS(uri)) return nullptr;
    return reinterpret_cast<pjsip_sip_uri *>(uri);
}

}  // namespace

const char *read_refer(const pjsip_rx_data *rdata, Refer &refer) {
    const auto *message = rdata->msg_info.msg;
    const auto targets = headers_named(message, "Refer-To", "r");
    if (targets.size() != 1) return "One Refer-To Is Needed";
    const auto value = value_of(targets.front());
    if (value.empty() || value.size() > max_header) return "Refer-To Too Long";
    auto *uri = parse_refer_to(rdata->tp_info.pool, value);
    if (uri == nullptr || uri->host.slen == 0) return "Refer-To Is Not A SIP URI";
    const pj_str_t invite = pj_str(const_cast<char *>("INVITE"));
    if (uri->method_param.slen > 0 && pj_stricmp(&uri->method_param, &invite) != 0) return "Only INVITE Can Be Referred";

    for (const auto *header = uri->header_param.next; header != &uri->header_param; header = header->next) {
        if (pj_stricmp2(&header->name, "Replaces") != 0) continue;
        const auto replaces = text_of(header->value);
        if (!refer.replaces.empty() || !is_replaces(replaces)) return "Bad Replaces";
        refer.replaces = replaces;
    }
    pj_list_init(&uri->header_param);
    char printed[max_header];
    const auto size = pjsip_uri_print(PJSIP_URI_IN_REQ_URI, uri, printed, sizeof printed);
    if (size <= 0) return "Refer-To Too Long";
    refer.target.assign(printed, static_cast<std::size_t>(size));
    if (has_control(refer.target)) return "Refer-To Is Not A SIP URI";

    const auto referrers = headers_named(message, "Referred-By", "b");
    if (referrers.size() > 1) return "One Referred-By Is Allowed";
    if (!referrers.empty()) refer.referred_by = value_of(referrers.front());
    if (refer.referred_by.size() > max_header) return "Referred-By Too Long";
    for (const auto *header : headers_named(message, "Refer-Sub")) {
        refer.subscribes = lower(value_of(header)).rfind("false", 0) != 0;
    }
    return nullptr;
}

}  // namespace quickcall
