// Requests outside of calls, and the trace of all messages: plain pjsip modules. SIP thread only.
#pragma once

#include <pjsip.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "mailbox.hpp"
#include "wire.hpp"

namespace quickcall {

// REGISTER goes up and waits for `respond`; OPTIONS is answered here; every other request that starts
// something is refused, for this engine only originates. Its modules stay registered until the endpoint is
// destroyed, which still reports transactions to them: destroy this afterwards.
class Requests {
public:
    // `gauge` counts the REGISTERs that wait for `respond`.
    Requests(pjsip_endpoint *endpoint, Mailbox &mailbox, std::atomic<std::uint32_t> &gauge, bool accept_register,
             bool trace);
    ~Requests();
    Requests(const Requests &) = delete;
    Requests &operator=(const Requests &) = delete;

    void respond(const Command &command);
    // Answers everything that still waits with 503 and takes no more.
    void refuse_all();

private:
    struct Waiting {
        pjsip_transaction *transaction;
        pjsip_tx_data *response;
    };

    static pj_bool_t on_request(pjsip_rx_data *rdata);
    static void on_transaction_state(pjsip_transaction *transaction, pjsip_event *event);
    static pj_bool_t on_rx(pjsip_rx_data *rdata);
    static pj_status_t on_tx(pjsip_tx_data *tdata);

    void remove(std::unordered_map<std::uint64_t, Waiting>::iterator waiting);
    pj_bool_t handle(pjsip_rx_data *rdata);
    void take_register(pjsip_rx_data *rdata);
    void refuse(pjsip_rx_data *rdata, int status, const char *header = nullptr, const char *value = nullptr);
    void trace(bool sent, const std::string &source, const std::string &destination, const char *transport,
               const pj_str_t &call_id, const char *text, std::size_t size);

    pjsip_endpoint *endpoint_;
    Mailbox &mailbox_;
    std::atomic<std::uint32_t> &gauge_;
    const bool accept_register_;
    bool refusing_ = false;
    bool tracing_;
    std::uint64_t last_transaction_ = 0;
    std::unordered_map<std::uint64_t, Waiting> pending_;
    pjsip_module requests_{};
    pjsip_module tracer_{};
};

}  // namespace quickcall
