// Wakes the SIP thread out of its poll: a socket pair whose reading end pjsip's ioqueue polls.
#pragma once

#include <pjsip.h>

#include <functional>

namespace quickcall {

class WakeUp {
public:
    // Throws std::runtime_error when no descriptors are left.
    WakeUp();
    ~WakeUp();
    WakeUp(const WakeUp &) = delete;
    WakeUp &operator=(const WakeUp &) = delete;

    // Makes the poll return. Any thread.
    void wake();

    // SIP thread: `woken` is called by the poll after one or more `wake`. Throws std::runtime_error.
    void attach(pjsip_endpoint *endpoint, std::function<void()> woken);
    // SIP thread, before the endpoint is destroyed. Idempotent.
    void detach();

private:
    static void on_read(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *op, pj_ssize_t read);
    void read();

    int pair_[2] = {-1, -1};
    std::function<void()> woken_;
    pj_pool_t *pool_ = nullptr;
    pj_ioqueue_key_t *key_ = nullptr;
    pj_ioqueue_op_key_t operation_{};
    char buffer_[64]{};
};

}  // namespace quickcall
