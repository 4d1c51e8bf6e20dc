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
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from engine.core.commands import (
    Dial,
    FreeMedia,
    HangUp,
    Join,
    Play,
    Record,
    Reoffer,
    Respond,
    SipCommand,
    Split,
    StopPlaying,
    StopRecording,
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
from engine.core.media_values import LegMedia
from engine.core.values import LegId, Party
from engine.sip.loopback_peer import Peer
from engine.sip.loopback_sounds import LoopbackSounds
from engine.sip.loopback_steps import (
    Answer,
    AnswerOffers,
    Bye,
    Digit,
    Early,
    GiveAnswers,
    HearOut,
    HoldAnswers,
    Refer,
    Refuse,
    RefuseOffers,
    Renegotiate,
    Ring,
    Step,
    Vanish,
)
from engine.sip.port import Listener, SipStats, StackBusy

__all__ = [
    "Answer",
    "AnswerOffers",
    "Bye",
    "Digit",
    "Early",
    "GiveAnswers",
    "HearOut",
    "HoldAnswers",
    "LoopbackSip",
    "Refer",
    "Refuse",
    "RefuseOffers",
    "Renegotiate",
    "Ring",
    "Step",
    "Vanish",
]


class LoopbackSip:
    """A `SipPort` whose peers do what their scripts say."""

    def __init__(self) -> None:
        """Start with no scripts: every Dial then rings nobody until `play` is called."""
        self.submitted: list[SipCommand] = []
        """Every command taken, oldest first, for assertions."""
        self.joined: dict[LegId, LegId] = {}
        """Legs that are joined now, each with its other."""
        self.sounds = LoopbackSounds()
        """What is played to the legs, and recorded of them."""
        self.responses: dict[int, Respond] = {}
        """Answers to REGISTERs by their transaction."""
        self.busy = False
        """True: the command queue is full, `submit` raises `StackBusy`."""
        self.out_of_ports = False
        """True: a leg that has given its ports back gets none."""
        self._scripts: dict[str, tuple[Step, ...]] = {}
        self._legs: dict[LegId, Peer] = {}
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

    def told(self, call_id: str) -> LegMedia:
        """Return where the peer of a live leg was told to send its media, and how."""
        return self._legs[self._by_call_id[call_id]].told

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
            media_ports=sum(peer.has_ports for peer in self._legs.values()),
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
        do = _DO.get(type(command))
        if do is not None:
            do(self, command)

    def _hang_up(self, command: HangUp) -> None:
        peer = self._legs.get(command.leg)
        if peer is not None and not peer.held:
            status, reason = (200, "OK") if peer.answered else (487, "Request Terminated")
            self._end(command.leg, status, reason, Party.LOCAL)

    def _join(self, command: Join) -> None:
        if command.leg in self._legs and command.other in self._legs:
            self.joined.update({command.leg: command.other, command.other: command.leg})

    def _take_stock(self, _command: TakeStock) -> None:
        held = self.stats()
        self._post(StockTaken(tuple(self._legs), held.media_ports, held.dialogs, held.transactions))

    def _respond(self, command: Respond) -> None:
        if command.transaction in self._pending:
            self._pending.remove(command.transaction)
            self.responses[command.transaction] = command

    def _dial(self, dial: Dial) -> None:
        if self._closing:
            warning = "the stack is closing"
            self._post(LegEnded(dial.leg, 503, "Service Unavailable", Party.POLICY, 0, warning))
            return
        self._legs[dial.leg] = Peer(dial)
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
        elif peer.thinks:
            peer.keep(offer)
        else:
            self._send_offer(peer, offer)

    def _send_offer(self, peer: Peer, offer: Reoffer) -> None:
        named = offer.codec_of if offer.media_of is None else offer.media_of
        other = self._legs.get(named) if named is not None else None
        if offer.media_of is not None and other is None:
            self._post(LegReofferFailed(peer.leg, 0, "the other leg has no media"))
        elif offer.media_of is None and not peer.has_ports and self.out_of_ports:
            self._post(LegReofferFailed(peer.leg, 0, "no media port is left"))
        elif peer.refuses():
            self._post(LegReofferFailed(peer.leg, peer.refusal.status, peer.refusal.reason))
        else:
            codec = (other or peer).terms.codec
            if offer.media_of is None and not peer.has_ports:
                self._take_ports(peer)
            peer.tell(other if offer.media_of is not None else None, codec)
            peer.answer_offer(codec)
            self._tell_terms(peer, by_us=True)

    def _take_ports(self, peer: Peer) -> None:
        other = self._legs.get(peer.bypasses) if peer.bypasses is not None else None
        peer.has_ports = True
        if other is not None:
            other.has_ports = True

    def _renegotiate(self, peer: Peer, offer: Renegotiate) -> None:
        before = peer.terms
        other = self._legs.get(peer.bypasses) if peer.bypasses is not None else None
        if peer.bypasses is not None and (other is None or not other.takes(offer.codec)):
            return  # 488
        peer.agree(offer)
        peer.tell(other, offer.codec)
        if peer.terms != before:
            self._tell_terms(peer, by_us=False)

    def _tell_terms(self, peer: Peer, *, by_us: bool) -> None:
        terms = peer.terms
        self._post(LegRenegotiated(peer.leg, terms.held, terms.codec, terms.sdp, peer.media, by_us))

    def _free(self, command: FreeMedia) -> None:
        one, other = self._legs.get(command.leg), self._legs.get(command.other)
        if one is None or other is None:
            return
        if one.bypasses != other.leg or other.bypasses != one.leg:
            return
        for peer in (one, other):
            peer.has_ports = False
            self._post_all(self.sounds.end(peer.leg))

    def _sound(self, command: Play | StopPlaying | Record | StopRecording) -> None:
        peer = self._legs.get(command.leg)
        has_media = peer is not None and peer.has_ports
        self._post_all(self.sounds.carry_out(command, has_media=has_media))

    def _step(self, leg: LegId, step: Step) -> None:
        if isinstance(step, Ring):
            self._post(LegRang(leg, step.status, step.reason, step.talk))
        elif isinstance(step, Early | Answer):
            self._take_answer(self._legs[leg], step)
        elif isinstance(step, Refuse):
            said = step.q850, step.sip_cause
            self._end(leg, step.status, step.reason, Party.REMOTE, *said, step.contacts)
        elif isinstance(step, Renegotiate):
            self._renegotiate(self._legs[leg], step)
        elif isinstance(step, RefuseOffers | AnswerOffers | HoldAnswers | GiveAnswers):
            self._change_mind(self._legs[leg], step)
        elif isinstance(step, Bye):
            self._end(leg, 200, "OK", Party.REMOTE, step.q850, step.sip_cause)
        elif isinstance(step, Refer):
            self._post(TransferRequested(leg, step.refer_to, step.replaces, step.referred_by))
        elif isinstance(step, Digit):
            digit, length = step.digit, step.duration_ms
            self._post(LegSentDigit(leg, digit, length, step.method, step.carried))
        elif isinstance(step, HearOut):
            self._post_all(self.sounds.hear_out(leg))
        else:
            self._end(leg, 0, "", Party.TIMEOUT)

    def _take_answer(self, peer: Peer, step: Early | Answer) -> None:
        peer.agree(step)
        other = self._legs.get(peer.dial.media_of) if peer.dial.media_of is not None else None
        peer.tell(other, step.codec)
        leg, media = peer.leg, peer.media
        if isinstance(step, Early):
            self._post(
                LegGaveEarlyMedia(
                    leg, step.status, step.reason, step.codec, step.sdp, step.talk, media
                )
            )
        else:
            peer.answered = True
            self._post(LegAnswered(leg, step.codec, f"to-{leg}", step.user_agent, step.sdp, media))

    def _change_mind(
        self, peer: Peer, step: RefuseOffers | AnswerOffers | HoldAnswers | GiveAnswers
    ) -> None:
        if isinstance(step, RefuseOffers):
            peer.refusal, peer.refusals_left = step, step.times
        elif isinstance(step, AnswerOffers):
            peer.answers = step.media
        elif isinstance(step, HoldAnswers):
            peer.thinks = True
        else:
            peer.thinks = False
            waiting, peer.unanswered = peer.unanswered, []
            for offer in waiting:
                self._send_offer(peer, offer)

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
        self._part(leg)
        self._post_all(self.sounds.end(leg))
        self._post(LegEnded(leg, status, reason, party, q850, "", contacts, sip_cause))

    def _split(self, command: Split) -> None:
        self._part(command.leg)

    def _part(self, leg: LegId) -> None:
        other = self.joined.pop(leg, None)
        if other is not None:
            del self.joined[other]

    def _post_all(self, events: Iterable[StackEvent]) -> None:
        for event in events:
            self._post(event)

    def _post(self, event: StackEvent) -> None:
        if not self._mailbox:
            os.eventfd_write(self._wake, 1)
        self._mailbox.append(event)


_DO: Mapping[type[SipCommand], Callable[[LoopbackSip, Any], None]] = {
    Dial: LoopbackSip._dial,
    HangUp: LoopbackSip._hang_up,
    Join: LoopbackSip._join,
    Split: LoopbackSip._split,
    Reoffer: LoopbackSip._reoffer,
    FreeMedia: LoopbackSip._free,
    Play: LoopbackSip._sound,
    StopPlaying: LoopbackSip._sound,
    Record: LoopbackSip._sound,
    StopRecording: LoopbackSip._sound,
    TakeStock: LoopbackSip._take_stock,
    Respond: LoopbackSip._respond,
}
"""What is done for a command; nobody sees the others."""
