// Reading and changing session descriptions (RFC 4566, RFC 3264); knows nothing of calls.
#pragma once

#include <pjmedia.h>

#include <string>
#include <vector>

namespace quickcall {

// As it is, but for its keys, see `hide_keys`.
std::string sdp_text(const pjmedia_sdp_session *sdp);

// Writes asterisks over keys of SRTP (RFC 4568 6.1) and passwords of ICE in a text that people get to see, and over
// nothing else.
void hide_keys(std::string &text);

// `NAME/RATE` of the first codec of a media line that is no telephone-event, empty when it cannot be told.
std::string first_codec(const pjmedia_sdp_media *media);

// True when the line has one of the codecs (`NAME` or `NAME/RATE`).
bool has_codec(const pjmedia_sdp_media *media, const std::vector<std::string> &codecs);

// Every codec of a line as `NAME/RATE`, telephone-event left out.
std::vector<std::string> codecs_of(const pjmedia_sdp_media *media);

// True when both lines name a codec, telephone-event not counted.
bool share_codec(const pjmedia_sdp_media *one, const pjmedia_sdp_media *other);

// The same, of the codecs that we can decode and encode.
bool share_coded(const pjmedia_sdp_media *one, const pjmedia_sdp_media *other);

// Keeps the wanted codecs (`NAME` or `NAME/RATE`) in the wanted order, then telephone-event. One that is not built in
// is added. With nothing wanted the line stays as it is.
void choose_codecs(pj_pool_t *pool, pjmedia_sdp_media *media, const std::vector<std::string> &wanted);

// Takes telephone-event out of a line.
void leave_events_out(pjmedia_sdp_media *media);

// The media direction as the one who wrote the line sees it (RFC 3264 5.1).
bool sends(const pjmedia_sdp_media *media);
bool receives(const pjmedia_sdp_media *media);
const char *direction(bool sends, bool receives);
void set_direction(pj_pool_t *pool, pjmedia_sdp_media *media, const char *direction);

// An address of zeros is sent nothing (RFC 3264 8.4).
bool has_no_address(const pjmedia_sdp_session *sdp, const pjmedia_sdp_media *media);

// Writes hold by an address of zeros, which is sent nothing (RFC 3264 8.4), as the attribute it means. pjmedia has
// written a direction of the whole session (RFC 4566 6) into its media lines when it parsed them.
void spell_hold_out(pj_pool_t *pool, pjmedia_sdp_session *sdp);

}  // namespace quickcall
