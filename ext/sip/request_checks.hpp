// What makes a request outside of calls unfit to be looked at, whatever its method.
#pragma once

#include <pjsip.h>

#include <string>

namespace quickcall {

// A header that may stand once stands twice, or CSeq names another method than the request line (RFC 3261 8.1.1,
// 20; RFC 4475 3.1.2.17, 3.3.8, 3.3.9). pjsip takes the first of several; a proxy before it may have taken another.
bool is_malformed(const pjsip_msg *request);

// The option tags of Require that we lack, as a value of Unsupported (RFC 3261 8.2.2.3); empty: none.
std::string unsupported_tags(const pjsip_msg *request);

}  // namespace quickcall
