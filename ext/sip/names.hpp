// Host names that a peer puts into a Contact, a Record-Route or an SDP: the SIP thread never waits for a name
// server. Names of next hops are asked of Python, all others lead nowhere. SIP thread only.
#pragma once

#include <pjsip.h>

#include <cstdint>
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

    // The answer to `hops_needed`; an unknown query is ignored.
    void use(const Command &command);

private:
    struct Waiting {
        pjsip_resolver_callback *callback;
        void *token;
    };

    static void resolve(pjsip_resolver_t *resolver, pj_pool_t *pool, const pjsip_host_info *target, void *token,
                        pjsip_resolver_callback *callback);
    void ask(const pjsip_host_info &target, Waiting waiting);

    pjsip_endpoint *endpoint_;
    Mailbox &mailbox_;
    std::uint64_t last_query_ = 0;
    std::unordered_map<std::uint64_t, Waiting> waiting_;
};

}  // namespace quickcall
