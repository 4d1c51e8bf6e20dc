#include "peer_media.hpp"

#include <pjlib.h>

#include <algorithm>
#include <utility>

#include "sdp.hpp"

namespace quickcall {
namespace {

constexpr unsigned audio = 0;  // the only stream
constexpr const char *passed_on[] = {"rtpmap", "fmtp", "ptime", "maxptime", "rtcp"};

pjmedia_sdp_session *parse(pj_pool_t *pool, const std::string &text) {
    const pj_str_t borrowed{const_cast<char *>(text.data()), static_cast<pj_ssize_t>(text.size())};
    pj_str_t copy;
    pj_strdup_with_null(pool, &copy, &borrowed);
    pjmedia_sdp_session *sdp = nullptr;
    const auto status = pjmedia_sdp_parse(pool, copy.ptr, static_cast<pj_size_t>(copy.slen), &sdp);
    return status == PJ_SUCCESS && sdp->media_count > audio ? sdp : nullptr;
}

const pjmedia_sdp_conn *connection_of(const pjmedia_sdp_session *sdp) {
    return sdp->media[audio]->conn != nullptr ? sdp->media[audio]->conn : sdp->conn;
}

void keep_attributes(pjmedia_sdp_media *line) {
    for (unsigned i = line->attr_count; i-- > 0;) {
        const auto known = [&](const char *name) { return pj_stricmp2(&line->attr[i]->name, name) == 0; };
        if (std::none_of(std::begin(passed_on), std::end(passed_on), known)) {
            pj_array_erase(line->attr, sizeof(line->attr[0]), line->attr_count--, i);
        }
    }
    line->bandw_count = 0;
}

// The port of RTCP belongs to the address it came with.
void move_to(pj_pool_t *pool, pjmedia_sdp_media *line, const pjmedia_sdp_session *where) {
    const auto *there = where->media[audio];
    line->conn = pjmedia_sdp_conn_clone(pool, connection_of(where));
    line->desc.port = there->desc.port;
    pjmedia_sdp_media_remove_all_attr(line, "rtcp");
    if (const auto *rtcp = pjmedia_sdp_media_find_attr2(there, "rtcp", nullptr)) {
        pjmedia_sdp_media_add_attr(line, pjmedia_sdp_attr_clone(pool, rtcp));
    }
}

}  // namespace

void PeerMedia::keep(const pjmedia_sdp_session *sdp) {
    auto text = sdp_text(sdp);
    if (!has_no_address(sdp, sdp->media[audio])) {
        reachable_.clear();
    } else if (reachable_.empty()) {
        reachable_ = std::move(text_);
    }
    text_ = std::move(text);
}

void PeerMedia::offered(const pjmedia_sdp_session *sdp) {
    keep(sdp);
    sends_ = quickcall::sends(sdp->media[audio]);
    receives_ = quickcall::receives(sdp->media[audio]);
}

void PeerMedia::answered(const pjmedia_sdp_session *sdp, bool may_receive, bool may_send) {
    keep(sdp);
    if (may_send) sends_ = quickcall::sends(sdp->media[audio]);
    if (may_receive) receives_ = quickcall::receives(sdp->media[audio]);
}

bool PeerMedia::lend(pj_pool_t *pool, pjmedia_sdp_media *line, const std::vector<std::string> &codecs) const {
    const auto *said = parse(pool, text_);
    const auto *where = reachable_.empty() ? said : parse(pool, reachable_);
    if (said == nullptr || where == nullptr || connection_of(where) == nullptr) return false;
    auto *lent = said->media[audio];
    if (lent->desc.port == 0 || pj_stricmp(&lent->desc.transport, &line->desc.transport) != 0) return false;
    if (!has_codec(lent, codecs)) return false;
    auto shared = codecs;
    std::erase_if(shared, [&](const std::string &codec) { return !has_codec(lent, {codec}); });
    choose_codecs(pool, lent, shared);
    keep_attributes(lent);
    move_to(pool, lent, where);
    set_direction(pool, lent, direction(sends_, receives_));
    *line = *lent;
    return true;
}

}  // namespace quickcall
