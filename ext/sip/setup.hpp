// What the endpoint is told once, when it starts: listeners, codecs, callbacks. SIP thread only.
#pragma once

#include <pjsip.h>

#include <string>
#include <vector>

#include "stack.hpp"

namespace quickcall {

bool is_v6(const std::string &host);

// Thousands of RTP sockets do not fit into the usual soft limit of 1024 descriptors.
void raise_descriptor_limit();

// Binds a listener and returns it with its port. Throws std::runtime_error naming what cannot be bound.
ListenerConfig listen(const StackConfig &config, const ListenerConfig &listener);

// Switches off every codec but these, `NAME` or `NAME/RATE` in order of preference. Throws std::runtime_error.
void choose_codecs(const std::vector<std::string> &names);

// Has hold spelled out in every description received before pjsip looks, see sdp.hpp.
void spell_received_hold_out(pjsip_endpoint *endpoint);

// Which SDP of several is the answer. Of forked early media the first stream stays, for the packets of two would be
// mixed; a 200 has the last word, from whichever branch it comes, and also where it differs from its own 18x.
void choose_answers();

// pjsua2 copies whole messages and SDPs for callbacks that no Leg needs: call once after libInit.
void clear_unused_callbacks();

}  // namespace quickcall
