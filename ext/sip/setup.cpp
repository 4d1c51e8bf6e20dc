#include "setup.hpp"

#include <sys/resource.h>

#include <stdexcept>

#include <pjsua-lib/pjsua.h>
// The callback table that pjsua2 fills is pjsua's own state. 2.17 is pinned and checked at import.
#include <pjsua-lib/pjsua_internal.h>

#include "sdp.hpp"

namespace quickcall {
namespace {

pj_str_t borrowed(const std::string &text) { return pj_str(const_cast<char *>(text.c_str())); }

pjsip_transport_type_e transport_type(const ListenerConfig &listener) {
    const int v6 = is_v6(listener.host) ? PJSIP_TRANSPORT_IPV6 : 0;
    if (listener.transport == "udp") return static_cast<pjsip_transport_type_e>(PJSIP_TRANSPORT_UDP + v6);
    if (listener.transport == "tcp") return static_cast<pjsip_transport_type_e>(PJSIP_TRANSPORT_TCP + v6);
    if (listener.transport == "tls") return static_cast<pjsip_transport_type_e>(PJSIP_TRANSPORT_TLS + v6);
    throw std::runtime_error("listeners: transport '" + listener.transport + "' is not udp, tcp or tls");
}

// Inside dialogs only, where a description is acted on. pjsip keeps what was parsed with the message.
pj_bool_t spell_out(pjsip_rx_data *rdata) {
    const auto *message = rdata->msg_info.msg;
    if (message->body == nullptr || rdata->msg_info.to->tag.slen == 0) return PJ_FALSE;
    const auto *info = pjsip_rdata_get_sdp_info(rdata);
    if (info != nullptr && info->sdp != nullptr) spell_hold_out(rdata->tp_info.pool, info->sdp);
    return PJ_FALSE;
}

// A codec of pjmedia, `speex/16000/1`, by a name with or without clock rate. SDP and pjmedia disagree on the rate of
// G.722 (RFC 3551 4.5.2).
bool is_codec(const std::string &id, const std::string &wanted) {
    const auto name = wanted.substr(0, wanted.find('/'));
    const auto end = id.find('/');
    if (pj_ansi_stricmp(id.substr(0, end).c_str(), name.c_str()) != 0) return false;
    return name.size() == wanted.size() || pj_ansi_stricmp(name.c_str(), "G722") == 0 ||
           id.substr(end, wanted.size() - name.size() + 1) == wanted.substr(name.size()) + "/";
}

}  // namespace

bool is_v6(const std::string &host) { return host.find(':') != std::string::npos; }

void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

ListenerConfig listen(const StackConfig &config, const ListenerConfig &listener) {
    pjsua_transport_config wanted;
    pjsua_transport_config_default(&wanted);
    wanted.port = static_cast<unsigned>(listener.port);
    wanted.bound_addr = borrowed(listener.host);
    wanted.public_addr = borrowed(config.public_host);
    if (listener.transport == "tls") {
        wanted.tls_setting.cert_file = borrowed(config.tls_certificate);
        wanted.tls_setting.privkey_file = borrowed(config.tls_private_key);
    }
    pjsua_transport_id id = PJSUA_INVALID_ID;
    pjsua_transport_info info;
    auto status = pjsua_transport_create(transport_type(listener), &wanted, &id);
    if (status == PJ_SUCCESS) status = pjsua_transport_get_info(id, &info);
    if (status == PJ_SUCCESS) return {listener.transport, listener.host, pj_sockaddr_get_port(&info.local_addr)};
    char reason[PJ_ERR_MSG_SIZE];
    const auto said = pj_strerror(status, reason, sizeof reason);
    throw std::runtime_error("listeners: cannot listen on " + listener.transport + " " + listener.host + ":" +
                             std::to_string(listener.port) + ": " +
                             std::string(said.ptr, static_cast<std::size_t>(said.slen)));
}

void choose_codecs(const std::vector<std::string> &names) {
    pjsua_codec_info codecs[PJMEDIA_CODEC_MGR_MAX_CODECS];
    unsigned count = PJ_ARRAY_SIZE(codecs);
    pjsua_enum_codecs(codecs, &count);
    // All are there for legs that ask for them; those of the configuration get the first payload types.
    for (unsigned i = 0; i < count; ++i) pjsua_codec_set_priority(&codecs[i].codec_id, 1);
    int priority = 255;
    for (const auto &wanted : names) {
        bool known = false;
        for (unsigned i = 0; i < count; ++i) {
            const std::string id(codecs[i].codec_id.ptr, static_cast<std::size_t>(codecs[i].codec_id.slen));
            if (!is_codec(id, wanted)) continue;
            pjsua_codec_set_priority(&codecs[i].codec_id, static_cast<pj_uint8_t>(priority--));
            known = true;
        }
        if (!known) throw std::runtime_error("codecs: '" + wanted + "' is not built in");
    }
}

void spell_received_hold_out(pjsip_endpoint *endpoint) {
    static char name[] = "mod-quickcall-sdp";
    static pjsip_module module;
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_TSX_LAYER - 1;  // a response goes no further than its transaction
    module.on_rx_request = module.on_rx_response = &spell_out;
    pjsip_endpt_register_module(endpoint, &module);
}

void choose_answers() {
    auto &rules = pjsip_cfg()->endpt;
    rules.follow_early_media_fork = PJ_FALSE;
    rules.accept_multiple_sdp_answers = PJ_TRUE;
}

void clear_unused_callbacks() {
    auto &callbacks = pjsua_var.ua_cfg.cb;
    callbacks.on_call_state = nullptr;
    callbacks.on_call_sdp_created = nullptr;
    callbacks.on_call_tsx_state = nullptr;
    callbacks.on_call_media_state = nullptr;
    callbacks.on_call_media_transport_state = nullptr;
    callbacks.on_stream_precreate = nullptr;
    callbacks.on_stream_created2 = nullptr;
    callbacks.on_stream_destroyed = nullptr;
    callbacks.on_call_rx_offer = nullptr;
    callbacks.on_call_rx_reinvite = nullptr;
    callbacks.on_call_tx_offer = nullptr;
    callbacks.on_auth_challenge = nullptr;
}

}  // namespace quickcall
