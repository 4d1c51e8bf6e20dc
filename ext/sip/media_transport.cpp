#include "media_transport.hpp"

#include <pjlib.h>
#include <utility>

#include "incoming.hpp"
#include "media_terms.hpp"
#include "sdp.hpp"

namespace quickcall {
namespace {

MediaTransport &self(pjmedia_transport *tp) { return *reinterpret_cast<MediaTransport *>(tp); }

constexpr std::uint16_t discard = 9;  // RFC 863

pj_status_t get_info(pjmedia_transport *tp, pjmedia_transport_info *info) {
    // Without ports another peer's address is named, see `encode_sdp`; pjsua would take 0 for a line that is refused.
    const auto port = self(tp).port != 0 ? self(tp).port : discard;
    const auto set = [&](pj_sockaddr &address, int number) {
        pj_sockaddr_cp(&address, reinterpret_cast<const pj_sockaddr *>(&self(tp).media->local()));
        pj_sockaddr_set_port(&address, static_cast<pj_uint16_t>(number));
    };
    // pjsua prints the addresses and never touches the sockets, but refuses PJ_INVALID_SOCKET.
    info->sock_info.rtp_sock = info->sock_info.rtcp_sock = 0;
    set(info->sock_info.rtp_addr_name, port);
    set(info->sock_info.rtcp_addr_name, port + 1);
    return PJ_SUCCESS;
}

pj_status_t refuse_send(pjmedia_transport *, const void *, pj_size_t) { return PJ_SUCCESS; }
pj_status_t refuse_send2(pjmedia_transport *, const pj_sockaddr_t *, unsigned, const void *, pj_size_t) {
    return PJ_SUCCESS;
}
void detach(pjmedia_transport *, void *) {}
pj_status_t attach2(pjmedia_transport *, pjmedia_transport_attach_param *) { return PJ_SUCCESS; }
pj_status_t media_create(pjmedia_transport *, pj_pool_t *, unsigned, const pjmedia_sdp_session *, unsigned) {
    return PJ_SUCCESS;
}
pj_status_t simulate_lost(pjmedia_transport *, pjmedia_dir, unsigned) { return PJ_SUCCESS; }
pj_status_t media_stop(pjmedia_transport *) { return PJ_SUCCESS; }

// Of the other peer's codecs those that are built in: pjsua takes no answer with another.
pj_status_t lend(const MediaTransport &transport, pj_pool_t *pool, pjmedia_sdp_media *line) {
    const auto known = codecs_of(line);
    return has_codec(line, transport.codecs) && transport.lender->lend(pool, line, known) ? PJ_SUCCESS
                                                                                         : PJMEDIA_SDP_EINSDP;
}

// `remote` is the offer that is answered, nullptr: it is ours.
pj_status_t encode_sdp(pjmedia_transport *tp, pj_pool_t *pool, pjmedia_sdp_session *local,
                       const pjmedia_sdp_session *remote, unsigned index) {
    auto &transport = self(tp);
    auto *line = local->media[index];
    auto wanted = transport.codecs;
    if (transport.other_codecs || wanted.empty()) {
        wanted.insert(wanted.end(), transport.list.begin(), transport.list.end());
    }
    choose_codecs(pool, line, wanted);
    if (transport.lender != nullptr) return lend(transport, pool, line);
    if (!takes_events(transport.dtmf)) leave_events_out(line);
    if (transport.webrtc) {
        return transport.webrtc->write(pool, local, remote, index) ? PJ_SUCCESS : PJMEDIA_SDP_EINPROTO;
    }
    if (remote != nullptr) {
        transport.sdes.answer(pool, line, remote->media[index]);
    } else {
        transport.sdes.offer(pool, line);
    }
    return PJ_SUCCESS;
}

int family_of(const MediaTransport &transport) {
    return transport.media->local().ss_family == AF_INET6 ? pj_AF_INET6() : pj_AF_INET();
}

// With ICE the address of a description is a guess, and may be none or a name that nobody looks up: then `rtp` stays
// empty.
bool has_address(const MediaTransport &transport, const pjmedia_sdp_session *sdp, unsigned index, pj_sockaddr &rtp) {
    if (rtp_address(sdp, index, family_of(transport), rtp)) return true;
    rtp = {};
    return transport.webrtc && has_ice(sdp, sdp->media[index]);
}

// What offer and answer settled of how the packets are kept secret. Returns why that must not be, empty: it may.
std::string agree_on_security(MediaTransport &transport, const pjmedia_sdp_session *local,
                              const pjmedia_sdp_session *remote, unsigned index, MediaTerms &terms) {
    if (!transport.webrtc) return transport.sdes.agree(local->media[index], remote->media[index], terms.sdes);
    return transport.webrtc->read(local, remote, index, terms) ? std::string() : "the SDP has no usable a=fingerprint";
}

pj_status_t media_start(pjmedia_transport *tp, pj_pool_t *, const pjmedia_sdp_session *local,
                        const pjmedia_sdp_session *remote, unsigned index) {
    auto &transport = self(tp);
    pj_sockaddr rtp{};
    if (!has_address(transport, remote, index, rtp)) {
        // Whoever talks already goes on as before: pjsua would close the transport.
        return transport.started ? PJ_SUCCESS : PJMEDIA_SDP_EINCONN;
    }
    auto terms = media_terms(local, remote, index, rtp);
    terms.dtmf = transport.dtmf;
    const auto refusal = agree_on_security(transport, local, remote, index, terms);
    if (!refusal.empty()) {
        if (transport.observer != nullptr) transport.observer->on_media_refused(refusal);
        return transport.started ? PJ_SUCCESS : PJMEDIA_SRTP_ESDPREQCRYPTO;
    }
    Agreement agreement{first_codec(local->media[index]), !receives(remote->media[index]), describe(terms)};
    pj_sockaddr source;
    if (came_from(transport.call_id, source)) {
        char host[PJ_INET6_ADDRSTRLEN];
        terms.signalling = to_storage(source);
        agreement.media.source = pj_sockaddr_print(&source, host, sizeof host, 0);
    }
    transport.media->agree(transport.leg, std::move(terms));
    transport.started = true;
    if (transport.observer != nullptr) transport.observer->on_media_started(agreement, remote);
    return PJ_SUCCESS;
}

void on_last_reference(void *user_data) { delete static_cast<MediaTransport *>(user_data); }

// The port goes back at once; the memory when the group lock lets go of it.
pj_status_t destroy(pjmedia_transport *tp) {
    auto &transport = self(tp);
    if (transport.observer != nullptr) transport.observer->on_media_closed();
    transport.observer = nullptr;
    transport.media->close(transport.leg);
    auto *lifetime = transport.lifetime;
    auto *lock = transport.base.grp_lock;
    pjmedia_transport_close(lifetime);
    pj_grp_lock_dec_ref(lock);
    return PJ_SUCCESS;
}

pjmedia_transport_op operations{
    &get_info, nullptr, &detach, &refuse_send, &refuse_send, &refuse_send2, &media_create,
    &encode_sdp, &media_start, &media_stop, &simulate_lost, &destroy, &attach2,
};

}  // namespace

bool can_answer(const MediaTransport &transport, const pjmedia_sdp_session *offer, unsigned index) {
    pj_sockaddr rtp;
    return has_address(transport, offer, index, rtp) &&
           (transport.webrtc || transport.sdes.can_answer(offer->media[index]));
}

bool take_port(MediaTransport &transport, const pjmedia_sdp_session *local, const pjmedia_sdp_session *remote) {
    constexpr unsigned audio = 0;  // the only stream
    transport.port = transport.media->open(transport.leg);
    if (transport.port == 0) return false;
    pj_sockaddr rtp;
    if (rtp_address(remote, audio, family_of(transport), rtp)) {
        auto terms = media_terms(local, remote, audio, rtp);
        terms.dtmf = transport.dtmf;
        transport.media->agree(transport.leg, std::move(terms));
    }
    return true;
}

void give_port_back(MediaTransport &transport) {
    constexpr double stragglers_s = 1;  // twice the round trip of a phone abroad, and what it has in its buffers
    if (transport.port == 0) return;
    transport.media->close_after(transport.leg, stragglers_s);
    transport.port = 0;
}

MediaTransport *create_media_transport(Media &media, LegId leg, const std::string &call_id, pjmedia_transport *base, MediaObserver &observer,
                                       std::vector<std::string> codecs) {
    const auto port = media.open(leg);
    if (port == 0) {
        pjmedia_transport_close(base);
        return nullptr;
    }
    auto *transport = new MediaTransport;
    pj_ansi_strxcpy(transport->base.name, "quickcall", sizeof transport->base.name);
    transport->base.type = PJMEDIA_TRANSPORT_TYPE_USER;
    transport->base.op = &operations;
    transport->base.grp_lock = base->grp_lock;
    pj_grp_lock_add_ref(base->grp_lock);
    pj_grp_lock_add_handler(base->grp_lock, nullptr, transport, &on_last_reference);
    transport->lifetime = base;
    transport->media = &media;
    transport->leg = leg;
    transport->call_id = call_id;
    transport->port = port;
    transport->observer = &observer;
    transport->codecs = std::move(codecs);
    return transport;
}

}  // namespace quickcall
