"""The port between Python and a SIP stack: commands go down, events come up, no call answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

from engine.core.commands import SipCommand
from engine.core.events import StackEvent

RtpLatching = Literal["off", "host", "nat"]
"""`off`: the address of the SDP. `host`: any port of it. `nat`: also where the peer is seen behind
a NAT."""


class SipStats(msgspec.Struct, frozen=True):
    """Counters and gauges of a stack. After every call has ended, the gauges are all zero."""

    legs: int
    """Legs that exist now."""
    transactions: int
    """SIP transactions in memory now, including those waiting out their timers."""
    dialogs: int
    media_ports: int
    """RTP port pairs in use now."""
    pending_requests: int
    """REGISTERs waiting for `Respond`."""
    mailbox: int
    """Events not drained yet."""
    dropped: int
    """Log lines and traces dropped because the mailbox was full, since start."""
    relayed_packets: int
    """RTP and RTCP packets relayed since start."""
    cancel_races: int = 0
    """Answers that crossed our CANCEL, since start (RFC 3261 9.1)."""
    glares: int = 0
    """Re-INVITEs of ours that crossed one of the peer's, since start (RFC 3261 14.1)."""


class Listener(msgspec.Struct, frozen=True):
    """A bound SIP listener."""

    transport: str
    host: str
    port: int


class SipConfig(msgspec.Struct, frozen=True):
    """What a stack needs to start. The stack checks it and raises `ValueError` naming the field."""

    listeners: tuple[Listener, ...]
    """Addresses to listen on; `transport` is udp, tcp or tls, port 0 asks the kernel for a free
    one."""
    public_host: str = ""
    """Host name or address put into Via and Contact; empty: the bound address."""
    tls_certificate: str = ""
    """PEM file with the certificate chain; needed for tls listeners."""
    tls_private_key: str = ""
    media_host: str = "127.0.0.1"
    """Address RTP sockets bind to and SDP names (IPv4 or IPv6)."""
    rtp_ports: tuple[int, int] = (20000, 29999)
    """First and last UDP port for RTP; even ports RTP, odd ports RTCP."""
    rtp_latching: RtpLatching = "nat"
    """Who may send a leg's RTP when the address of its SDP does not; see ext/media/latch.hpp."""
    rtp_timeout_s: float = 60.0
    """Seconds without RTP of an answered leg that should send, until `LegSilent`; 0: never."""
    rtp_timeout_held_s: float = 1800.0
    """The same while either side has it on hold."""
    one_way_s: float = 5.0
    """Seconds a joined leg is not heard while the other is, until `LegSilent`; 0: never."""
    max_legs: int = 8000
    """Legs at once; a Dial beyond it ends with party POLICY."""
    codecs: tuple[str, ...] = ("opus/48000", "G722/8000", "PCMU/8000", "PCMA/8000")
    """Codecs offered in this order when a Dial names none; telephone-event is always offered."""
    user_agent: str = "quickcall"
    trace: bool = False
    """Pass every SIP message up as `SipMessageSeen`."""
    log_level: int = 2
    """0 none, 1 errors, 2 warnings .. 5 trace, of the native stack."""
    accept_register: bool = True
    """Pass REGISTER up; when False it is answered 405."""
    transfers: bool = True
    """Pass REFER up as `TransferRequested`; when False it is answered 603."""
    t1_ms: int = 500
    """Round-trip estimate T1 (RFC 3261 17.1.1.1), 10..2000 ms. The other timers follow: T2 = 8 T1,
    T4 = 10 T1,
    timers B, D, F and H = 64 T1. Shorter than 500 only on networks whose round trip is known."""
    session_expires_s: int = 1800
    """Session interval asked for (RFC 4028 4), 90..86400 s. Refreshed at half of it, also when the
    peer knows no timers; a refresh that is not answered ends the leg. 0: no session timers."""
    shutdown_s: float = 4.0
    """How long `close` waits for legs to end before it destroys the stack."""


class SipPort(Protocol):
    """A SIP stack as the runtime sees it: `native.NativeSip` or `loopback.LoopbackSip`."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Addresses bound, ports filled in when 0 was asked for."""
        ...

    def fileno(self) -> int:
        """Return a descriptor that polls readable while `drain` has something to give."""
        ...

    def drain(self) -> list[StackEvent]:
        """Take every event that waits, oldest first, and clear the descriptor. Never blocks.

        What a peer sent that is not UTF-8 stands in the events as U+FFFD.
        """
        ...

    def submit(self, commands: Iterable[SipCommand]) -> None:
        """Queue commands in order and wake the stack.

        Raises `engine.sip.port.StackBusy` when the queue is full; then none of them was queued.
        """
        ...

    def stats(self) -> SipStats:
        """Return counters and gauges as of now."""
        ...

    def begin_close(self) -> None:
        """Hang up every leg, refuse new ones; each `LegEnded` still comes up. Does not block."""
        ...

    def close(self) -> None:
        """Destroy the stack, join its thread, release every port. Blocks up to `shutdown_s`."""
        ...


class StackBusy(RuntimeError):
    """The command queue of the stack is full: the engine must refuse new work."""
