# distutils: language = c++
# cython: language_level=3, boundscheck=False
"""Thin wrapper of the C++ facade in stack.hpp: values go down, core events come up. See ext/sip/README.md."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.utility cimport move, pair
from libcpp.vector cimport vector

from engine.core.commands import (
    Dial,
    FreeMedia,
    HangUp,
    Join,
    NotifyTalk,
    Play,
    Record,
    Reoffer,
    Respond,
    SendDigits,
    Split,
    StopPlaying,
    StopRecording,
    TakeStock,
    TransferProgress,
    UseHops,
)
from engine.core.events import (
    HopsNeeded,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegHeard,
    LegMediaFailed,
    LegPlayed,
    LegRang,
    LegRecorded,
    LegRenegotiated,
    LegReofferFailed,
    LegSentDigit,
    LegSilent,
    RegisterReceived,
    SipMessageSeen,
    StackLogged,
    StockTaken,
    TransferRequested,
)
from engine.core.media_values import DtmfMethod, Encryption, LegMedia, MediaReport
from engine.core.values import Party
from engine.sip.port import Listener, SipStats, StackBusy


cdef extern from "latching.hpp" namespace "quickcall" nogil:
    cdef enum class Latching(uint8_t):
        off, host, nat


cdef extern from "report.hpp" namespace "quickcall" nogil:
    cdef cppclass WireReport "quickcall::MediaReport":
        uint64_t packets_received, packets_sent, bytes_received, bytes_sent
        int64_t lost, lost_by_peer
        double jitter_ms, round_trip_ms, mos


cdef extern from "wire.hpp" namespace "quickcall" nogil:
    cdef enum class CommandKind(uint8_t):
        dial, hang_up, join, split, reoffer, free_media, notify_talk, transfer_progress, send_digits, respond, use_hops
        take_stock, play, stop_playing, record, stop_recording

    cdef enum class EventKind(uint8_t):
        leg_dialed, leg_rang, leg_gave_early_media, leg_answered
        leg_renegotiated, leg_reoffer_failed, leg_ended, hops_needed
        transfer_requested, leg_sent_digit, leg_heard, leg_silent, leg_played, leg_recorded, leg_media_failed
        register_received, message_seen, logged, stock_taken

    cdef enum class WireParty "quickcall::Party"(uint8_t):
        remote, local, timeout, policy

    cdef enum class WireDtmf "quickcall::DtmfMethod"(uint8_t):
        automatic, rfc4733, info, inband

    cdef enum class WireEncryption "quickcall::Encryption"(uint8_t):
        off, optional, mandatory

    cdef cppclass Command:
        CommandKind kind
        cbool hold, repeat
        double max_s
        uint64_t play
        string text
        uint64_t leg, other, media_of
        cbool more_hops, webrtc, other_codecs
        WireEncryption encryption
        int status
        WireDtmf dtmf
        string call_id, request_uri, to_uri, from_uri, next_hop
        string username, password, realm, reason, digits
        vector[string] routes, codecs, suites
        vector[pair[string, string]] headers

    cdef cppclass WireMedia "quickcall::LegMedia":
        string address, source, security
        cbool ice
        vector[pair[string, int]] formats

    cdef cppclass Event:
        EventKind kind
        WireParty party
        cbool sent, talk, held, by_us, carried, one_way, has_report
        WireDtmf method
        int status, q850, sip_cause
        int64_t cseq
        double at
        uint64_t leg, play
        string reason, detail, codec, text
        # "from" is a Python keyword
        string sender "from"
        string to, uri, call_id, source, transport
        vector[string] contacts, authorization, path, supported
        vector[uint64_t] legs
        WireMedia media
        WireReport report
        uint32_t media_ports, dialogs, transactions

    cdef cppclass Stats:
        uint32_t legs, transactions, dialogs, media_ports, pending_requests, mailbox
        uint64_t dropped, relayed_packets, cancel_races, glares, blocked_max_ns


cdef extern from "stack.hpp" namespace "quickcall" nogil:
    cdef cppclass ListenerConfig:
        string transport, host
        int port

    cdef cppclass StackConfig:
        vector[ListenerConfig] listeners
        string public_host, tls_certificate, tls_private_key, media_host
        int rtp_first, rtp_last, max_legs
        vector[string] codecs
        string user_agent
        cbool trace
        int log_level
        cbool accept_register, transfers
        int t1_ms, session_expires_s
        Latching latching
        double silent_s, silent_held_s, one_way_s
        double shutdown_s

    cdef cppclass CppStack "quickcall::Stack":
        CppStack(const StackConfig &) except +
        vector[ListenerConfig] listeners()
        int fd()
        void drain(vector[Event] &)
        cbool submit(vector[Command])
        Stats stats()
        void begin_close()
        void close()
        @staticmethod
        string pjproject_version()


cdef tuple DTMF_METHODS = (DtmfMethod.AUTO, DtmfMethod.RFC4733, DtmfMethod.INFO, DtmfMethod.INBAND)
cdef tuple ENCRYPTIONS = (Encryption.OFF, Encryption.OPTIONAL, Encryption.MANDATORY)
cdef dict LATCHING = {"off": Latching.off, "host": Latching.host, "nat": Latching.nat}
cdef tuple PARTIES = (Party.REMOTE, Party.LOCAL, Party.TIMEOUT, Party.POLICY)


def pjproject_version() -> str:
    """Return the version of the pjproject library that is linked in, for example `2.17`."""
    return CppStack.pjproject_version().decode()


cdef inline str text(const string &value):
    # Peers may send anything; what is not UTF-8 must not break whoever encodes it again.
    return value.decode("utf-8", "replace")


cdef tuple texts(const vector[string] &values):
    cdef list result = []
    cdef size_t i
    for i in range(values.size()):
        result.append(text(values[i]))
    return tuple(result)


cdef inline string raw(str value):
    return value.encode("utf-8", "replace")


cdef object media_of(const WireMedia &media):
    cdef list formats = []
    cdef size_t i
    for i in range(media.formats.size()):
        formats.append((text(media.formats[i].first), media.formats[i].second))
    return LegMedia(text(media.address), text(media.source), text(media.security), media.ice, tuple(formats))


cdef object report_of(const Event &event):
    if not event.has_report:
        return None
    report = event.report
    return MediaReport(
        report.packets_received,
        report.packets_sent,
        report.bytes_received,
        report.bytes_sent,
        report.lost,
        report.lost_by_peer,
        report.jitter_ms,
        report.round_trip_ms if report.round_trip_ms >= 0 else None,
        report.mos if report.mos > 0 else None,
    )


cdef object to_python(const Event &event):
    if event.kind == EventKind.leg_dialed:
        return LegDialed(event.leg, text(event.sender), text(event.text))
    if event.kind == EventKind.leg_rang:
        return LegRang(event.leg, event.status, text(event.reason), event.talk)
    if event.kind == EventKind.leg_gave_early_media:
        return LegGaveEarlyMedia(
            event.leg, event.status, text(event.reason), text(event.codec), text(event.text), event.talk,
            media_of(event.media),
        )
    if event.kind == EventKind.leg_answered:
        return LegAnswered(
            event.leg, text(event.codec), text(event.reason), text(event.detail), text(event.text),
            media_of(event.media),
        )
    if event.kind == EventKind.leg_renegotiated:
        return LegRenegotiated(
            event.leg, event.held, text(event.codec), text(event.text), media_of(event.media), event.by_us
        )
    if event.kind == EventKind.leg_reoffer_failed:
        return LegReofferFailed(event.leg, event.status, text(event.reason))
    if event.kind == EventKind.leg_ended:
        return LegEnded(
            event.leg, event.status, text(event.reason), PARTIES[<uint8_t>event.party], event.q850, text(event.detail),
            texts(event.contacts), event.sip_cause, report_of(event),
        )
    if event.kind == EventKind.hops_needed:
        return HopsNeeded(event.leg, text(event.uri))
    if event.kind == EventKind.transfer_requested:
        return TransferRequested(event.leg, text(event.uri), text(event.text), text(event.sender))
    if event.kind == EventKind.leg_sent_digit:
        return LegSentDigit(
            event.leg, text(event.text), event.status, DTMF_METHODS[<uint8_t>event.method], event.carried
        )
    if event.kind == EventKind.leg_played:
        return LegPlayed(event.leg, event.play, text(event.reason))
    if event.kind == EventKind.leg_recorded:
        return LegRecorded(event.leg, text(event.text), event.at, text(event.reason))
    if event.kind == EventKind.leg_heard:
        return LegHeard(event.leg, text(event.source))
    if event.kind == EventKind.leg_silent:
        return LegSilent(event.leg, event.at, event.one_way)
    if event.kind == EventKind.leg_media_failed:
        return LegMediaFailed(event.leg, text(event.reason))
    if event.kind == EventKind.register_received:
        return RegisterReceived(
            transaction=event.leg,
            request_uri=text(event.uri),
            to_uri=text(event.to),
            from_uri=text(event.sender),
            call_id=text(event.call_id),
            cseq=event.cseq,
            contacts=texts(event.contacts),
            expires=event.status if event.status >= 0 else None,
            authorization=texts(event.authorization),
            path=texts(event.path),
            user_agent=text(event.detail),
            source=text(event.source),
            transport=text(event.transport),
            supported=texts(event.supported),
        )
    if event.kind == EventKind.message_seen:
        return SipMessageSeen(
            event.at, event.sent, text(event.sender), text(event.to), text(event.transport),
            text(event.call_id), text(event.text),
        )
    if event.kind == EventKind.stock_taken:
        return StockTaken(tuple(event.legs), event.media_ports, event.dialogs, event.transactions)
    return StackLogged(event.status, text(event.text))


cdef int to_native(object command, Command &native) except -1:
    kind = type(command)
    if kind is Dial:
        native.kind = CommandKind.dial
        native.leg = command.leg
        native.other = command.codec_of if command.codec_of is not None else 0
        native.media_of = command.media_of if command.media_of is not None else 0
        native.call_id = raw(command.call_id)
        native.request_uri = raw(command.request_uri)
        native.to_uri = raw(command.to_uri)
        native.from_uri = raw(command.from_uri)
        native.next_hop = raw(command.next_hop)
        native.more_hops = command.more_hops
        native.dtmf = <WireDtmf><uint8_t>DTMF_METHODS.index(command.media.dtmf)
        native.other_codecs = command.other_codecs
        for route in command.routes:
            native.routes.push_back(raw(route))
        for name, value in command.headers:
            native.headers.push_back(pair[string, string](raw(name), raw(value)))
        for codec in command.codecs:
            native.codecs.push_back(raw(codec))
        native.encryption = <WireEncryption><uint8_t>ENCRYPTIONS.index(command.media.encryption)
        native.webrtc = command.media.webrtc
        for suite in command.media.suites:
            native.suites.push_back(raw(suite))
        if command.credentials is not None:
            native.username = raw(command.credentials.username)
            native.password = raw(command.credentials.password)
            native.realm = raw(command.credentials.realm)
    elif kind is HangUp:
        native.kind = CommandKind.hang_up
        native.leg = command.leg
        native.reason = raw(command.reason)
    elif kind is Join or kind is Split:
        native.kind = CommandKind.join if kind is Join else CommandKind.split
        native.leg = command.leg
        native.other = command.other
    elif kind is Reoffer:
        native.kind = CommandKind.reoffer
        native.leg = command.leg
        native.other = command.codec_of if command.codec_of is not None else 0
        native.media_of = command.media_of if command.media_of is not None else 0
        native.hold = command.hold
    elif kind is FreeMedia:
        native.kind = CommandKind.free_media
        native.leg = command.leg
        native.other = command.other
    elif kind is NotifyTalk:
        native.kind = CommandKind.notify_talk
        native.leg = command.leg
    elif kind is TransferProgress:
        native.kind = CommandKind.transfer_progress
        native.leg = command.leg
        native.status = command.sip_status
        native.reason = raw(command.reason)
    elif kind is SendDigits:
        native.kind = CommandKind.send_digits
        native.leg = command.leg
        native.digits = raw(command.digits)
        native.status = command.duration_ms
    elif kind is Respond:
        native.kind = CommandKind.respond
        native.leg = command.transaction
        native.status = command.status
        native.reason = raw(command.reason)
        for name, value in command.headers:
            native.headers.push_back(pair[string, string](raw(name), raw(value)))
    elif kind is Play:
        native.kind = CommandKind.play
        native.leg, native.play = command.leg, command.play
        native.text = raw(command.sound)
        native.repeat = command.repeat
    elif kind is StopPlaying or kind is StopRecording:
        native.kind = CommandKind.stop_playing if kind is StopPlaying else CommandKind.stop_recording
        native.leg = command.leg
    elif kind is Record:
        native.kind = CommandKind.record
        native.leg, native.max_s = command.leg, command.max_s
        native.text = raw(command.path)
    elif kind is TakeStock:
        native.kind = CommandKind.take_stock
    elif kind is UseHops:
        native.kind = CommandKind.use_hops
        native.leg = command.query
        for hop in command.hops:
            native.routes.push_back(raw(hop))
    else:
        raise TypeError(f"{command!r} is not a command of the SIP stack")
    return 0


cdef class Stack:
    """The SIP stack of this process; pjsua allows one at a time."""

    cdef unique_ptr[CppStack] stack
    cdef readonly tuple listeners

    def __init__(self, config):
        """Start the SIP thread from an `engine.sip.port.SipConfig`; wait until every listener is bound.

        Raises `RuntimeError` saying what failed.
        """
        cdef StackConfig native
        cdef ListenerConfig listener
        for item in config.listeners:
            listener.transport = raw(item.transport)
            listener.host = raw(item.host)
            listener.port = item.port
            native.listeners.push_back(listener)
        native.public_host = raw(config.public_host)
        native.tls_certificate = raw(config.tls_certificate)
        native.tls_private_key = raw(config.tls_private_key)
        native.media_host = raw(config.media_host)
        native.rtp_first, native.rtp_last = config.rtp_ports
        native.max_legs = config.max_legs
        for codec in config.codecs:
            native.codecs.push_back(raw(codec))
        native.user_agent = raw(config.user_agent)
        native.trace = config.trace
        native.log_level = config.log_level
        native.accept_register = config.accept_register
        native.transfers = config.transfers
        native.t1_ms = config.t1_ms
        native.session_expires_s = config.session_expires_s
        native.latching = LATCHING[config.rtp_latching]
        native.silent_s = config.rtp_timeout_s
        native.silent_held_s = config.rtp_timeout_held_s
        native.one_way_s = config.one_way_s
        native.shutdown_s = config.shutdown_s
        cdef CppStack *started
        with nogil:
            started = new CppStack(native)
        self.stack.reset(started)
        cdef vector[ListenerConfig] bound = started.listeners()
        cdef size_t i
        cdef list listeners = []
        for i in range(bound.size()):
            listeners.append(Listener(text(bound[i].transport), text(bound[i].host), bound[i].port))
        self.listeners = tuple(listeners)

    def fileno(self) -> int:
        """Return the eventfd that polls readable while events wait."""
        return self.stack.get().fd()

    def drain(self) -> list:
        """Take every event that waits, oldest first."""
        cdef vector[Event] events
        self.stack.get().drain(events)
        cdef list result = []
        cdef size_t i
        for i in range(events.size()):
            result.append(to_python(events[i]))
        return result

    def submit(self, commands) -> None:
        """Queue commands in order and wake the SIP thread. Raises `StackBusy` when they do not fit."""
        cdef vector[Command] batch
        for command in commands:
            batch.emplace_back()
            to_native(command, batch.back())
        cdef size_t count = batch.size()
        if count and not self.stack.get().submit(move(batch)):
            raise StackBusy(f"{count} commands do not fit into the queue of the SIP stack")

    def stats(self) -> SipStats:
        """Return counters and gauges as of the SIP thread's last turn."""
        cdef Stats stats = self.stack.get().stats()
        return SipStats(
            legs=stats.legs,
            transactions=stats.transactions,
            dialogs=stats.dialogs,
            media_ports=stats.media_ports,
            pending_requests=stats.pending_requests,
            mailbox=stats.mailbox,
            dropped=stats.dropped,
            relayed_packets=stats.relayed_packets,
            cancel_races=stats.cancel_races,
            glares=stats.glares,
        )

    def blocked_max_ns(self) -> int:
        """Return the longest time, in nanoseconds, the SIP thread waited for Python to let go of a queue."""
        return self.stack.get().stats().blocked_max_ns

    def begin_close(self) -> None:
        """Hang up every leg and refuse new ones; their ends still come up."""
        self.stack.get().begin_close()

    def close(self) -> None:
        """End the SIP thread and release everything. Events still waiting can be drained after it."""
        with nogil:
            self.stack.get().close()
