#include "wake_up.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace quickcall {

WakeUp::WakeUp() {
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair_) != 0) {
        throw std::runtime_error("no descriptors left for the wake-up socket");
    }
}

WakeUp::~WakeUp() {
    for (const int end : pair_) {
        if (end >= 0) ::close(end);
    }
}

void WakeUp::wake() {
    const char one = 1;
    // A full socket buffer means that a wake-up is on its way already.
    [[maybe_unused]] const auto sent = ::send(pair_[0], &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void WakeUp::attach(pjsip_endpoint *endpoint, std::function<void()> woken) {
    woken_ = std::move(woken);
    pj_ioqueue_callback callback{};
    callback.on_read_complete = &WakeUp::on_read;
    pool_ = pjsip_endpt_create_pool(endpoint, "wake-up", 1000, 1000);
    const auto status = pj_ioqueue_register_sock(pool_, pjsip_endpt_get_ioqueue(endpoint), pair_[1], this, &callback,
                                                 &key_);
    if (status != PJ_SUCCESS) throw std::runtime_error("the wake-up socket cannot be polled");
    pj_ioqueue_op_key_init(&operation_, sizeof operation_);
    read();
}

void WakeUp::detach() {
    if (key_ != nullptr) {
        pj_ioqueue_unregister(key_);  // closes the reading end
        pair_[1] = -1;
    }
    key_ = nullptr;
    if (pool_ != nullptr) pj_pool_release(pool_);
    pool_ = nullptr;
}

void WakeUp::read() {
    pj_ssize_t size = sizeof buffer_;
    pj_ioqueue_recv(key_, &operation_, buffer_, &size, PJ_IOQUEUE_ALWAYS_ASYNC);
}

void WakeUp::on_read(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *, pj_ssize_t) {
    auto &self = *static_cast<WakeUp *>(pj_ioqueue_get_user_data(key));
    self.woken_();
    self.read();
}

}  // namespace quickcall
