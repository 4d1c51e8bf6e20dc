// What pjsip keeps of a leg as long as it lives, made small. SIP thread only.
//
// `pjsip_endpt_create_pool` is wrapped too (see setup.py): pools of dialogs and messages grow by 4000 bytes, whatever
// they need next.
#pragma once

#include <pjlib.h>
#include <pjsip.h>
#include <pjsip_ua.h>

#include <cstddef>

namespace quickcall {

// Prints messages into as much memory as their text needs. pjsip gives each PJSIP_MAX_PKT_LEN, and a leg keeps its ACK
// as long as it lives. Call it once for an endpoint.
void print_tightly(pjsip_endpoint *endpoint);

// Gives memory back to the system once most of a crowd of legs has gone: glibc would keep all of it. Waits for the
// timers of RFC 3261 to run out, which hold a part of what a leg takes.
class Release {
public:
    Release();
    Release(const Release &) = delete;
    Release &operator=(const Release &) = delete;

    // To be told of every change.
    void legs(std::size_t count);

private:
    static void on_timer(pj_timer_heap_t *, pj_timer_entry *entry);

    pj_timer_entry timer_{};
    bool waiting_ = false;
    std::size_t now_ = 0, most_ = 0;  // most_: since memory was last given back
};

// Drops the INVITE of an answered session. pjsip keeps it to send it again to the contacts of a 3xx.
void drop_invite(pjsip_inv_session *session);

}  // namespace quickcall
