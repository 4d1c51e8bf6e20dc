"""One half-call: our side of one INVITE dialog.

Theory. A leg is dialled once and ends once. Provisional responses (RFC 3261 13.2.2.1) move it from
DIALING to RINGING (18x without SDP) or EARLY (1xx with SDP); a 200 may come first of all, because
an auto-answering phone need not ring. Ending takes two steps, because the wire needs time: HANG_UP
sends CANCEL or BYE and moves to ENDING, and only the stack's report that dialog and transactions
are over moves to ENDED. In between a 200 may cross our CANCEL (RFC 3261 9.1): the stack
acknowledges it and sends BYE, and the leg ignores it, for it has been given up. A leg whose end is
never reported ends by its guard, so nothing outlives its call. The stack may report the sent INVITE
again, with another tag, when it had to send it with credentials.

A leg knows no other leg. What its notices say about the other side is told to it as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from engine.core.causes import Ending, ending_by_peer, ending_by_us, reason_header
from engine.core.commands import Dial, HangUp
from engine.core.events import (
    ChannelNotice,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegRang,
    SipEvent,
)
from engine.core.machine import Table, Transition, ignore, refuse
from engine.core.turn import Turn
from engine.core.values import (
    Attempt,
    CallerId,
    Contact,
    Endpoint,
    LegRole,
    LegSnapshot,
    LegState,
    MediaMode,
    OriginateId,
    OriginateRequest,
    Party,
)


class LegInput(StrEnum):
    """What can happen to a leg."""

    DIAL = "dial"
    DIALED = "dialed"
    RANG = "rang"
    EARLY_MEDIA = "early_media"
    ANSWERED = "answered"
    HANG_UP = "hang_up"
    ENDED = "ended"
    GUARD = "guard"


_S, _I = LegState, LegInput
_ONCE = refuse("a leg is dialled once", _I.DIAL)
_NO_GUARD = refuse("the guard runs only while a leg is ending", _I.GUARD)
_END = Transition(_S.ENDED, "end")
_RELEASE = Transition(_S.ENDING, "release")

LEG_TABLE: Table[LegState, LegInput] = Table(
    "leg",
    LegState,
    LegInput,
    {
        _S.IDLE: {
            _I.DIAL: Transition(_S.DIALING, "dial"),
            **refuse(
                "the stack has never heard of this leg",
                *(_I.DIALED, _I.RANG, _I.EARLY_MEDIA, _I.ANSWERED, _I.HANG_UP, _I.ENDED, _I.GUARD),
            ),
        },
        _S.DIALING: {
            **_ONCE,
            _I.DIALED: Transition(_S.DIALING, "note_dialed"),
            _I.RANG: Transition(_S.RINGING, "ring"),
            _I.EARLY_MEDIA: Transition(_S.EARLY, "hear"),
            _I.ANSWERED: Transition(_S.ANSWERED, "answer"),
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            **_NO_GUARD,
        },
        _S.RINGING: {
            **_ONCE,
            _I.DIALED: Transition(_S.RINGING, "note_dialed"),
            **ignore("a repeated 18x tells nothing new", _I.RANG),
            _I.EARLY_MEDIA: Transition(_S.EARLY, "hear"),
            _I.ANSWERED: Transition(_S.ANSWERED, "answer"),
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            **_NO_GUARD,
        },
        _S.EARLY: {
            **_ONCE,
            _I.DIALED: Transition(_S.EARLY, "note_dialed"),
            _I.RANG: Transition(_S.EARLY, "ring"),
            **ignore(
                "only the first SDP of a dialog is the answer (RFC 3261 13.2.1)", _I.EARLY_MEDIA
            ),
            _I.ANSWERED: Transition(_S.ANSWERED, "answer"),
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            **_NO_GUARD,
        },
        _S.ANSWERED: {
            **_ONCE,
            _I.DIALED: Transition(_S.ANSWERED, "note_dialed"),
            **ignore(
                "a provisional response overtaken by the 200 on its way", _I.RANG, _I.EARLY_MEDIA
            ),
            **ignore("a repeated 200; the stack has acknowledged it again", _I.ANSWERED),
            _I.HANG_UP: _RELEASE,
            _I.ENDED: _END,
            **_NO_GUARD,
        },
        _S.ENDING: {
            **_ONCE,
            _I.DIALED: Transition(_S.ENDING, "note_dialed"),
            **ignore("a provisional response crossed our CANCEL", _I.RANG, _I.EARLY_MEDIA),
            **ignore(
                "a 200 crossed our CANCEL; the stack acknowledges it and sends BYE", _I.ANSWERED
            ),
            **ignore("the leg is being released already", _I.HANG_UP),
            _I.ENDED: _END,
            _I.GUARD: Transition(_S.ENDED, "give_up"),
        },
        _S.ENDED: {
            **_ONCE,
            **ignore(
                "late: the leg is over",
                *(_I.DIALED, _I.RANG, _I.EARLY_MEDIA, _I.ANSWERED, _I.HANG_UP, _I.ENDED),
            ),
            **refuse("the guard was cleared when the leg ended", _I.GUARD),
        },
    },
)

_EVENT_INPUTS: dict[type[SipEvent], LegInput] = {
    LegDialed: _I.DIALED,
    LegRang: _I.RANG,
    LegGaveEarlyMedia: _I.EARLY_MEDIA,
    LegAnswered: _I.ANSWERED,
    LegEnded: _I.ENDED,
}


@dataclass(frozen=True, slots=True)
class LegPlan:
    """All that is known of a leg before it is dialled."""

    role: LegRole
    originate_id: OriginateId
    request: OriginateRequest
    endpoint: Endpoint
    contact: Contact
    interaction_id: str
    caller_id: CallerId
    callee_id: CallerId
    auto_answer: bool
    """True when the INVITE asks the phone to answer by itself."""
    channel_vars: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class OtherLeg:
    """What a leg may say about the leg at the other end of its bridge."""

    call_id: str
    number: str
    caller_id: CallerId


class Leg:
    """A half-call from its INVITE to its end."""

    __slots__ = (
        "alerted",
        "answered_at",
        "channel_vars",
        "codec",
        "created_at",
        "ended_at",
        "ending",
        "from_tag",
        "invite",
        "local_sdp",
        "other",
        "plan",
        "release_as",
        "remote_sdp",
        "ringing_at",
        "state",
        "to_tag",
        "user_agent",
    )

    def __init__(self, plan: LegPlan, invite: Dial, now: float) -> None:
        """Prepare a leg at `now`; `dial` sends its INVITE."""
        self.plan = plan
        self.invite = invite
        self.state = LegState.IDLE
        self.created_at = now
        self.ringing_at: float | None = None
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.ending: Ending | None = None
        self.release_as: Ending | None = None
        """Why this side gave the leg up, None while it has not."""
        self.alerted = False
        self.other: OtherLeg | None = None
        self.channel_vars = plan.channel_vars
        self.codec = self.to_tag = self.from_tag = self.local_sdp = self.remote_sdp = ""
        self.user_agent = plan.contact.user_agent

    def __str__(self) -> str:
        """Return how errors name this leg."""
        return f"leg {self.invite.leg} ({self.plan.role.value}, {self.invite.call_id})"

    def start(self, turn: Turn) -> None:
        """Send the INVITE. Raises `MachineError` the second time."""
        self._feed(LegInput.DIAL, turn, None)

    def take(self, event: SipEvent, turn: Turn) -> LegInput | None:
        """Act on an event of the stack. Return what it was, None when it was ignored."""
        given = _EVENT_INPUTS.get(type(event))
        return given if given is not None and self._feed(given, turn, event) else None

    def hang_up(self, cause: str, party: Party, turn: Turn, reason: str = "") -> None:
        """Give the leg up: from now on its cause is `cause`, whatever the wire says. Idempotent."""
        self._feed(LegInput.HANG_UP, turn, ending_by_us(cause, party, reason))

    def expire(self, turn: Turn) -> None:
        """End the leg because its guard ran out. Raises `MachineError` when it is not ending."""
        self._feed(LegInput.GUARD, turn, None)

    def _feed(self, given: LegInput, turn: Turn, what: SipEvent | Ending | None) -> bool:
        transition = LEG_TABLE.step(self.state, given, self)
        if transition is None:
            return False
        self.state = transition.state
        _DO[transition.action](self, what, turn)
        return True

    def dial(self, _what: None, turn: Turn) -> None:
        """Action: order the INVITE and announce the channel."""
        turn.commands.append(self.invite)
        self._tell("CHANNEL_CREATE", turn)

    def note_dialed(self, event: LegDialed, _turn: Turn) -> None:
        """Action: keep tag and offer for notices."""
        self.from_tag = event.from_tag
        self.local_sdp = event.local_sdp

    def ring(self, _event: LegRang, turn: Turn) -> None:
        """Action: report the first 180, also when it comes after early media."""
        if self.alerted:
            return
        self.alerted = True
        if self.ringing_at is None:
            self.ringing_at = turn.now
        self._tell("CHANNEL_PROGRESS", turn)

    def hear(self, event: LegGaveEarlyMedia, turn: Turn) -> None:
        """Action: report early media."""
        if self.ringing_at is None:
            self.ringing_at = turn.now
        self.codec = event.codec
        self.remote_sdp = event.remote_sdp
        self._tell("CHANNEL_PROGRESS_MEDIA", turn)

    def answer(self, event: LegAnswered, turn: Turn) -> None:
        """Action: report the answer."""
        self.answered_at = turn.now
        self.codec = event.codec
        self.to_tag = event.to_tag
        self.user_agent = event.user_agent or self.user_agent
        self.remote_sdp = event.remote_sdp or self.remote_sdp
        self._tell("CHANNEL_ANSWER", turn)

    def release(self, ending: Ending, turn: Turn) -> None:
        """Action: order CANCEL or BYE and start the guard."""
        self.release_as = ending
        turn.commands.append(HangUp(self.invite.leg, reason_header(ending.cause)))
        turn.deadlines.set(
            (self.plan.originate_id, self.invite.leg), turn.now + turn.settings.cancel_guard_s
        )

    def end(self, event: LegEnded, turn: Turn) -> None:
        """Action: report the end; what this side gave the leg up for is the cause of it."""
        ours = self.release_as
        if ours is not None:
            reason = ours.reason if ours.reason != ours.cause else event.reason or ours.cause
            self._finish(Ending(ours.cause, ours.q850, event.sip_status, reason, ours.party), turn)
            return
        ending = ending_by_peer(
            answered=self.answered_at is not None,
            sip_status=event.sip_status,
            q850=event.q850,
            reason=event.warning or event.reason,
            party=event.party,
            sip_cause=event.sip_cause,
            honour=turn.settings.honour_remote_reason,
        )
        self._finish(ending, turn)

    def give_up(self, _what: None, turn: Turn) -> None:
        """Action: end a leg whose end was never reported."""
        name = "RECOVERY_ON_TIMER_EXPIRE"
        reason = f"no end within {turn.settings.cancel_guard_s:g} s of the hang-up"
        self._finish(Ending(name, 102, 0, reason, Party.TIMEOUT), turn)

    def _finish(self, ending: Ending, turn: Turn) -> None:
        turn.deadlines.clear((self.plan.originate_id, self.invite.leg))
        self.ending = ending
        self.ended_at = turn.now
        self._tell("CHANNEL_DESTROY", turn)

    def _tell(self, name: str, turn: Turn) -> None:
        turn.notices.append(ChannelNotice(name, turn.now, self.snapshot()))

    def announce(self, name: str, turn: Turn) -> None:
        """Emit a notice that the leg's bridge decides on: CHANNEL_BRIDGE or CHANNEL_UNBRIDGE."""
        self._tell(name, turn)

    def attempt(self, now: float) -> Attempt:
        """Return how this leg went, for the outcome; one being released counts as released."""
        ending = self.ending or self.release_as
        if self.answered_at is not None or ending is None:
            cause, status, reason = "SUCCESS", 200, "OK"
        else:
            cause, reason = ending.cause, ending.reason
            status = ending.sip_status if self.ending is not None else 0
        end = self.answered_at or self.ended_at or now
        ringing = max(0.0, end - self.ringing_at) if self.ringing_at is not None else 0.0
        invite, plan = self.invite, self.plan
        return Attempt(
            invite.call_id, plan.endpoint.id, plan.contact.uri, cause, status, reason, ringing
        )

    def snapshot(self) -> LegSnapshot:
        """Return the leg as notices and CDRs describe it."""
        plan, invite, ending, other = self.plan, self.invite, self.ending, self.other or _NO_OTHER
        request, endpoint = plan.request, plan.endpoint
        return LegSnapshot(
            invite.leg,
            plan.originate_id,
            plan.role,
            self.state,
            invite.call_id,
            request.account_id,
            endpoint.id,
            endpoint.kind,
            endpoint.owner_id,
            plan.caller_id,
            plan.callee_id,
            invite.request_uri,
            invite.to_uri,
            invite.from_uri,
            endpoint.user,
            endpoint.realm,
            plan.interaction_id,
            self.created_at,
            self.ringing_at,
            self.answered_at,
            self.ended_at,
            other.call_id,
            other.number,
            other.caller_id,
            ending.cause if ending else "",
            ending.q850 if ending else 0,
            ending.sip_status if ending else 0,
            ending.reason if ending else "",
            ending.party if ending else None,
            self.codec,
            MediaMode.PROCESS,  # what is done, not what was asked for
            plan.auto_answer,
            self.user_agent,
            self.to_tag,
            self.from_tag,
            self.local_sdp,
            self.remote_sdp,
            self.channel_vars,
            request.custom_application_vars,
        )


_NO_OTHER = OtherLeg("", "", CallerId())
_DO = LEG_TABLE.actions(Leg)
