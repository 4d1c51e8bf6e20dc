#include "challenges.hpp"

#include <algorithm>
#include <vector>

namespace quickcall {
namespace {

pjsip_module module{};

bool is_challenge(const pjsip_hdr *header) {
    return header->type == PJSIP_H_WWW_AUTHENTICATE || header->type == PJSIP_H_PROXY_AUTHENTICATE;
}

// 0 for what we cannot compute; the higher the stronger.
int strength(const pjsip_www_authenticate_hdr *challenge) {
    const pj_str_t digest = pj_str(const_cast<char *>("digest"));
    if (pj_stricmp(&challenge->scheme, &digest) != 0) return 0;
    const auto *algorithm = pjsip_auth_get_algorithm_by_iana_name(&challenge->challenge.digest.algorithm);
    if (algorithm == nullptr || !pjsip_auth_is_algorithm_supported(algorithm->algorithm_type)) return 0;
    switch (algorithm->algorithm_type) {
    case PJSIP_AUTH_ALGORITHM_MD5:
        return 1;
    case PJSIP_AUTH_ALGORITHM_SHA256:
        return 2;
    case PJSIP_AUTH_ALGORITHM_SHA512_256:
        return 3;
    default:
        return 0;
    }
}

bool same_realm(const pjsip_www_authenticate_hdr *one, const pjsip_www_authenticate_hdr *other) {
    return one->type == other->type &&
           pj_stricmp(&one->challenge.common.realm, &other->challenge.common.realm) == 0;
}

bool answered(const pjsip_www_authenticate_hdr *challenge, const pjsip_msg *request) {
    const auto wanted =
        challenge->type == PJSIP_H_WWW_AUTHENTICATE ? PJSIP_H_AUTHORIZATION : PJSIP_H_PROXY_AUTHORIZATION;
    for (const auto *header = request->hdr.next; header != &request->hdr; header = header->next) {
        if (header->type != wanted) continue;
        const auto *sent = reinterpret_cast<const pjsip_authorization_hdr *>(header);
        if (pj_stricmp(&sent->credential.common.realm, &challenge->challenge.common.realm) == 0) return true;
    }
    return false;
}

pj_bool_t on_challenge(pjsip_auth_clt_sess *, void *, const pjsip_auth_clt_async_on_chal_param *param) {
    choose_challenges(param->rdata, param->tdata);
    return PJ_FALSE;  // pjsip answers what is left, or ends the request when nothing is
}

}  // namespace

void start_challenges(pjsip_endpoint *endpoint) {
    static char name[] = "mod-quickcall-challenges";
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_APPLICATION;
    pjsip_endpt_register_module(endpoint, &module);
}

void use_credentials(pjsip_dialog *dialog, Command &dial) {
    if (dial.username.empty()) return;
    pjsip_cred_info credential{};
    credential.realm = pj_str(dial.realm.data());
    credential.scheme = pj_str(const_cast<char *>("digest"));
    credential.username = pj_str(dial.username.data());
    credential.data_type = PJSIP_CRED_DATA_PLAIN_PASSWD;
    credential.data = pj_str(dial.password.data());
    pjsip_auth_clt_set_credentials(&dialog->auth_sess, 1, &credential);
    const pjsip_auth_clt_async_setting setting{&on_challenge, nullptr};
    pjsip_auth_clt_async_configure(&dialog->auth_sess, &setting);
}

void choose_challenges(const pjsip_rx_data *challenge, pjsip_tx_data *request) {
    std::vector<pjsip_www_authenticate_hdr *> chosen;
    auto *message = challenge->msg_info.msg;
    bool stale = false;
    for (auto *header = message->hdr.next; header != &message->hdr;) {
        auto *candidate = reinterpret_cast<pjsip_www_authenticate_hdr *>(header);
        header = header->next;
        if (!is_challenge(reinterpret_cast<pjsip_hdr *>(candidate))) continue;
        const bool again = answered(candidate, request->msg);
        const bool retry = candidate->challenge.digest.stale && request->mod_data[module.id] == nullptr;
        if (strength(candidate) == 0 || (again && !retry)) {
            pj_list_erase(candidate);
            continue;
        }
        stale = stale || again;
        const auto rival = std::find_if(chosen.begin(), chosen.end(),
                                        [&](const auto *other) { return same_realm(candidate, other); });
        if (rival == chosen.end()) {
            chosen.push_back(candidate);
        } else if (strength(candidate) > strength(*rival)) {
            pj_list_erase(*rival);
            *rival = candidate;
        } else {
            pj_list_erase(candidate);
        }
    }
    // Any mark will do: a request is tried again for a stale nonce once.
    if (stale) request->mod_data[module.id] = &module;
}

}  // namespace quickcall
