"""One half-call: our side of one INVITE dialog.

Theory. A leg waits for its turn (IDLE), is dialled once and ends once; one that is given up while
it waits ends without a word, for nobody has heard of it. Provisional responses (RFC 3261 13.2.2.1)
move it from DIALING to RINGING (18x without SDP) or EARLY (1xx with SDP); a 200 may come first of
all, because an auto-answering phone need not ring. Ending takes two steps, because the wire needs
time: HANG_UP sends CANCEL or BYE and moves to ENDING, and only the stack's report that dialog and
transactions are over moves to ENDED. In between a 200 may cross our CANCEL (RFC 3261 9.1): the
stack acknowledges it and sends BYE, and the leg ignores it, for it has been given up. A leg has one
deadline at a time: to be dialled, while it waits; for the first 18x and the answer, while it rings
(`engine.core.limits`); for the report of its end, while it is ending, so that nothing outlives its
call. The stack may report the sent INVITE again, with another tag, when it had to send it with
credentials.

A leg whose dialog is over while it is recorded has one more step: WRITING, until its file is
complete, so that RECORD_STOP comes before CHANNEL_DESTROY and tells of a file that can be read. A
disk that does not answer holds it up for `FILE_GUARD_S` at most.

A leg knows no other leg. What its notices say about the other side is told to it as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from engine.core.causes import Ending, ending_by_peer, ending_by_us, reason_header
from engine.core.commands import Dial, HangUp, NotifyTalk, Reoffer, SendDigits
from engine.core.deadlines import Owner
from engine.core.errors import WrongState
from engine.core.events import (
    ChannelNotice,
    HopsFound,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegHeard,
    LegRang,
    LegRecorded,
    LegRenegotiated,
    LegSilent,
    SipEvent,
)
from engine.core.leg_plan import LegPlan, OtherLeg
from engine.core.leg_table import LEG_TABLE, LegInput
from engine.core.limits import limits_of
from engine.core.media_values import NO_MEDIA, MediaReport
from engine.core.sounds import LegSounds
from engine.core.turn import Turn
from engine.core.values import (
    Attempt,
    CallerId,
    IgnoreEarlyMedia,
    LegRole,
    LegSnapshot,
    LegState,
    MediaMode,
    OriginateId,
    Party,
)

_I = LegInput
_NO_DETAILS: Mapping[str, object] = {}

_EVENT_INPUTS: dict[type[SipEvent], LegInput] = {
    LegDialed: _I.DIALED,
    LegRang: _I.RANG,
    LegGaveEarlyMedia: _I.EARLY_MEDIA,
    LegAnswered: _I.ANSWERED,
    LegRenegotiated: _I.RENEGOTIATED,
    HopsFound: _I.HOPS,
    LegEnded: _I.ENDED,
    LegRecorded: _I.RECORDED,
}
FILE_GUARD_S = 1.0
"""Longest wait for the file of a recording whose leg has ended, seconds: the media plane writes
what it has within milliseconds."""


class Leg:
    """A half-call from its INVITE to its end."""

    __slots__ = (
        "alerted",
        "answered_at",
        "bypassed",
        "channel_vars",
        "codec",
        "created_at",
        "dialed_at",
        "ended_at",
        "ending",
        "from_tag",
        "heard_from",
        "held",
        "hops",
        "invite",
        "limits",
        "local_sdp",
        "media",
        "one_way",
        "other",
        "parked",
        "plan",
        "redirects",
        "release_as",
        "remote_sdp",
        "report",
        "ringing_at",
        "sounds",
        "state",
        "timed_out",
        "to_tag",
        "user_agent",
    )

    def __init__(self, plan: LegPlan, invite: Dial, now: float) -> None:
        """Prepare a leg at `now`; `start` or `wait` has its INVITE sent."""
        self.plan = plan
        self.invite = invite
        self.limits = limits_of(plan.role, plan.endpoint, plan.request)
        self.state = LegState.IDLE
        self.created_at = now
        self.dialed_at: float | None = None
        self.ringing_at: float | None = None
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.ending: Ending | None = None
        self.release_as: Ending | None = None
        """Why this side gave the leg up, None while it has not."""
        self.timed_out = False
        """It was given up because nobody answered in its own time."""
        self.hops: tuple[str, ...] = ()
        """Where else the INVITE may be sent when it fails (RFC 3263 4.3)."""
        self.redirects: tuple[str, ...] = ()
        """Contact header values of the 3xx that ended it."""
        self.held = False
        """The peer has us on hold."""
        self.parked = False
        """We have the peer on hold."""
        self.alerted = False
        self.other: OtherLeg | None = None
        self.channel_vars = plan.channel_vars
        self.media = NO_MEDIA
        self.heard_from = ""
        """`ip:port` that its RTP comes from, empty: none has come."""
        self.one_way = False
        """The other side is heard and this one is not, or was not for a while."""
        self.bypassed = False
        """Its peer sends its media to the other peer."""
        self.report: MediaReport | None = None
        """How its media went, once it has ended."""
        self.sounds = LegSounds(invite.leg)
        self.codec = self.to_tag = self.from_tag = self.local_sdp = self.remote_sdp = ""
        self.user_agent = plan.contact.user_agent

    def __str__(self) -> str:
        """Return how errors name this leg."""
        return f"leg {self.invite.leg} ({self.plan.role.value}, {self.invite.call_id})"

    @property
    def failure(self) -> Ending | None:
        """How the attempt failed by itself; None while it lives, or when this side gave it up."""
        if self.timed_out:
            return self.release_as
        return self.ending if self.release_as is None else None

    def start(self, turn: Turn) -> None:
        """Send the INVITE, or wait for its delay. Raises `MachineError` the second time."""
        if self.limits.delay > 0 and self.state is LegState.IDLE:
            turn.deadlines.set(self._deadline_key, turn.now + self.limits.delay)
        else:
            self._feed(LegInput.DIAL, turn, None)

    def take(self, event: SipEvent, turn: Turn) -> LegInput | None:
        """Act on an event of the stack. Return what it was, None when it was ignored."""
        given = _EVENT_INPUTS.get(type(event))
        if given is _I.ENDED and self.sounds.recording:
            given = _I.GONE
        return given if given is not None and self._feed(given, turn, event) else None

    def hear_from(self, event: LegHeard | LegSilent, turn: Turn) -> None:
        """Note where its RTP comes from, or that none comes while the other side is heard."""
        if isinstance(event, LegHeard):
            self.heard_from = event.source
        elif not self.one_way:
            self.one_way = True
            self.announce("MEDIA_ONE_WAY", turn, {"Silence-Seconds": event.seconds})

    def hold(self, on: bool, turn: Turn) -> None:
        """Put the peer on hold, or talk to it again."""
        self.park(on, turn)
        turn.commands.append(Reoffer(self.invite.leg, on))

    def send_digits(self, digits: str, duration_ms: int, turn: Turn) -> None:
        """Send DTMF digits to the peer. Raises `WrongState` unless it has answered."""
        if self.state is not LegState.ANSWERED:
            raise WrongState(str(self), self.state, LegState.ANSWERED)
        turn.commands.append(SendDigits(self.invite.leg, digits, duration_ms))

    def park(self, on: bool, turn: Turn) -> None:
        """Note that the peer is on hold, or no more."""
        self.parked = on
        self._tell_hold(turn, also=self.held)

    def _tell_hold(self, turn: Turn, *, also: bool) -> None:
        """A leg is on hold as long as either side wants it; `also`: the one that did not change."""
        if not also:
            self._tell("CHANNEL_HOLD" if self.held or self.parked else "CHANNEL_UNHOLD", turn)

    def move(self, originate_id: OriginateId, turn: Turn) -> None:
        """Belong to another originate from now on."""
        turn.deadlines.clear(self._deadline_key)
        self.plan = replace(self.plan, originate_id=originate_id)
        if self.state is LegState.WRITING:
            turn.deadlines.set(self._deadline_key, turn.now + FILE_GUARD_S)

    def hang_up(self, cause: str, party: Party, turn: Turn, reason: str = "") -> None:
        """Give the leg up: from now on its cause is `cause`, whatever the wire says. Idempotent."""
        self._feed(LegInput.HANG_UP, turn, ending_by_us(cause, party, reason))

    def expire(self, turn: Turn) -> None:
        """Act on its deadline: be dialled, be given up, or end. Raises `MachineError` without."""
        self._feed(LegInput.DEADLINE, turn, None)

    @property
    def _deadline_key(self) -> Owner:
        return (self.plan.originate_id, self.invite.leg)

    def _set_deadline(self, turn: Turn) -> None:
        at = self.limits.deadline(self.created_at, alerted=self.ringing_at is not None)
        if at is None:
            turn.deadlines.clear(self._deadline_key)
        else:
            turn.deadlines.set(self._deadline_key, at)

    def _feed(self, given: LegInput, turn: Turn, what: SipEvent | Ending | None) -> bool:
        transition = LEG_TABLE.step(self.state, given, self)
        if transition is None:
            return False
        self.state = transition.state
        _DO[transition.action](self, what, turn)
        return True

    def dial(self, _what: None, turn: Turn) -> None:
        """Action: order the INVITE and announce the channel."""
        self.created_at = self.dialed_at = turn.now
        turn.commands.append(self.invite)
        self._set_deadline(turn)
        self._tell("CHANNEL_CREATE", turn)

    def drop(self, ending: Ending, turn: Turn) -> None:
        """Action: end before the INVITE; there is nobody to tell."""
        turn.deadlines.clear(self._deadline_key)
        self.release_as = self.ending = ending
        self.ended_at = turn.now

    def note_dialed(self, event: LegDialed, _turn: Turn) -> None:
        """Action: keep tag and offer for notices."""
        self.from_tag = event.from_tag
        self.local_sdp = event.local_sdp

    def note_hops(self, event: HopsFound, _turn: Turn) -> None:
        """Action: keep where the INVITE goes, and where else it may."""
        self.invite = replace(self.invite, next_hop=event.hops[0])
        self.hops = event.hops[1:]

    def ring(self, event: LegRang, turn: Turn) -> None:
        """Action: report the first 180, also when it comes after early media."""
        if self.alerted:
            return
        self.alerted = True
        self._note_ringing(event, turn)
        self._tell("CHANNEL_PROGRESS", turn)

    def _note_ringing(self, event: LegRang | LegGaveEarlyMedia, turn: Turn) -> None:
        if self.ringing_at is None:
            self.ringing_at = turn.now
            self._set_deadline(turn)
            if event.talk and self.plan.auto_answer.talks:
                turn.commands.append(NotifyTalk(self.invite.leg))

    def hear(self, event: LegGaveEarlyMedia, turn: Turn) -> None:
        """Action: report early media, as ringing where that is all it shall be."""
        self._note_ringing(event, turn)
        self.codec, self.media = event.codec, event.media
        self.remote_sdp = event.remote_sdp
        if self.plan.role is LegRole.A and self.ignores_early_media == "ring_ready":
            if not self.alerted:
                self.alerted = True
                self._tell("CHANNEL_PROGRESS", turn)
        else:
            self._tell("CHANNEL_PROGRESS_MEDIA", turn)

    @property
    def ignores_early_media(self) -> IgnoreEarlyMedia:
        """What its early media is to the caller: as the device says, else as the request does."""
        own = self.plan.endpoint.ignore_early_media
        return self.plan.request.ignore_early_media if own is None else own

    def answer(self, event: LegAnswered, turn: Turn) -> None:
        """Action: report the answer."""
        turn.deadlines.clear(self._deadline_key)
        self.answered_at = turn.now
        self.codec, self.media = event.codec, event.media
        self.to_tag = event.to_tag
        self.user_agent = event.user_agent or self.user_agent
        self.remote_sdp = event.remote_sdp or self.remote_sdp
        self._tell("CHANNEL_ANSWER", turn)

    def renegotiate(self, event: LegRenegotiated, turn: Turn) -> None:
        """Action: keep what was agreed anew; report hold and its end."""
        self.codec, self.media, self.remote_sdp = event.codec, event.media, event.remote_sdp
        if event.held != self.held:
            self.held = event.held
            self._tell_hold(turn, also=self.parked)

    def expire_attempt(self, _what: None, turn: Turn) -> None:
        """Action: give up an attempt that nobody answered in its own time."""
        self.timed_out = True
        cause = self.limits.cause(alerted=self.ringing_at is not None)
        self.release(ending_by_us(cause, Party.TIMEOUT), turn)

    def release(self, ending: Ending, turn: Turn) -> None:
        """Action: order CANCEL or BYE and start the guard."""
        self.release_as = ending
        own = self.plan.endpoint.ignore_completed_elsewhere
        silent = self.plan.request.ignore_completed_elsewhere if own is None else own
        # A phone that is not told where the call went shows it as missed.
        told = "" if silent and ending.cause == "LOSE_RACE" else reason_header(ending.cause)
        turn.commands.append(HangUp(self.invite.leg, told))
        turn.deadlines.set(self._deadline_key, turn.now + turn.settings.cancel_guard_s)

    def end(self, event: LegEnded, turn: Turn) -> None:
        """Action: report the end; what this side gave the leg up for is the cause of it."""
        self.redirects, self.report = event.contacts, event.report
        self._finish(self._ending_of(event, turn), turn)

    def keep_end(self, event: LegEnded, turn: Turn) -> None:
        """Action: note the end, to report it when the file of the recording is complete."""
        self.report, self.ended_at = event.report, turn.now
        self.ending = self._ending_of(event, turn)
        turn.deadlines.set(self._deadline_key, turn.now + FILE_GUARD_S)

    def note_release(self, ending: Ending, _turn: Turn) -> None:
        """Action: note that nobody waits for the peer's end any more; it has come already."""
        self.release_as = ending

    def end_as_kept(self, _what: LegRecorded | None, turn: Turn) -> None:
        """Action: report the end that was noted."""
        assert self.ending is not None
        self._finish(self.ending, turn)

    def _ending_of(self, event: LegEnded, turn: Turn) -> Ending:
        ours = self.release_as
        if ours is not None:
            reason = ours.reason if ours.reason != ours.cause else event.reason or ours.cause
            return Ending(ours.cause, ours.q850, event.sip_status, reason, ours.party)
        return ending_by_peer(
            answered=self.answered_at is not None,
            sip_status=event.sip_status,
            q850=event.q850,
            reason=event.warning or event.reason,
            party=event.party,
            sip_cause=event.sip_cause,
            honour=turn.settings.honour_remote_reason,
        )

    def give_up(self, _what: None, turn: Turn) -> None:
        """Action: end a leg whose end was never reported."""
        name = "RECOVERY_ON_TIMER_EXPIRE"
        reason = f"no end within {turn.settings.cancel_guard_s:g} s of the hang-up"
        self._finish(Ending(name, 102, 0, reason, Party.TIMEOUT), turn)

    def _finish(self, ending: Ending, turn: Turn) -> None:
        turn.deadlines.clear(self._deadline_key)
        self.sounds.abandon_recording(turn, self._tell)
        self.ending = ending
        if self.ended_at is None:
            self.ended_at = turn.now
        self._tell("CHANNEL_DESTROY", turn)

    def _tell(self, name: str, turn: Turn, details: Mapping[str, object] = _NO_DETAILS) -> None:
        turn.notices.append(ChannelNotice(name, turn.now, self.snapshot(), details))

    def announce(self, name: str, turn: Turn, details: Mapping[str, object] = _NO_DETAILS) -> None:
        """Emit a notice that others decide on, of bridges and transfers; none when it is gone."""
        if self.state is not LegState.ENDED:
            self._tell(name, turn, details)

    def attempt(self, now: float) -> Attempt:
        """Return how this leg went, for the outcome; one being released counts as released."""
        ending = self.ending or self.release_as
        if self.answered_at is not None or ending is None:
            cause, status, reason = "SUCCESS", 200, "OK"
        else:
            cause, reason = ending.cause, ending.reason
            ended = self.ending is not None and self.dialed_at is not None
            status = ending.sip_status if ended else 0
        end = self.answered_at or self.ended_at or now
        ringing = max(0.0, end - self.ringing_at) if self.ringing_at is not None else 0.0
        invite, plan = self.invite, self.plan
        return Attempt(
            invite.call_id,
            plan.endpoint.id,
            plan.contact.uri,
            cause,
            status,
            reason,
            ringing,
            plan.role,
            invite.next_hop,
            self.dialed_at,
            self.ended_at,
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
            MediaMode.BYPASS if self.bypassed else MediaMode.PROCESS,
            plan.auto_answer.asked,
            self.held or self.parked,
            self.user_agent,
            self.to_tag,
            self.from_tag,
            self.local_sdp,
            self.remote_sdp,
            self.channel_vars,
            request.custom_application_vars,
            *plan.auto_answer.result(self.ringing_at or self.created_at, self.answered_at),
            self.media.security,
            self.report,
            self.one_way,
            self.sounds.recordings,
        )


_NO_OTHER = OtherLeg("", "", CallerId())
_DO = LEG_TABLE.actions(Leg)
