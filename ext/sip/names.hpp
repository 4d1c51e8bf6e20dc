// Host names that a peer puts into a Contact, a Record-Route or an SDP: the SIP thread never waits for a name
// server. Names of next hops are asked of Python, all others lead nowhere. SIP thread only.
#pragma once

#include <pjsip.h>
#include <pjsip_ua.h>

#include <cstdint>
#include <string>
#include <unordered_map>

#include "mailbox.hpp"
#include "wire.hpp"

namespace quickcall {

// One at a time. While it lives, neither pjsip nor pjmedia looks a name up by themselves.
class Names {
public:
    Names(pjsip_endpoint *endpoint, Mailbox &mailbox);
    // Whatever still waits leads nowhere.
    ~Names();
    Names(const Names &) = delete;
    Names &operator=(const Names &) = delete;

    // The answer to `hops_needed`; an unknown query is ignored. The source of `note_source` is the last hop tried:
    // phones put names into their Contact that nobody but they can resolve.
    void use(const Command &command);
    // Keeps where a response of this dialog came from. To be called with every change of a session's state.
    void note_source(const pjsip_inv_session *session, const pjsip_event *event);

private:
    struct Waiting {
        pjsip_resolver_callback *callback;
        void *token;
        pjsip_server_address_record source;  // `addr_len` 0: none is known
        std::string host;
    };

    static void resolve(pjsip_resolver_t *resolver, pj_pool_t *pool, const pjsip_host_info *target, void *token,
                        pjsip_resolver_callback *callback);
    void ask(const pjsip_host_info &target, Waiting &&waiting);

    pjsip_endpoint *endpoint_;
    Mailbox &mailbox_;
    pjsip_module sources_{};  // only for its slot in every dialog
    std::uint64_t last_query_ = 0;
    std::unordered_map<std::uint64_t, Waiting> waiting_;
};

}  // namespace quickcall
