// What messages say in headers that pjsip does not take apart. SIP thread only.
#pragma once

#include <pjsip.h>

#include <string>
#include <string_view>
#include <vector>

namespace quickcall {

std::string text_of(const pj_str_t &text);
std::string lower(std::string_view text);
// The value of a header as it would be printed, without its name.
std::string value_of(const pjsip_hdr *header);

// Headers of either name, long or compact (RFC 3261 7.3.3), in the order they stand.
std::vector<const pjsip_hdr *> headers_named(const pjsip_msg *message, const char *name, const char *compact = "");

// A header of our own, to be added to a message or a list.
pjsip_hdr *make_header(pj_pool_t *pool, const char *name, const std::string &value);

// Cuts at `separator` outside of quoted strings (RFC 3261 25.1); the parts are trimmed.
std::vector<std::string_view> split(std::string_view text, char separator);

// Causes of Reason headers (RFC 3326): several in one header or several headers, the first of each protocol
// counts. 0: none, or one that is no number of that protocol.
struct Causes {
    int q850 = 0;
    int sip = 0;
};
Causes causes_of(const pjsip_msg *message);

// Contact values, one per contact, `limit` at most.
std::vector<std::string> contacts_of(const pjsip_msg *message, std::size_t limit);

// Allow-Events (RFC 6665 8.2.2) names `talk`: the phone answers when it is told to by NOTIFY.
bool allows_talk(const pjsip_msg *message);

}  // namespace quickcall
