"""A SIP stack in memory: scripted phones and carriers, no sockets, no threads, no clock.

For tests of this engine and of programs that embed it. Everything happens inside `submit` and
`play`, in the order of the calls, so a test sees the same events every time:

>>> from engine.core.commands import Dial
>>> from engine.core.values import LegId
>>> sip = LoopbackSip()
>>> sip.script("sip:bob@192.0.2.1", Ring(), Answer())
>>> sip.submit([Dial(LegId(1), "c1", "sip:bob@192.0.2.1", "<sip:bob@a>", "<sip:100@a>")])
>>> [type(event).__name__ for event in sip.drain()]
['LegDialed', 'LegRang', 'LegAnswered']
>>> sip.play("c1", Bye())
>>> sip.drain()[0].party.value, sip.stats().legs
('remote', 0)
>>> sip.close()

A phone with an empty script never answers; `play` makes it do something later.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from engine.core.commands import (
    Dial,
    HangUp,
    Join,
    Reoffer,
    Respond,
    SipCommand,
    Split,
    TakeStock,
)
from engine.core.events import (
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegRang,
    LegRenegotiated,
    LegReofferFailed,
    LegSentDigit,
    RegisterReceived,
    StackEvent,
    StockTaken,
    TransferRequested,
)
from engine.core.values import LegId, Party
from engine.sip.port import Listener, SipStats, StackBusy


@dataclass(frozen=True, slots=True)
class Ring:
    """The peer sends a 18x without SDP."""

    status: int = 180
    reason: str = "Ringing"
    talk: bool = False


@dataclass(frozen=True, slots=True)
class Early:
    """The peer sends a 1xx with SDP."""

    status: int = 183
    reason: str = "Session Progress"
    codec: str = "PCMU/8000"
    sdp: str = "v=0"
    talk: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The peer answers with 200 and SDP."""

    codec: str = "PCMU/8000"
    user_agent: str = "loopback phone"
    sdp: str = "v=0"


@dataclass(frozen=True, slots=True)
class Refuse:
    """The peer refuses the INVITE with a final status.

    `q850` and `sip_cause` are its Reason, 0 for none; `contacts` those of a 3xx.
    """

    status: int = 486
    reason: str = "Busy Here"
    q850: int = 0
    contacts: tuple[str, ...] = ()
    sip_cause: int = 0


@dataclass(frozen=True, slots=True)
class Bye:
    """The peer hangs up an answered leg; `q850` and `sip_cause` are its Reason, 0 for none."""

    q850: int = 0
    sip_cause: int = 0


@dataclass(frozen=True, slots=True)
class Refer:
    """The peer of an answered leg asks for a transfer."""

    refer_to: str
    replaces: str = ""
    referred_by: str = ""


@dataclass(frozen=True, slots=True)
class Digit:
    """The peer sends a DTMF digit by INFO."""

    digit: str
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Renegotiate:
    """The peer offers its media anew, by re-INVITE or UPDATE."""

    held: bool = False
    codec: str = "PCMU/8000"
    sdp: str = "v=0"


@dataclass(frozen=True, slots=True)
class RefuseOffers:
    """From now on the peer refuses every offer of ours inside the dialog; 200: it takes them."""

    status: int = 488
    reason: str = "Not Acceptable Here"


@dataclass(frozen=True, slots=True)
class Vanish:
    """Nothing comes back any more: the stack gives the leg up by its timers."""


Step = Ring | Early | Answer | Refuse | Renegotiate | RefuseOffers | Bye | Refer | Digit | Vanish


class _Peer:
    """The far end of a live leg."""

    __slots__ = ("answered", "dial", "held", "refusal", "terms")

    def __init__(self, dial: Dial) -> None:
        self.dial = dial
        self.answered = False
        self.held = False
        """Its end is not reported."""
        self.refusal = RefuseOffers(200)
        self.terms = Renegotiate()
        """The media as agreed on last."""


class LoopbackSip:
    """A `SipPort` whose peers do what their scripts say."""

    def __init__(self) -> None:
        """Start with no scripts: every Dial then rings nobody until `play` is called."""
        self.submitted: list[SipCommand] = []
        """Every command taken, oldest first, for assertions."""
        self.joined: dict[LegId, LegId] = {}
        """Legs that are joined now, each with its other."""
        self.responses: dict[int, Respond] = {}
        """Answers to REGISTERs by their transaction."""
        self.busy = False
        """True: the command queue is full, `submit` raises `StackBusy`."""
        self._scripts: dict[str, tuple[Step, ...]] = {}
        self._legs: dict[LegId, _Peer] = {}
        self._by_call_id: dict[str, LegId] = {}
        self._mailbox: list[StackEvent] = []
        self._pending: set[int] = set()
        self._transactions = count(1)
        self._closing = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    # --- what peers do ---

    def script(self, request_uri: str, *steps: Step) -> None:
        """Let the peer at this Request-URI take these steps as soon as it is dialled, each time."""
        self._scripts[request_uri] = steps

    def play(self, call_id: str, *steps: Step) -> None:
        """Let the peer of a live leg take these steps now. Raises `KeyError` for no such leg."""
        for step in steps:
            self._step(self._by_call_id[call_id], step)

    def hold(self, call_id: str) -> None:
        """Ignore hang-ups of this leg, as if nobody acknowledged them; `play` still ends it."""
        self._legs[self._by_call_id[call_id]].held = True

    def register(
        self,
        to_uri: str,
        *contacts: str,
        expires: int | None = 3600,
        authorization: tuple[str, ...] = (),
        call_id: str = "register",
        cseq: int = 1,
        path: tuple[str, ...] = (),
    ) -> int:
        """Let a phone at 192.0.2.1:5060 register; return the key of its answer in `responses`."""
        transaction = next(self._transactions)
        self._pending.add(transaction)
        self._post(
            RegisterReceived(
                transaction,
                request_uri=f"sip:{to_uri.rpartition('@')[2]}",
                to_uri=to_uri,
                from_uri=to_uri,
                call_id=call_id,
                cseq=cseq,
                contacts=contacts,
                expires=expires,
                authorization=authorization,
                path=path,
                user_agent="loopback phone",
                source="192.0.2.1:5060",
                transport="udp",
                supported=("path",) if path else (),
            )
        )
        return transaction

    # --- SipPort ---

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """One listener that nobody can reach."""
        return (Listener("udp", "192.0.2.254", 5060),)

    def fileno(self) -> int:
        """Return a descriptor that polls readable while `drain` has something to give."""
        return self._wake

    def drain(self) -> list[StackEvent]:
        """Take every event that waits, oldest first."""
        events, self._mailbox = self._mailbox, []
        if events:
            os.eventfd_read(self._wake)
        return events

    def submit(self, commands: Iterable[SipCommand]) -> None:
        """Carry the commands out, and let scripted peers react. Raises `StackBusy` when `busy`."""
        if self.busy:
            raise StackBusy("the command queue is full")
        for command in commands:
            self.submitted.append(command)
            self._carry_out(command)

    def stats(self) -> SipStats:
        """Return the gauges; what memory alone does not have is 0."""
        return SipStats(
            legs=len(self._legs),
            transactions=sum(not peer.answered for peer in self._legs.values()),
            dialogs=len(self._legs),
            media_ports=len(self._legs),
            pending_requests=len(self._pending),
            mailbox=len(self._mailbox),
            dropped=0,
            relayed_packets=0,
        )

    def begin_close(self) -> None:
        """Hang up every leg and refuse new ones."""
        self._closing = True
        for leg in list(self._legs):
            self._carry_out(HangUp(leg))

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        self._closing = True
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    # --- inside ---

    def _carry_out(self, command: SipCommand) -> None:
        if isinstance(command, Dial):
            self._dial(command)
        elif isinstance(command, HangUp):
            peer = self._legs.get(command.leg)
            if peer is not None and not peer.held:
                status, reason = (200, "OK") if peer.answered else (487, "Request Terminated")
                self._end(command.leg, status, reason, Party.LOCAL)
        elif isinstance(command, Join):
            if command.leg in self._legs and command.other in self._legs:
                self.joined.update({command.leg: command.other, command.other: command.leg})
        elif isinstance(command, Split):
            self._split(command.leg)
        elif isinstance(command, TakeStock):
            held = self.stats()
            self._post(
                StockTaken(tuple(self._legs), held.media_ports, held.dialogs, held.transactions)
            )
        elif isinstance(command, Reoffer):
            self._reoffer(command)
        elif isinstance(command, Respond) and command.transaction in self._pending:
            self._pending.remove(command.transaction)
            self.responses[command.transaction] = command

    def _dial(self, dial: Dial) -> None:
        if self._closing:
            warning = "the stack is closing"
            self._post(LegEnded(dial.leg, 503, "Service Unavailable", Party.POLICY, 0, warning))
            return
        self._legs[dial.leg] = _Peer(dial)
        self._by_call_id[dial.call_id] = dial.leg
        self._post(LegDialed(dial.leg, f"tag-{dial.leg}", "v=0"))
        for step in self._scripts.get(dial.request_uri, ()):
            self._step(dial.leg, step)

    def _reoffer(self, offer: Reoffer) -> None:
        peer = self._legs.get(offer.leg)
        if peer is None:
            return
        if not peer.answered:
            self._post(LegReofferFailed(offer.leg, 0, "the leg is not answered"))
        elif peer.refusal.status >= 300:
            self._post(LegReofferFailed(offer.leg, peer.refusal.status, peer.refusal.reason))
        else:
            other = self._legs.get(offer.codec_of, peer) if offer.codec_of is not None else peer
            self._renegotiate(
                offer.leg, Renegotiate(peer.terms.held, other.terms.codec, peer.terms.sdp)
            )

    def _renegotiate(self, leg: LegId, terms: Renegotiate) -> None:
        if terms != self._legs[leg].terms:
            self._legs[leg].terms = terms
            self._post(LegRenegotiated(leg, terms.held, terms.codec, terms.sdp))

    def _step(self, leg: LegId, step: Step) -> None:
        if isinstance(step, Ring):
            self._post(LegRang(leg, step.status, step.reason, step.talk))
        elif isinstance(step, Early):
            early = LegGaveEarlyMedia(
                leg, step.status, step.reason, step.codec, step.sdp, step.talk
            )
            self._post(early)
        elif isinstance(step, Answer):
            self._legs[leg].answered = True
            self._legs[leg].terms = Renegotiate(False, step.codec, step.sdp)
            self._post(LegAnswered(leg, step.codec, f"to-{leg}", step.user_agent, step.sdp))
        elif isinstance(step, Refuse):
            said = step.q850, step.sip_cause
            self._end(leg, step.status, step.reason, Party.REMOTE, *said, step.contacts)
        elif isinstance(step, Renegotiate):
            self._renegotiate(leg, step)
        elif isinstance(step, RefuseOffers):
            self._legs[leg].refusal = step
        elif isinstance(step, Bye):
            self._end(leg, 200, "OK", Party.REMOTE, step.q850, step.sip_cause)
        elif isinstance(step, Refer):
            self._post(TransferRequested(leg, step.refer_to, step.replaces, step.referred_by))
        elif isinstance(step, Digit):
            self._post(LegSentDigit(leg, step.digit, step.duration_ms))
        else:
            self._end(leg, 0, "", Party.TIMEOUT)

    def _end(
        self,
        leg: LegId,
        status: int,
        reason: str,
        party: Party,
        q850: int = 0,
        sip_cause: int = 0,
        contacts: tuple[str, ...] = (),
    ) -> None:
        peer = self._legs.pop(leg)
        del self._by_call_id[peer.dial.call_id]
        self._split(leg)
        self._post(LegEnded(leg, status, reason, party, q850, "", contacts, sip_cause))

    def _split(self, leg: LegId) -> None:
        other = self.joined.pop(leg, None)
        if other is not None:
            del self.joined[other]

    def _post(self, event: StackEvent) -> None:
        if not self._mailbox:
            os.eventfd_write(self._wake, 1)
        self._mailbox.append(event)
