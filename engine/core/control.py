"""Call control: every originate and its legs behind one door.

Pure: the runtime feeds it events and the time, and carries out its effects.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView, Mapping

from engine.core.causes import ending_by_us
from engine.core.commands import TransferProgress
from engine.core.deadlines import Deadlines
from engine.core.digits import check_digits
from engine.core.errors import Conflict, EngineUnavailable, WrongState
from engine.core.events import DestinationResolved, SipEvent, TransferRequested
from engine.core.invite import check_request
from engine.core.leg import Leg
from engine.core.leg_plans import Subject
from engine.core.originate import Originate
from engine.core.originate_table import OriginateState
from engine.core.registry import Registry
from engine.core.settings import CallSettings
from engine.core.transfer import parse_replaces
from engine.core.turn import Effects, Turn
from engine.core.uri import header_text
from engine.core.values import (
    BridgeOrder,
    CallerId,
    Endpoint,
    LegId,
    LegSnapshot,
    LegState,
    OriginateId,
    OriginateRequest,
    Party,
    PlannedAttempt,
    Refusal,
)

__all__ = ["CallControl", "CallSettings", "Effects"]

_NOTHING = Effects((), ())
_NO_CALLER_ID = CallerId()


class CallControl:
    """All live originates.

    `now` is in seconds since the epoch and must not go backwards. Every method that takes `now`
    returns its effects: commands to carry out in order, notices to tell in order. Not thread-safe.
    """

    def __init__(
        self, settings: CallSettings, new_call_id: Callable[[], str], first_leg: int = 1
    ) -> None:
        """Take the settings, the source of unique Call-IDs and the first leg id, 1 or more."""
        if first_leg < 1:
            raise ValueError(f"first_leg: {first_leg!r} is not allowed; allowed: 1 or more")
        self._settings = settings
        self._registry = Registry(new_call_id, first_leg)
        self._deadlines = Deadlines()
        self._originates: dict[OriginateId, Originate] = {}
        self._closing = False

    def originate(
        self,
        originate_id: OriginateId,
        request: OriginateRequest,
        number: str,
        endpoints: tuple[Endpoint, ...],
        interaction_id: str,
        now: float,
        owner_caller_id: CallerId = _NO_CALLER_ID,
        *,
        filter_note: str = "",
        refusal: Refusal | None = None,
    ) -> Effects:
        """Ring the endpoints; `number` is the dialled one after the number filter.

        Once it returned, exactly one `OriginateEnded` follows; with nobody to ring it is among the
        effects already. `owner_caller_id` is shown to the dialled party by devices that have no
        caller id of their own, `filter_note` goes into the outcome, `refusal` ends the originate
        before any INVITE. Raises `RequestInvalid` when a value of the request may not reach a
        header, `ValueError` when the id is in use, `Conflict` when the Call-ID that the request
        chooses is, and `EngineUnavailable` after `close`.
        """
        if self._closing:
            raise EngineUnavailable("call control is closing")
        if originate_id in self._originates:
            raise ValueError(
                f"originate_id: {originate_id!r} is not allowed; allowed: one not in use"
            )
        check_request(request, number)
        for call_id in request.chosen_call_ids:
            if self._registry.of_call_id(call_id) is not None:
                raise Conflict("call_id", call_id, "a call that is not over")
        subject = Subject(
            originate_id, request, number, interaction_id, owner_caller_id, filter_note
        )
        made = Originate(subject, self._registry)
        self._originates[originate_id] = made
        turn = self._turn(now)
        if refusal is None:
            made.start(endpoints, turn)
        else:
            made.refuse(refusal, turn)
        return self._done(made, turn)

    def handle(self, event: SipEvent | DestinationResolved, now: float) -> Effects:
        """Act on an event of the stack or the answer of the router.

        An event of a leg or an originate that does not live is late and has no effect.
        """
        turn = self._turn(now)
        if isinstance(event, DestinationResolved):
            originate = self._originates.get(event.originate_id)
            if originate is None:
                return _NOTHING
            originate.resolved(event, turn)
            if originate.wants_channel:
                self._join_as_asked(originate, turn)
        else:
            owner = self._registry.of_leg(event.leg)
            if owner is None:
                return _NOTHING
            originate = self._originates[owner]
            if isinstance(event, TransferRequested) and event.replaces:
                self._refer_with_replaces(originate, event, turn)
            else:
                originate.take(event, turn)
        return self._done(originate, turn)

    def _refer_with_replaces(
        self, originate: Originate, event: TransferRequested, turn: Turn
    ) -> None:
        """Join two calls of this engine, or leave the dialog to be replaced to who has it."""
        leg = originate.legs[event.leg]
        named = parse_replaces(event.replaces)
        owner = self._registry.of_call_id(named.call_id) if named is not None else None
        if named is None or owner is None:
            originate.take(event, turn)
            return
        other = self._originates[owner]
        found = next((theirs for theirs in other.legs.values() if named.names(theirs)), None)
        same_account = other.subject.request.account_id == originate.subject.request.account_id
        joinable = other.may_be_joined and originate.may_transfer(leg)
        talks = found is not None and other.talks(found)
        if found is None or other is originate or not (same_account and joinable and talks):
            turn.commands.append(TransferProgress(event.leg, 481, "Call Does Not Exist"))
        else:
            originate.take_over(leg, other.give_away(found, turn), turn)

    def hold(self, call_id: str, now: float, *, on: bool) -> Effects:
        """Put the peer of a talking channel on hold, or talk to it again. Idempotent.

        An unknown Call-ID has no effect: the call has ended. Raises `WrongState`.
        """
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is None:
            return _NOTHING
        originate, leg = found
        originate.hold(leg, on, turn)
        return turn.effects()

    def transfer(self, call_id: str, number: str, now: float) -> Effects:
        """Connect a talking channel to a number; the one it talks to leaves when that answers.

        An unknown Call-ID has no effect: the call has ended. Raises `WrongState` when it talks to
        nobody, `RequestInvalid` for a number that may not stand in a header.
        """
        header_text("target", number)
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is None:
            return _NOTHING
        originate, leg = found
        if leg is originate.waits:
            originate.route(leg, number, turn)
        else:
            originate.transfer(leg, number, turn)
        return turn.effects()

    def park(self, call_id: str, now: float) -> Effects:
        """Let an answered channel wait for orders; whom it talks to leaves. Idempotent.

        An unknown Call-ID has no effect: the call has ended. Raises `WrongState`.
        """
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is not None:
            found[0].park(found[1], turn)
        return turn.effects()

    def bridge(self, call_id: str, order: BridgeOrder, now: float) -> Effects:
        """Connect an answered channel to endpoints; whom it talks to leaves first.

        An unknown Call-ID has no effect: the call has ended. Raises `WrongState`.
        """
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is None:
            return _NOTHING
        originate, leg = found
        originate.bridge(leg, order, turn)
        return self._done(originate, turn)

    def intercept(self, call_id: str, other_call_id: str, now: float) -> Effects:
        """Connect an answered channel to one of another call, whose partner leaves.

        Unknown Call-IDs have no effect: the call has ended. Raises `WrongState`.
        """
        turn = self._turn(now)
        found, other = self._channel(call_id), self._channel(other_call_id)
        if found is None or other is None:
            return _NOTHING
        self._intercept(*found, *other, turn)
        return self._done(found[0], turn)

    def _intercept(
        self, originate: Originate, leg: Leg, theirs: Originate, taken: Leg, turn: Turn
    ) -> None:
        if theirs is originate:
            raise WrongState(str(taken), "a channel of the same call", "of another call")
        # All that can be refused comes before anything is done: half of it cannot be undone.
        originate.check_parks(leg)
        theirs.check_leaves(taken)
        theirs.let_go(taken, turn)
        originate.join_with(leg, taken, turn)
        theirs.left(turn)
        self._forget_ended(theirs)

    def _join_as_asked(self, originate: Originate, turn: Turn) -> None:
        """Join a leg with the channel its request names, or end the call when it cannot be."""
        name, leg = originate.wants_channel, originate.waits
        other = self._channel(name)
        same_account = (
            other is not None
            and other[0].subject.request.account_id == originate.subject.request.account_id
        )
        try:
            if other is None or leg is None or not same_account:
                raise WrongState(f"channel {name}", "not there", "a channel that lives")
            self._intercept(originate, leg, *other, turn)
        except WrongState as error:
            ending = ending_by_us("DESTINATION_OUT_OF_ORDER", Party.POLICY, str(error))
            originate.end(ending, turn)

    def send_digits(self, call_id: str, digits: str, now: float, duration_ms: int) -> Effects:
        """Send DTMF digits to the peer of an answered channel, `duration_ms` each.

        An unknown Call-ID has no effect: the call has ended. Raises `WrongState`, `RequestInvalid`.
        """
        digits = check_digits(digits, duration_ms)
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is None:
            return _NOTHING
        found[1].send_digits(digits, duration_ms, turn)
        return turn.effects()

    def play(self, call_id: str, sound: str, now: float, *, repeat: bool = False) -> Effects:
        """Play a sound to an answered channel instead of whatever else it hears.

        A channel whose media go past the engine has them brought back, for good. An unknown Call-ID
        has no effect: the call has ended. Raises `WrongState`.
        """
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is not None:
            found[0].play(found[1], sound, turn, repeat=repeat)
        return turn.effects()

    def stop_playing(self, call_id: str, now: float) -> Effects:
        """Stop what is played to a channel; no effect when nothing is."""
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is not None:
            found[1].sounds.stop(turn)
        return turn.effects()

    def record(self, call_id: str, path: str, now: float, *, max_s: float = 0.0) -> Effects:
        """Record an answered channel, for `max_s` seconds or until it ends or is stopped.

        Media and unknown Call-IDs as of `play`. Raises `WrongState`, also when it is recorded
        already.
        """
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is not None:
            found[0].record(found[1], path, max_s, turn)
        return turn.effects()

    def stop_recording(self, call_id: str, now: float) -> Effects:
        """Stop the recording of a channel; no effect when there is none."""
        turn = self._turn(now)
        found = self._channel(call_id)
        if found is not None:
            found[1].sounds.stop_recording(turn)
        return turn.effects()

    def _channel(self, call_id: str) -> tuple[Originate, Leg] | None:
        owner = self._registry.of_call_id(call_id)
        legs = self._originates[owner].legs.values() if owner is not None else ()
        leg = next((leg for leg in legs if leg.invite.call_id == call_id), None)
        return (self._originates[owner], leg) if owner is not None and leg is not None else None

    def hang_up(self, originate_id: OriginateId, now: float) -> Effects:
        """End an originate, in every state. An unknown id has no effect: the call has ended."""
        originate = self._originates.get(originate_id)
        if originate is None:
            return _NOTHING
        turn = self._turn(now)
        originate.hang_up(turn)
        return self._done(originate, turn)

    def expire(self, now: float) -> Effects:
        """Act on the earliest deadline, if it has passed.

        One at a time, so that a fault in one call does not take the effects of another with it;
        `next_deadline` tells whether more are due.
        """
        due = self._deadlines.pop_due(now)
        if due is None:
            return _NOTHING
        originate_id, leg = due
        originate = self._originates[originate_id]
        turn = self._turn(now)
        if leg is None:
            originate.expire(turn)
        else:
            originate.expire_leg(leg, turn)
        return self._done(originate, turn)

    def close(self, now: float) -> Effects:
        """Hang everything up with cause SYSTEM_SHUTDOWN and take no more originates."""
        self._closing = True
        turn = self._turn(now)
        for originate in list(self._originates.values()):
            originate.hang_up(turn, "SYSTEM_SHUTDOWN")
            self._forget_ended(originate)
        return turn.effects()

    def next_deadline(self) -> float | None:
        """Return when `expire` has something to do, None when nothing is waited for."""
        return self._deadlines.next()

    def originate_of(self, leg: str | LegId) -> OriginateId | None:
        """Return the live originate of a leg by its Call-ID or id.

        By Call-ID it is found before its leg is dialled and after that has gone, too.
        """
        if isinstance(leg, str):
            return self._registry.of_call_id(leg)
        return self._registry.of_leg(leg)

    def legs_of(self, originate_id: OriginateId) -> tuple[LegSnapshot, ...]:
        """Return the live legs of an originate in the order they were made."""
        originate = self._originates.get(originate_id)
        legs = originate.legs.values() if originate is not None else ()
        return tuple(leg.snapshot() for leg in legs if leg.dialed_at is not None)

    def planned(self, originate_id: OriginateId) -> tuple[PlannedAttempt, ...]:
        """Return the INVITEs to the endpoint of a live originate, those sent later too."""
        originate = self._originates.get(originate_id)
        return () if originate is None else originate.planned()

    def snapshots(self, account_id: str | None = None) -> tuple[LegSnapshot, ...]:
        """Return the live legs of an account, of all when it is None, oldest call first."""
        return tuple(
            leg.snapshot()
            for originate in self._originates.values()
            if account_id is None or originate.subject.request.account_id == account_id
            for leg in originate.legs.values()
            if leg.dialed_at is not None
        )

    def leg_states(self) -> dict[str, int]:
        """Return how many dialled legs live in each state."""
        found = dict.fromkeys((state.value for state in LegState), 0)
        for originate in self._originates.values():
            for leg in originate.legs.values():
                found[leg.state.value] += leg.dialed_at is not None
        return found

    def snapshot(self, call_id: str) -> LegSnapshot | None:
        """Return the live leg of a Call-ID, None when there is none."""
        found = self._channel(call_id)
        return found[1].snapshot() if found is not None and found[1].dialed_at is not None else None

    def channel_ids(
        self,
        account_id: str | None = None,
        wanted: Callable[[Mapping[str, object]], bool] | None = None,
    ) -> list[str]:
        """Return the Call-IDs of the live legs of an account, of all when it is None.

        `wanted` is asked with the channel variables of each. Cheaper by far than snapshots.
        """
        return [
            leg.invite.call_id
            for originate in self._originates.values()
            if account_id is None or originate.subject.request.account_id == account_id
            for leg in originate.legs.values()
            if leg.dialed_at is not None and (wanted is None or wanted(leg.channel_vars))
        ]

    def leg_ids(self) -> KeysView[LegId]:
        """Return a view of the live legs, for audits; those not dialled yet are among them."""
        return self._registry.leg_ids()

    def call_ids(self) -> KeysView[str]:
        """Return a view of the Call-IDs of the live originates, for audits."""
        return self._registry.call_ids()

    def originate_ids(self) -> KeysView[OriginateId]:
        """Return a view of the originates whose terminal event has not been told, for audits."""
        return self._originates.keys()

    def expects(self, leg: LegId) -> bool:
        """Return whether a leg was dialled and its end has not been reported."""
        owner = self._registry.of_leg(leg)
        found = self._originates[owner].legs.get(leg) if owner is not None else None
        return found is not None and found.state not in (LegState.IDLE, LegState.ENDED)

    @property
    def legs(self) -> int:
        """Legs that live now, those being released too."""
        return len(self._registry)

    @property
    def originates(self) -> int:
        """Originates whose terminal event has not been told."""
        return len(self._originates)

    @property
    def deadlines(self) -> int:
        """Deadlines that run now."""
        return len(self._deadlines)

    def _turn(self, now: float) -> Turn:
        return Turn(now, self._deadlines, self._settings)

    def _done(self, originate: Originate, turn: Turn) -> Effects:
        self._forget_ended(originate)
        return turn.effects()

    def _forget_ended(self, originate: Originate) -> None:
        if originate.state is OriginateState.ENDED:
            self._registry.forget(originate.subject.id)
            del self._originates[originate.subject.id]
