// Reason headers (RFC 3326) of the CANCELs and BYEs that we send. SIP thread only.
#pragma once

#include <pjsip.h>

#include <string>
#include <unordered_map>

namespace quickcall {

class Reasons {
public:
    // For the dialog with this From tag; `reason` empty: no more.
    void set(const std::string &from_tag, const std::string &reason);
    // Writes it into a request that leaves. pjsip may hold a CANCEL back until the first 1xx, and then forgets the
    // headers it was asked for: so it is done where CANCEL and BYE leave.
    void write(pjsip_tx_data *request) const;

private:
    std::unordered_map<std::string, std::string> by_tag_;
};

}  // namespace quickcall
