#include "memory.hpp"

#include <malloc.h>
#include <pjsua-lib/pjsua.h>

#include <algorithm>
#include <cstring>

namespace quickcall {
namespace {

constexpr std::size_t crowd = 100;       // legs; fewer are not worth the walk through the heap
constexpr pj_time_val patience{40, 0};   // 64*T1 and some

pjsip_module printer{};

// Runs just before pjsip prints, which then finds it done.
pj_status_t print(pjsip_tx_data *message) {
    static char text[PJSIP_MAX_PKT_LEN];
    if (pjsip_tx_data_is_valid(message)) return PJ_SUCCESS;
    const auto size = pjsip_msg_print(message->msg, text, sizeof text);
    if (size <= 0) return PJ_SUCCESS;  // too long: pjsip finds that too, and says so
    const auto length = static_cast<std::size_t>(size);
    auto &buffer = message->buf;
    if (buffer.start == nullptr || buffer.end - buffer.start <= size) {
        buffer.start = static_cast<char *>(pj_pool_alloc(message->pool, length + 1));
        buffer.end = buffer.start + length + 1;
    }
    std::memcpy(buffer.start, text, length);
    buffer.cur = buffer.start + length;
    *buffer.cur = '\0';
    return PJ_SUCCESS;
}

}  // namespace

void print_tightly(pjsip_endpoint *endpoint) {
    static char name[] = "mod-quickcall-printer";
    printer = {};
    printer.name = pj_str(name);
    printer.id = -1;
    printer.priority = PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 1;
    printer.on_tx_request = printer.on_tx_response = &print;
    pjsip_endpt_register_module(endpoint, &printer);
}

Release::Release() { pj_timer_entry_init(&timer_, 0, this, &Release::on_timer); }

void Release::legs(std::size_t count) {
    now_ = count;
    most_ = std::max(most_, count);
    if (waiting_ || most_ < crowd || count > most_ / 2) return;
    waiting_ = pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &timer_, &patience) == PJ_SUCCESS;
}

void Release::on_timer(pj_timer_heap_t *, pj_timer_entry *entry) {
    auto &self = *static_cast<Release *>(entry->user_data);
    self.waiting_ = false;
    self.most_ = self.now_;
    ::malloc_trim(0);
}

void drop_invite(pjsip_inv_session *session) {
    if (session->role != PJSIP_ROLE_UAC || session->invite_req == nullptr) return;
    pjsip_tx_data_dec_ref(session->invite_req);
    session->invite_req = nullptr;
}

}  // namespace quickcall

extern "C" {

pj_pool_t *__real_pjsip_endpt_create_pool(pjsip_endpoint *endpoint, const char *name, pj_size_t size,
                                          pj_size_t increment);

pj_pool_t *__wrap_pjsip_endpt_create_pool(pjsip_endpoint *endpoint, const char *name, pj_size_t size,
                                          pj_size_t increment) {
    constexpr pj_size_t most = 1000;
    return __real_pjsip_endpt_create_pool(endpoint, name, size, std::min(increment, most));
}

}
