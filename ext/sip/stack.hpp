// The facade of the SIP stack: about a dozen functions, no pj types. Every method may be called from any
// thread; none waits for the SIP thread except the constructor and `close`.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "latching.hpp"
#include "wire.hpp"

namespace quickcall {

struct ListenerConfig {
    std::string transport;  // udp, tcp, tls
    std::string host;
    int port = 0;
};

struct StackConfig {
    std::vector<ListenerConfig> listeners;
    std::string public_host;
    std::string tls_certificate;
    std::string tls_private_key;
    std::string media_host;
    int rtp_first = 0;
    int rtp_last = 0;
    Latching latching = Latching::nat;
    double silent_s = 0, silent_held_s = 0, one_way_s = 0;
    int max_legs = 0;
    std::vector<std::string> codecs;
    std::string user_agent;
    bool trace = false;
    int log_level = 0;
    bool accept_register = true;
    bool transfers = true;
    int t1_ms = 500;
    int session_expires_s = 0;
    double shutdown_s = 4.0;
};

class Stack {
public:
    // Starts the SIP thread and waits until every listener is bound. Throws std::runtime_error saying what
    // failed; nothing is left behind then. One Stack per process at a time (pjsua is a singleton).
    explicit Stack(const StackConfig &config);
    ~Stack();
    Stack(const Stack &) = delete;
    Stack &operator=(const Stack &) = delete;

    std::vector<ListenerConfig> listeners() const;
    int fd() const;
    void drain(std::vector<Event> &into);
    bool submit(std::vector<Command> &&commands);
    Stats stats() const;
    void begin_close();
    void close();

    // Version of the pjproject library that is linked in, for the check at import.
    static std::string pjproject_version();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace quickcall
