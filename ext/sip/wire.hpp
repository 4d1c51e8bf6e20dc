// The one source of event and command kinds: what crosses between Python and the SIP thread.
// Plain values only, no pj types, no Python types.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "report.hpp"

#include "dtmf_method.hpp"

namespace quickcall {

using LegId = std::uint64_t;
using Header = std::pair<std::string, std::string>;

enum class CommandKind : std::uint8_t {
    dial,
    hang_up,
    join,
    split,
    reoffer,
    free_media,
    notify_talk,
    transfer_progress,
    send_digits,
    respond,
    use_hops,
    take_stock,
    play,
    stop_playing,
    record,
    stop_recording,
};

// Whether media are encrypted, as engine.core.values.Encryption.
enum class Encryption : std::uint8_t { off, optional, mandatory };

struct Command {
    CommandKind kind{};
    bool hold = false;              // reoffer
    bool repeat = false;            // play
    double max_s = 0;               // record
    std::uint64_t play = 0;         // play
    std::string text;               // play: the sound; record: the path
    LegId leg = 0;                  // of most; the transaction in respond, the query in use_hops
    LegId other = 0;                // join, split, free_media: the other leg; dial, reoffer: leg whose codec is offered,
                                    // 0 none
    LegId media_of = 0;             // dial, reoffer: leg whose peer's address is offered, 0 ours
    bool more_hops = false;         // dial
    bool webrtc = false;            // dial: ICE and DTLS-SRTP
    bool other_codecs = false;      // dial: `codecs` follow that of `other`
    int status = 0;                 // transfer_progress, respond; send_digits: duration of each in ms
    DtmfMethod dtmf = DtmfMethod::automatic;  // dial
    Encryption encryption = Encryption::off;  // dial
    std::string call_id;            // dial
    std::string request_uri;        // dial
    std::string to_uri;             // dial
    std::string from_uri;           // dial
    std::string next_hop;           // dial
    std::string username;           // dial, digest credentials
    std::string password;           // dial
    std::string realm;              // dial
    std::string reason;             // hang_up: Reason header; transfer_progress, respond: reason phrase
    std::string digits;             // send_digits
    std::vector<std::string> routes;  // dial; use_hops: the hops
    std::vector<std::string> codecs;  // dial
    std::vector<std::string> suites;  // dial: of SRTP, empty: all
    std::string first_codec;          // dial: that of `other`, known to the SIP thread
    std::vector<Header> headers;      // dial, respond
};

enum class EventKind : std::uint8_t {
    leg_dialed,
    leg_rang,
    leg_gave_early_media,
    leg_answered,
    leg_renegotiated,
    leg_reoffer_failed,
    leg_ended,
    hops_needed,
    transfer_requested,
    leg_sent_digit,
    leg_heard,
    leg_silent,
    leg_played,
    leg_recorded,
    leg_media_failed,
    register_received,
    message_seen,
    logged,
    stock_taken,
};

// Who ended a leg, as engine.core.values.Party.
enum class Party : std::uint8_t { remote, local, timeout, policy };

// What an offer and its answer settled for the media of a leg: engine.core.values.LegMedia.
struct LegMedia {
    std::string address;   // `ip:port` where the peer wants its RTP
    std::string source;    // IP address its description came from
    std::string security;  // SRTP suite or `DTLS-SRTP`, empty: in the clear
    bool ice = false;
    std::vector<std::pair<std::string, int>> formats;  // `NAME/RATE`, and the payload type the peer wants it with
    bool operator==(const LegMedia &) const = default;
};

struct Event {
    EventKind kind{};
    Party party = Party::remote;    // leg_ended
    bool sent = false;              // message_seen
    bool talk = false;              // leg_rang, leg_gave_early_media
    bool held = false;              // leg_renegotiated
    bool by_us = false;             // leg_renegotiated
    bool carried = false;           // leg_sent_digit: the joined leg has it
    bool one_way = false;           // leg_silent
    bool has_report = false;        // leg_ended
    DtmfMethod method = DtmfMethod::automatic;  // leg_sent_digit
    int status = 0;                 // SIP status; logged: level; register_received: expires, -1 when absent;
                                    // leg_sent_digit: duration in ms
    int q850 = 0;                   // leg_ended
    int sip_cause = 0;              // leg_ended
    std::int64_t cseq = 0;          // register_received
    double at = 0;                  // message_seen: seconds since the Unix epoch; leg_recorded, leg_silent: seconds
    std::uint64_t play = 0;         // leg_played
    LegId leg = 0;                  // leg events; the transaction of register_received, the query of hops_needed
    std::string reason;             // reason phrase; leg_answered: the peer's To tag; leg_played, leg_recorded: error
    std::string detail;             // leg_ended: warning; leg_answered, register_received: User-Agent
    std::string codec;              // leg_gave_early_media, leg_answered, leg_renegotiated
    std::string text;               // SDP of leg events; the digit; Replaces; message or log text; path
    std::string from;               // leg_dialed: our From tag; From URI; Referred-By; message_seen: source
    std::string to;                 // To URI; message_seen: destination
    std::string uri;                // register_received: Request-URI; transfer_requested: Refer-To; hops_needed: where to
    std::string call_id;            // register_received, message_seen
    std::string source;             // register_received, leg_heard
    std::string transport;          // register_received, message_seen
    std::vector<std::string> contacts;       // register_received, leg_ended
    std::vector<std::string> authorization;  // register_received
    std::vector<std::string> path;           // register_received
    std::vector<std::string> supported;      // register_received
    std::vector<LegId> legs;                 // stock_taken
    LegMedia media;                          // leg_gave_early_media, leg_answered, leg_renegotiated
    MediaReport report;                      // leg_ended
    std::uint32_t media_ports = 0;           // stock_taken
    std::uint32_t dialogs = 0;               // stock_taken
    std::uint32_t transactions = 0;          // stock_taken
};

struct Stats {
    std::uint32_t legs = 0;
    std::uint32_t transactions = 0;
    std::uint32_t dialogs = 0;
    std::uint32_t media_ports = 0;
    std::uint32_t pending_requests = 0;
    std::uint32_t mailbox = 0;
    std::uint64_t dropped = 0;
    std::uint64_t relayed_packets = 0;
    std::uint64_t cancel_races = 0;
    std::uint64_t glares = 0;
    std::uint64_t blocked_max_ns = 0;  // longest the SIP thread waited for the mailbox or the queue
};

}  // namespace quickcall
