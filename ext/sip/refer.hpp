// What a REFER asks for (RFC 3515), checked. SIP thread only.
#pragma once

#include <pjsip.h>

#include <string>

namespace quickcall {

struct Refer {
    std::string target;       // SIP URI without its embedded headers
    std::string replaces;     // embedded Replaces, unescaped (RFC 3891 6.1)
    std::string referred_by;  // value of Referred-By (RFC 3892)
    bool subscribes = true;   // false: Refer-Sub: false (RFC 4488)
};

// Reads a REFER. Returns what is wrong with it in words, nullptr when nothing is: there must be one Refer-To with one
// sip or sips URI, for an INVITE, of at most 1024 bytes, whose Replaces names a Call-ID and both tags.
const char *read_refer(const pjsip_rx_data *rdata, Refer &refer);

}  // namespace quickcall
