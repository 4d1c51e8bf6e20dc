// Requests of ours inside a dialog that pjsip's INVITE session does not hear about. It would end the call when a
// NOTIFY is answered 481 or not at all, and it hears of no second BYE. SIP thread only.
#pragma once

#include <pjsip.h>

#include <string>
#include <vector>

#include "headers.hpp"

namespace quickcall {

class ApartRequests;

// Who sent a request apart and hears of its final answer, once, unless it has closed before.
class ApartOwner {
public:
    // `status` is made up by pjsip (408, 503) when nothing came back.
    virtual void on_final(int status) = 0;

protected:
    ~ApartOwner() = default;
};

class ApartRequests {
public:
    explicit ApartRequests(pjsip_dialog *dialog) : dialog_(dialog) {}
    ~ApartRequests();
    ApartRequests(const ApartRequests &) = delete;
    ApartRequests &operator=(const ApartRequests &) = delete;

    // A request with these headers, and a body unless `body` is empty; nullptr when memory is out.
    pjsip_tx_data *create(const char *method, const std::vector<std::pair<const char *, std::string>> &headers) const;
    // Takes the request, numbers it within the dialog and answers one challenge to it. `owner` may be nullptr.
    void send(pjsip_tx_data *request, ApartOwner *owner);

private:
    struct Pending;  // lives in the pool of its request
    static void on_answer(void *token, pjsip_event *event);

    pjsip_dialog *const dialog_;
    std::vector<Pending *> pending_;
};

}  // namespace quickcall
