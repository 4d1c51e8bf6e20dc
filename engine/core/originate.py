"""Ring A; when it answers, ask where the number goes, dial B, join the two.

Theory. One originate owns every leg made for it. The contacts of the rung endpoint (A) are dialled
at once or one after the other, and the first answer wins; with early media that counts
(`ignore_early_media` off) the first 1xx with SDP wins instead, which is an answer to whoever asked
for the call, but B is dialled only after the real answer. The losers get a CANCEL that says
"completed elsewhere". The dialled side (B) is a hunt over groups of attempts that ring at once.
What may stand in for an attempt that failed is the business of `engine.core.ringing`. Whatever ends
the call first (a hang-up of either side, a failure, a timeout, an order) decides cause and party of
the outcome; every other leg is then released, and when the last has gone the one terminal event is
told. Nobody to ring: the terminal event comes at once, with DESTINATION_OUT_OF_ORDER as Kazoo has
it. A number that may not be dialled (a blocklist, a restriction) is refused before any INVITE, and
again when A has answered, should it be barred by then: the terminal event says why.
`OriginateDecided` tells whoever waits for the ringing what came of it, as soon as that is known.

Two legs that talk may be held and transferred: `engine.core.talking`.

What a leg's event means here depends on the leg: the end of a leg this side gave up is LEG_GONE in
every state, so the other endings (ATTEMPT_FAILED to B_LEFT) are always the other side's doing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.core.attempts import Target, fork, hunt, one_by_one
from engine.core.causes import Ending, ending_by_us, most_telling
from engine.core.commands import ResolveDestination
from engine.core.digits import Digits
from engine.core.endings import NOBODY, ending_of_media, ending_of_nowhere, ending_of_refusal
from engine.core.events import (
    DestinationResolved,
    LegEnded,
    LegHeard,
    LegMediaFailed,
    LegPlayed,
    LegRecorded,
    LegRenegotiated,
    LegReofferFailed,
    LegSentDigit,
    LegSilent,
    OriginateDecided,
    OriginateEnded,
    SipEvent,
    TransferRequested,
)
from engine.core.leg import Leg
from engine.core.leg_maker import LegMaker
from engine.core.leg_plans import Subject
from engine.core.leg_table import LegInput
from engine.core.orders import BRIDGED, Ordered
from engine.core.originate_table import ORIGINATE_TABLE, OriginateInput, OriginateState
from engine.core.outcome import cause_for, outcome_of
from engine.core.registry import Registry
from engine.core.ringing import Ringing, Verdict
from engine.core.sounds import Sound
from engine.core.talk import Talk
from engine.core.turn import Turn
from engine.core.values import (
    DialMethod,
    Endpoint,
    LegId,
    LegRole,
    LegState,
    Outcome,
    Party,
    PlannedAttempt,
    Refusal,
)

_S, _I = OriginateState, OriginateInput
ANNOUNCEMENT_S = 60.0
"""Longest announcement; then the call ends all the same."""
_RUNG = (_S.RINGING, _S.CONNECTING, _S.TRANSFERRING)
"""States in which a side is rung."""


class Originate(Ordered):
    """One accepted request until its terminal event."""

    __slots__ = ("_digits", "_ending", "_ringing_won", "_sides", "a")

    def __init__(self, subject: Subject, registry: Registry) -> None:
        """Prepare an originate; `start` dials."""
        super().__init__(subject, LegMaker(subject, registry))
        self.a: Leg | None = None
        """The A-leg that won."""
        self._digits = Digits()
        self._sides: list[Ringing] = []
        self._ending: Ending | None = None
        self._ringing_won = False

    # --- inputs ---

    def start(self, endpoints: Iterable[Endpoint], turn: Turn) -> None:
        """Ring the contacts of the endpoints, or end at once when there is none."""
        targets = fork(tuple(endpoints), turn.settings.max_attempts)
        self._maker.alone = len(targets) == 1
        single = self.subject.request.dial_method is DialMethod.SINGLE
        groups = one_by_one(targets) if single else (targets,)
        self._ring(Ringing(LegRole.A, groups, self._maker.a, self._maker.new_a_ids))
        if self._ringing.ring_next(turn):
            self._feed(_I.START, None, turn)
            return
        endings = self._ringing.endings()
        nobody = ending_by_us("DESTINATION_OUT_OF_ORDER", Party.POLICY, NOBODY)
        self._ending = most_telling(endings) if endings else nobody
        self._feed(_I.NOBODY, None, turn)

    def refuse(self, refusal: Refusal, turn: Turn) -> None:
        """End at once, without an INVITE: the number may not be dialled."""
        self._ending = ending_of_refusal(refusal)
        self._feed(_I.REFUSED, None, turn)

    def take(self, event: SipEvent, turn: Turn) -> None:
        """Act on an event of one of its legs."""
        leg = self.legs[event.leg]
        _TAKE.get(type(event), Originate._progressed)(self, leg, event, turn)

    def _progressed(self, leg: Leg, event: SipEvent, turn: Turn) -> None:
        self._taken(leg, leg.take(event, turn), turn)

    def _dialog_ended(self, leg: Leg, event: LegEnded, turn: Turn) -> None:
        if self._talk is not None:
            # The bridge goes first: CHANNEL_UNBRIDGE comes before CHANNEL_DESTROY of either leg.
            self._talk.part(leg, turn)
        self._progressed(leg, event, turn)

    def _reoffer_failed(self, leg: Leg, event: LegReofferFailed, turn: Turn) -> None:
        if self._talk is not None:
            self._talk.reoffer_failed(leg, event.reason, turn)

    def _pressed(self, leg: Leg, event: LegSentDigit, turn: Turn) -> None:
        hearer = self._talk.hearer(leg) if self._talk is not None else None
        self._digits.take(leg, event, hearer, turn)

    def _taken(self, leg: Leg, given: LegInput | None, turn: Turn) -> None:
        if given is LegInput.ENDED:
            self._leg_ended(leg, turn)
        elif given is LegInput.ANSWERED:
            self._feed(_I.A_ANSWERED if leg.plan.role is LegRole.A else _I.B_ANSWERED, leg, turn)
        elif given is LegInput.EARLY_MEDIA:
            if leg.plan.role is LegRole.B:
                if not leg.plan.endpoint.ignore_early_media:
                    self._feed(_I.B_EARLY_MEDIA, leg, turn)
            elif leg.ignores_early_media is False:
                self._feed(_I.A_EARLY_MEDIA, leg, turn)
        elif given is LegInput.RANG and self.state is _S.TRANSFERRING:
            self._talking().target_rings(turn)

    def _renegotiated(self, leg: Leg, event: LegRenegotiated, turn: Turn) -> None:
        was_held = leg.held
        if leg.take(event, turn) is not None and self._talk is not None:
            self._talk.renegotiated(leg, was_held, turn, by_us=event.by_us)

    def _played(self, leg: Leg, event: LegPlayed, turn: Turn) -> None:
        leg.sounds.played(event, turn, leg.announce)
        if event.play == Sound.ANNOUNCEMENT and self.state is _S.ANNOUNCING:
            self._feed(_I.ANNOUNCED, None, turn)

    def _recorded(self, leg: Leg, event: LegRecorded, turn: Turn) -> None:
        leg.sounds.recorded(event, turn, leg.announce)
        if not leg.sounds.recording and leg.take(event, turn) is LegInput.RECORDED:
            self._leg_ended(leg, turn)

    def _heard(self, leg: Leg, event: LegHeard, turn: Turn) -> None:
        leg.hear_from(event, turn)

    def _silent(self, leg: Leg, event: LegSilent, turn: Turn) -> None:
        if event.one_way:
            leg.hear_from(event, turn)
        else:
            self._media_failed(leg, event, turn)

    def _media_failed(self, leg: Leg, event: LegSilent | LegMediaFailed, turn: Turn) -> None:
        if leg.release_as is None:
            self._feed(_I.HANG_UP, ending_of_media(event), turn)

    def expire_leg(self, leg_id: LegId, turn: Turn) -> None:
        """Act on the deadline of a leg: it is dialled, given up, or its guard ran out."""
        leg = self.legs[leg_id]
        leg.expire(turn)
        if leg.state is LegState.ENDED:
            self._leg_ended(leg, turn)
        elif leg.timed_out and leg is self.a:
            self._feed(_I.RINGING_FAILED, leg.failure, turn)
        elif leg.timed_out:
            self._attempt_failed(leg, turn)

    def resolved(self, destination: DestinationResolved, turn: Turn) -> None:
        """Dial where the router says: for the call, or for a leg that redirects or transfers."""
        if destination.for_leg is not None:
            self._resolved_for(destination.for_leg, destination, turn)
            return
        if destination.park and self.state is _S.ROUTING:
            self._feed(_I.PARK, self._talking().near, turn)
            return
        groups = hunt(destination.endpoints, turn.settings.max_attempts)
        if destination.refusal is not None or not groups:
            self._fail(_I.UNROUTABLE, ending_of_nowhere(destination), turn)
            return
        if self.state is _S.ROUTING:
            self._ring_b(destination.number, groups)
        self._feed(_I.ROUTED, None, turn)

    def _resolved_for(self, leg: LegId, destination: DestinationResolved, turn: Turn) -> None:
        """An answer that comes after the leg's call has gone on is of no use any more."""
        transfer = self._talk.transfer if self._talk is not None else None
        if self.state in _RUNG and self._ringing.asks(leg):
            verdict = self._ringing.redirected(leg, destination, turn)
            self._go_on(verdict, self._ringing.role, turn)
        elif self.state is _S.TALKING and transfer is not None and transfer.asked_by == leg:
            groups = hunt(destination.endpoints, turn.settings.max_attempts)
            if destination.refusal is not None or not groups:
                self._talking().refuse_transfer(ending_of_nowhere(destination), turn)
                return
            self._ring_b(destination.number, groups)
            self._feed(_I.TRANSFER, None, turn)

    def expire(self, turn: Turn) -> None:
        """End what took too long: the ringing, the router's answer, the talk, a transfer."""
        if self.state is _S.TRANSFERRING:
            self._drop_rivals(None, turn)
            self._side_failed(ending_by_us("NO_ANSWER", Party.TIMEOUT), turn)
            return
        if self.state is _S.CONNECTING and self._order is not None:
            self._drop_rivals(None, turn)
            self._order_failed(ending_by_us("NO_ANSWER", Party.TIMEOUT), turn)
            return
        if self.state is _S.ROUTING:
            ending = ending_by_us(
                "NORMAL_TEMPORARY_FAILURE", Party.TIMEOUT, "the router did not answer"
            )
        else:
            allotted = self.state in (_S.TALKING, _S.PARKED)
            name = "ALLOTTED_TIMEOUT" if allotted else "NO_ANSWER"
            ending = ending_by_us(name, Party.TIMEOUT)
        self._feed(_I.TIMEOUT, ending, turn)

    def hang_up(self, turn: Turn, name: str = "") -> None:
        """End the call by order.

        The cause is `name` when given, else NORMAL_CLEARING when the two talk and ORIGINATOR_CANCEL
        before.
        """
        talking = self.state in (_S.TALKING, _S.TRANSFERRING, _S.PARKED)
        name = name or ("NORMAL_CLEARING" if talking else "ORIGINATOR_CANCEL")
        self.end(ending_by_us(name, Party.LOCAL), turn)

    def end(self, ending: Ending, turn: Turn) -> None:
        """End the call by order, as `ending` says."""
        self._feed(_I.HANG_UP, ending, turn)

    def planned(self) -> tuple[PlannedAttempt, ...]:
        """Return the INVITEs of the rung side, those sent later too."""
        return tuple(
            PlannedAttempt(target.endpoint, target.contact, call_id)
            for target, (_, call_id) in self._sides[0].planned
        )

    def _feed(self, given: OriginateInput, what: Leg | Ending | None, turn: Turn) -> None:
        transition = ORIGINATE_TABLE.step(self.state, given, self)
        if transition is not None:
            self.state = transition.state
            _DO[transition.action](self, what, turn)

    # --- what the end of a leg means ---

    def _leg_ended(self, leg: Leg, turn: Turn) -> None:
        self._maker.strike_out(leg)
        if leg.release_as is not None:
            self._feed(_I.LEG_GONE, None, turn)
        else:
            self._leg_left(leg, turn)
        if self.state is _S.ENDING and not self.legs:
            self._feed(_I.LAST_LEG_GONE, None, turn)

    def _leg_left(self, leg: Leg, turn: Turn) -> None:
        own, talk = leg.ending, self._talk
        if self.state is _S.TRANSFERRING and talk is not None and leg is talk.far:
            self._feed(_I.TRANSFEROR_LEFT, None, turn)
        elif talk is not None and leg is talk.near:
            talks = self.state in (_S.TALKING, _S.TRANSFERRING, _S.PARKED)
            if own is not None and not talks:
                own = ending_by_us("ORIGINATOR_CANCEL", own.party, "A left before B answered")
            self._feed(_I.A_LEFT, own, turn)
        elif talk is not None and leg is talk.far:
            stays = self._stays() and self.state is _S.TALKING
            self._tell_order(BRIDGED, turn)
            self._feed(_I.NEAR_STAYS if stays else _I.B_LEFT, own, turn)
        elif leg is self.a:
            self._feed(_I.RINGING_FAILED, own, turn)
        else:
            self._attempt_failed(leg, turn)

    def _attempt_failed(self, leg: Leg, turn: Turn) -> None:
        self._go_on(self._ringing.failed(leg, turn), leg.plan.role, turn)

    def _go_on(self, verdict: Verdict, role: LegRole, turn: Turn) -> None:
        """Act on what became of a side when an attempt came to nothing."""
        rung = role is LegRole.A
        if verdict.rings:
            self._feed(_I.ATTEMPT_FAILED if rung else _I.B_ATTEMPT_FAILED, None, turn)
        elif verdict.more:
            given = _I.A_GROUP_FAILED if rung else _I.B_GROUP_FAILED
            self._feed(given, verdict.ending, turn)
        else:
            self._side_failed(verdict.ending, turn)

    def _side_failed(self, ending: Ending, turn: Turn) -> None:
        transfer = self._talk.transfer if self._talk is not None else None
        if self._ringing.role is LegRole.A:
            self._feed(_I.RINGING_FAILED, ending, turn)
        elif transfer is not None and transfer.transferor is not None:
            self._feed(_I.TRANSFER_FAILED, ending, turn)
        elif self._order is not None and self.state is _S.CONNECTING:
            self._order_failed(ending, turn)
        else:
            self._fail(_I.B_FAILED, ending, turn)

    def _fail(self, given: OriginateInput, ending: Ending, turn: Turn) -> None:
        """End the call, after an announcement to who is left where there is one for the cause."""
        waits = self.state in (_S.ROUTING, _S.CONNECTING, _S.TRANSFERRING)
        told = waits and ending.cause in turn.settings.announcements
        self._feed(_I.ANNOUNCE if told else given, ending, turn)

    # --- actions ---

    def ring(self, _what: None, turn: Turn) -> None:
        """Action: start the ring timeout."""
        turn.deadlines.set((self.subject.id, None), turn.now + self.subject.request.timeout)

    def ring_next(self, ending: Ending, turn: Turn) -> None:
        """Action: ring the next of the endpoint's contacts."""
        if not self._ringing.ring_next(turn):
            self._side_failed(ending, turn)

    def win_early(self, leg: Leg, turn: Turn) -> None:
        """Action: early media that counts makes this leg the winner; the ring timeout goes on."""
        self.a = leg
        self._ringing_won = True
        self._drop_rivals(leg, turn)
        turn.notices.append(OriginateDecided(turn.now, self._outcome(turn.now, final=False)))

    def win(self, leg: Leg, turn: Turn) -> None:
        """Action: the first answer wins."""
        self.win_early(leg, turn)
        self.ask(leg, turn)

    def ask(self, leg: Leg, turn: Turn) -> None:
        """Action: ask the router where the number goes."""
        subject = self.subject
        self._talk = Talk(leg)
        self._maker.rung = leg
        turn.deadlines.set((subject.id, None), turn.now + turn.settings.route_s)
        turn.commands.append(ResolveDestination(subject.id, subject.request, subject.number))

    def dial_next(self, what: Leg | Ending | None, turn: Turn) -> None:
        """Action: dial the next group of the hunt that can be dialled."""
        del what
        if self._ringing.ring_next(turn):
            self._talking().wait(turn)
            longest = (self._order.timeout if self._order else 0.0) or turn.settings.b_ring_s
            turn.deadlines.set((self.subject.id, None), turn.now + longest)
        else:
            self._side_failed(most_telling(self._ringing.endings()), turn)

    def hear(self, leg: Leg, turn: Turn) -> None:
        """Action: the near leg hears B's early media."""
        self._talking().hear(leg, turn)

    def connect(self, leg: Leg, turn: Turn) -> None:
        """Action: B answered; join the two."""
        self._begin_talk(turn)
        self._talking().connect(leg, turn)
        self._drop_rivals(leg, turn)

    def announce(self, ending: Ending, turn: Turn) -> None:
        """Action: tell the near leg aloud why nobody is reached; the call ends after that."""
        self._ending = ending
        turn.deadlines.set((self.subject.id, None), turn.now + ANNOUNCEMENT_S)
        near = self._talking().near
        near.sounds.play(Sound.ANNOUNCEMENT, turn.settings.announcements[ending.cause], turn)

    def release_announced(self, _what: Leg | Ending | None, turn: Turn) -> None:
        """Action: end with the cause that was announced."""
        if self._ending is not None:
            self.release(self._ending, turn)

    def release(self, ending: Ending, turn: Turn) -> None:
        """Action: note why the call ended and release every leg that is left."""
        self._ending = ending
        turn.deadlines.clear((self.subject.id, None))
        if self._talk is not None:
            self._talk.close()
            if self._talk.transfer is not None:
                self._talk.refuse_transfer(ending, turn)
        party = Party.TIMEOUT if ending.party is Party.TIMEOUT else Party.LOCAL
        for leg in list(self.legs.values()):
            name = cause_for(leg, ending)
            # What policy decided has its words in the record of the leg too; those of the other
            # side belong to the other leg.
            told = ending.party is Party.POLICY and name == ending.cause
            if self._talk is not None:
                self._talk.part(leg, turn)
            self._give_up(leg, name, party, turn, ending.reason if told else "")
        if not self._ringing_won and self.legs:
            # A phone that has said nothing yet cannot be cancelled (RFC 3261 9.1) and holds up the
            # terminal event; whoever waits for the ringing has his answer now.
            turn.notices.append(OriginateDecided(turn.now, self._outcome(turn.now, final=False)))
        if not self.legs:
            self._feed(_I.LAST_LEG_GONE, None, turn)

    def finish(self, _what: None, turn: Turn) -> None:
        """Action: tell the terminal event."""
        turn.notices.append(OriginateEnded(turn.now, self._outcome(turn.now, final=True)))

    # --- parts of actions ---

    def _ring(self, side: Ringing) -> None:
        self._sides.append(side)
        self._ringing = side

    def _ring_b(
        self, number: str, groups: tuple[tuple[Target, ...], ...], *, choosy: bool = True
    ) -> None:
        self._maker.number = number
        new_ids = self._maker.new_ids
        self._ring(Ringing(LegRole.B, groups, self._maker.b, new_ids, choosy=choosy))

    def _outcome(self, now: float, *, final: bool) -> Outcome:
        return outcome_of(
            *(self.subject, self._sides, self.a, self._ending, now),
            answered=self._ringing_won,
            final=final,
        )


_DO = ORIGINATE_TABLE.actions(Originate)
_TAKE: Mapping[type[SipEvent], Callable[[Originate, Leg, Any, Turn], None]] = {
    TransferRequested: Originate.refer,
    LegReofferFailed: Originate._reoffer_failed,
    LegRenegotiated: Originate._renegotiated,
    LegHeard: Originate._heard,
    LegSilent: Originate._silent,
    LegMediaFailed: Originate._media_failed,
    LegPlayed: Originate._played,
    LegRecorded: Originate._recorded,
    LegSentDigit: Originate._pressed,
    LegEnded: Originate._dialog_ended,
}
"""What is done with an event of a leg; the others are how its dialog comes along."""
