"""Ring A; when it answers, ask where the number goes, dial B, join the two.

Theory. One originate owns every leg made for it. All contacts of the rung endpoint (A) are dialled
at once and the first answer wins; with early media that counts (`ignore_early_media` off) the first
1xx with SDP wins instead, which is an answer to whoever asked for the call, but B is dialled only
after the real answer. The losers get a CANCEL that says "completed elsewhere". The dialled side (B)
is a hunt over groups of attempts that ring at once. Whatever ends the call first (a hang-up of
either side, a failure, a timeout, an order) decides cause and party of the outcome; every other leg
is then released, and when the last has gone the one terminal event is told. Nobody to ring: the
terminal event comes at once, with DESTINATION_OUT_OF_ORDER as Kazoo has it. A number that may not
be dialled (a blocklist, a restriction) is refused before any INVITE, and again when A has answered,
should it be barred by then: the terminal event says why. `OriginateDecided` tells whoever waits for
the ringing what came of it, as soon as that is known.

What a leg's event means here depends on the leg: the end of a leg this side gave up is LEG_GONE in
every state, so the other endings (ATTEMPT_FAILED to B_LEFT) are always the other side's doing.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.attempts import Target, fork, hunt
from engine.core.bridge import Bridge
from engine.core.causes import Ending, ending_by_us, most_telling, worth_another_try
from engine.core.commands import ResolveDestination
from engine.core.errors import RequestInvalid
from engine.core.events import (
    DestinationResolved,
    LegEnded,
    OriginateDecided,
    OriginateEnded,
    SipEvent,
)
from engine.core.leg import Leg, LegInput
from engine.core.leg_plans import Subject, a_leg, b_leg
from engine.core.machine import MachineError
from engine.core.originate_table import ORIGINATE_TABLE, OriginateInput, OriginateState
from engine.core.registry import Registry
from engine.core.turn import Turn
from engine.core.values import Attempt, Endpoint, LegId, LegRole, Outcome, Party, Refusal

_I = OriginateInput
_NOBODY = "nobody is registered"


class Originate:
    """One accepted request until its terminal event."""

    __slots__ = (
        "_bridge",
        "_ending",
        "_group",
        "_hunt",
        "_number",
        "_registry",
        "_ringing_won",
        "_tried",
        "_unsent",
        "a",
        "b",
        "legs",
        "state",
        "subject",
    )

    def __init__(self, subject: Subject, registry: Registry) -> None:
        """Prepare an originate; `start` dials."""
        self.subject = subject
        self.state = OriginateState.NEW
        self.legs: dict[LegId, Leg] = {}
        """Legs that live, those being released too."""
        self.a: Leg | None = None
        """The A-leg that won."""
        self.b: Leg | None = None
        """The B-leg that answered."""
        self._registry = registry
        self._bridge = Bridge()
        self._tried: list[Leg] = []
        self._group: list[Leg] = []
        self._hunt: list[tuple[Target, ...]] = []
        self._unsent: list[tuple[Attempt, Ending]] = []
        self._number = ""
        self._ending: Ending | None = None
        self._ringing_won = False

    def __str__(self) -> str:
        """Return how errors name this originate."""
        return f"originate {self.subject.id}"

    # --- inputs ---

    def start(self, endpoints: Iterable[Endpoint], turn: Turn) -> None:
        """Ring every contact of the endpoints, or end at once when there is none."""
        targets = fork(tuple(endpoints), turn.settings.max_attempts)
        self._dial_a(targets, turn)
        if self._tried:
            self._feed(_I.START, None, turn)
            return
        endings = [ending for _, ending in self._unsent]
        nobody = ending_by_us("DESTINATION_OUT_OF_ORDER", Party.POLICY, _NOBODY)
        self._ending = most_telling(endings) if endings else nobody
        self._feed(_I.NOBODY, None, turn)

    def refuse(self, refusal: Refusal, turn: Turn) -> None:
        """End at once, without an INVITE: the number may not be dialled."""
        self._ending = _ending_of_refusal(refusal)
        self._feed(_I.REFUSED, None, turn)

    def take(self, event: SipEvent, turn: Turn) -> None:
        """Act on an event of one of its legs."""
        leg = self.legs[event.leg]
        if isinstance(event, LegEnded):
            # The bridge goes first: CHANNEL_UNBRIDGE comes before CHANNEL_DESTROY of either leg.
            self._part(leg, turn)
        given = leg.take(event, turn)
        if given is LegInput.ENDED:
            self._leg_ended(leg, turn)
        elif given is LegInput.ANSWERED:
            self._feed(_I.A_ANSWERED if leg.plan.role is LegRole.A else _I.B_ANSWERED, leg, turn)
        elif given is LegInput.EARLY_MEDIA:
            if leg.plan.role is LegRole.B:
                self._feed(_I.B_EARLY_MEDIA, leg, turn)
            elif not self._ignores_early_media(leg):
                self._feed(_I.A_EARLY_MEDIA, leg, turn)

    def expire_leg(self, leg: LegId, turn: Turn) -> None:
        """End a leg whose guard ran out."""
        self.legs[leg].expire(turn)
        self._leg_ended(self.legs[leg], turn)

    def resolved(self, destination: DestinationResolved, turn: Turn) -> None:
        """Dial where the router says."""
        refusal = destination.refusal
        if refusal is not None:
            self._feed(_I.UNROUTABLE, _ending_of_refusal(refusal), turn)
            return
        hunted = hunt(destination.endpoints, turn.settings.max_attempts)
        if hunted:
            if self.state is OriginateState.ROUTING:
                self._hunt = list(hunted)
                self._number = destination.number
            self._feed(_I.ROUTED, None, turn)
            return
        if destination.endpoints:
            ending = ending_by_us("DESTINATION_OUT_OF_ORDER", Party.POLICY, _NOBODY)
        else:
            no_route = f"no route for {destination.number}"
            ending = ending_by_us("NO_ROUTE_DESTINATION", Party.POLICY, no_route)
        self._feed(_I.UNROUTABLE, ending, turn)

    def expire(self, turn: Turn) -> None:
        """End the call whose deadline has passed: NO_ANSWER, or a fault of the router."""
        if self.state is OriginateState.ROUTING:
            ending = ending_by_us(
                "NORMAL_TEMPORARY_FAILURE", Party.TIMEOUT, "the router did not answer"
            )
        else:
            ending = ending_by_us("NO_ANSWER", Party.TIMEOUT)
        self._feed(_I.TIMEOUT, ending, turn)

    def hang_up(self, turn: Turn, name: str = "") -> None:
        """End the call by order.

        The cause is `name` when given, else NORMAL_CLEARING when the two talk and ORIGINATOR_CANCEL
        before.
        """
        talking = self.state is OriginateState.TALKING
        name = name or ("NORMAL_CLEARING" if talking else "ORIGINATOR_CANCEL")
        self._feed(_I.HANG_UP, ending_by_us(name, Party.LOCAL), turn)

    def attempts(self) -> tuple[Leg, ...]:
        """Return every leg dialled so far, ended ones too, in order."""
        return tuple(self._tried)

    def _feed(self, given: OriginateInput, what: Leg | Ending | None, turn: Turn) -> None:
        transition = ORIGINATE_TABLE.step(self.state, given, self)
        if transition is not None:
            self.state = transition.state
            _DO[transition.action](self, what, turn)

    # --- what the end of a leg means ---

    def _leg_ended(self, leg: Leg, turn: Turn) -> None:
        del self.legs[leg.invite.leg]
        self._registry.remove(leg.invite.leg, leg.invite.call_id)
        if leg.release_as is not None:
            self._feed(_I.LEG_GONE, None, turn)
        else:
            given, ending = self._a_ended(leg) if leg.plan.role is LegRole.A else self._b_ended(leg)
            self._feed(given, ending, turn)
        if self.state is OriginateState.ENDING and not self.legs:
            self._feed(_I.LAST_LEG_GONE, None, turn)

    def _a_ended(self, leg: Leg) -> tuple[OriginateInput, Ending]:
        own = _ending_of([leg])
        if leg is not self.a:
            if self.legs:
                return _I.ATTEMPT_FAILED, own
            unsent = (ending for _, ending in self._unsent)
            return _I.RINGING_FAILED, most_telling([*_endings(self._tried), *unsent])
        if leg.answered_at is None:
            return _I.RINGING_FAILED, own
        if self.state is OriginateState.TALKING:
            return _I.A_LEFT, own
        return _I.A_LEFT, ending_by_us("ORIGINATOR_CANCEL", own.party, "A left before B answered")

    def _b_ended(self, leg: Leg) -> tuple[OriginateInput, Ending]:
        if leg is self.b:
            return _I.B_LEFT, _ending_of([leg])
        ending = _ending_of(self._group)
        if any(other.ending is None for other in self._group):
            return _I.B_ATTEMPT_FAILED, ending
        if self._hunt and worth_another_try(ending.cause):
            return _I.B_GROUP_FAILED, ending
        return _I.B_FAILED, ending

    # --- actions ---

    def ring(self, _what: None, turn: Turn) -> None:
        """Action: send the INVITEs of A and start the ring timeout."""
        for leg in self._tried:
            leg.start(turn)
        turn.deadlines.set((self.subject.id, None), turn.now + self.subject.request.timeout)

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

    def ask(self, _leg: Leg, turn: Turn) -> None:
        """Action: ask the router where the number goes."""
        subject = self.subject
        turn.deadlines.set((subject.id, None), turn.now + turn.settings.route_s)
        turn.commands.append(ResolveDestination(subject.id, subject.request, subject.number))

    def dial_next(self, _what: Leg | Ending | None, turn: Turn) -> None:
        """Action: dial the next group of the hunt that can be dialled."""
        self._group = []
        while self._hunt and not self._group:
            self._dial_b(self._hunt.pop(0), turn)
        if not self._group:
            self._feed(_I.B_FAILED, self._unsent[-1][1], turn)
            return
        turn.deadlines.set((self.subject.id, None), turn.now + turn.settings.b_ring_s)
        for leg in self._group:
            leg.start(turn)

    def hear(self, leg: Leg, turn: Turn) -> None:
        """Action: A hears B's early media."""
        self._bridge.hear(self._won(), leg, turn)

    def connect(self, leg: Leg, turn: Turn) -> None:
        """Action: B answered; join the two."""
        self.b = leg
        turn.deadlines.clear((self.subject.id, None))
        self._bridge.connect(self._won(), leg, turn)
        self._drop_rivals(leg, turn)

    def release(self, ending: Ending, turn: Turn) -> None:
        """Action: note why the call ended and release every leg that is left."""
        self._ending = ending
        turn.deadlines.clear((self.subject.id, None))
        party = Party.TIMEOUT if ending.party is Party.TIMEOUT else Party.LOCAL
        for leg in list(self.legs.values()):
            self._part(leg, turn)
            name = _cause_for(leg, ending)
            # What policy decided has its words in the record of the leg too; those of the other
            # side belong to the other leg.
            told = ending.party is Party.POLICY and name == ending.cause
            leg.hang_up(name, party, turn, ending.reason if told else "")
        if not self._ringing_won and self.legs:
            # A phone that has said nothing yet cannot be cancelled (RFC 3261 9.1) and holds up the
            # terminal event; whoever waits for the ringing has his answer now.
            turn.notices.append(OriginateDecided(turn.now, self._outcome(turn.now, final=False)))

    def finish(self, _what: None, turn: Turn) -> None:
        """Action: tell the terminal event."""
        turn.notices.append(OriginateEnded(turn.now, self._outcome(turn.now, final=True)))

    # --- parts of actions ---

    def _won(self) -> Leg:
        if self.a is None:
            raise MachineError(
                str(self), self.state, "a B leg", (), "no A leg won", "see the table"
            )
        return self.a

    def _dial_a(self, targets: tuple[Target, ...], turn: Turn) -> None:
        for target in targets:
            ids = self._registry.new_ids()
            try:
                alone = len(targets) == 1
                leg = a_leg(self.subject, target, ids, turn.settings, turn.now, alone=alone)
            except RequestInvalid as error:
                self._note_unsent(target, error)
            else:
                self._own(leg)

    def _dial_b(self, targets: tuple[Target, ...], turn: Turn) -> None:
        for target in targets:
            try:
                leg = b_leg(
                    *(self.subject, target, self._registry.new_ids(), turn.settings, turn.now),
                    a=self._won(),
                    number=self._number,
                )
            except RequestInvalid as error:
                self._note_unsent(target, error)
            else:
                self._own(leg)
                self._group.append(leg)

    def _own(self, leg: Leg) -> None:
        self._registry.add(leg.invite.leg, leg.invite.call_id, self.subject.id)
        self.legs[leg.invite.leg] = leg
        self._tried.append(leg)

    def _note_unsent(self, target: Target, error: RequestInvalid) -> None:
        """A contact that cannot stand in an INVITE must not keep the others from ringing."""
        name = "INVALID_NUMBER_FORMAT" if error.field == "number" else "INVALID_URL"
        ending = ending_by_us(name, Party.POLICY, str(error))
        attempt = Attempt("", target.endpoint.id, target.contact.uri, name, 0, str(error), 0.0)
        self._unsent.append((attempt, ending))

    def _drop_rivals(self, winner: Leg, turn: Turn) -> None:
        for leg in self.legs.values():
            if leg is not winner and leg.plan.role is winner.plan.role:
                leg.hang_up("LOSE_RACE", Party.LOCAL, turn)

    def _part(self, leg: Leg, turn: Turn) -> None:
        bridge = self._bridge
        if bridge.holds(leg.invite.leg):
            bridge.part(self.legs[bridge.a], self.legs[bridge.b], turn)

    def _ignores_early_media(self, leg: Leg) -> bool:
        of_device = leg.plan.endpoint.ignore_early_media
        asked = self.subject.request.ignore_early_media if of_device is None else of_device
        return asked is not False

    def _outcome(self, now: float, *, final: bool) -> Outcome:
        subject = self.subject
        ending = self._ending or Ending("SUCCESS", 0, 200, "OK", Party.REMOTE)
        attempts = (leg.attempt(now) for leg in self._tried)
        return Outcome(
            subject.id,
            subject.request.account_id,
            self._ringing_won,
            self.a.invite.call_id if self.a else "",
            ending.cause,
            ending.q850,
            ending.sip_status,
            ending.reason,
            ending.party,
            (*attempts, *(attempt for attempt, _ in self._unsent)),
            final,
            subject.number,
            subject.filter_note,
        )


def _ending_of_refusal(refusal: Refusal) -> Ending:
    return ending_by_us(refusal.cause, Party.POLICY, refusal.reason)


def _ending_of(legs: Iterable[Leg]) -> Ending:
    return most_telling(_endings(legs))


def _endings(legs: Iterable[Leg]) -> list[Ending]:
    """Return how those legs ended that this side did not give up."""
    return [leg.ending for leg in legs if leg.ending is not None and leg.release_as is None]


def _cause_for(leg: Leg, ending: Ending) -> str:
    """Return why a leg is released when the call ends so.

    A leg that has not answered is cancelled, unless it rang too long or everything is shut down;
    one that has is told why the call ended, but not that it cancelled itself.
    """
    if leg.answered_at is None:
        told = ending.cause in ("NO_ANSWER", "SYSTEM_SHUTDOWN")
        return ending.cause if told else "ORIGINATOR_CANCEL"
    return "NORMAL_CLEARING" if ending.cause == "ORIGINATOR_CANCEL" else ending.cause


_DO = ORIGINATE_TABLE.actions(Originate)
