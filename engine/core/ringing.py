"""One side of an originate while it is rung: groups of attempts, one group after the other.

Theory. The attempts of a group ring together (a fork); a group of one after another is a hunt. An
attempt that fails may leave something to try in its place, at once and in the same group: the next
address its host name led to, when the first could not be reached (RFC 3263 4.3); the next carrier
of a forwarded call; the contacts of a 3xx (RFC 3261 8.1.3.4). Redirects are bounded for the side
and no URI is tried twice for them, so that phones that redirect to each other end. A device that
redirects to a number has it taken through the dial plan, like one forwarded by its settings; only
carriers, and devices that have moved, name addresses to be dialled as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from engine.core.attempts import Target, chained, hunt
from engine.core.causes import (
    Ending,
    ending_by_us,
    is_reject,
    most_telling,
    worth_another_try,
)
from engine.core.endings import ending_of_nowhere
from engine.core.errors import RequestInvalid
from engine.core.events import DestinationResolved
from engine.core.leg import Leg
from engine.core.machine import MachineError
from engine.core.questions import question
from engine.core.redirects import (
    redirect_contacts,
    redirected_endpoints,
    redirected_numbers,
    sent_on,
)
from engine.core.registry import Ids
from engine.core.turn import Turn
from engine.core.values import Attempt, Contact, LegId, LegRole, Party

MakeLeg = Callable[[Target, Ids, Turn], Leg]
"""Makes a leg and enters it; raises `RequestInvalid` for a target that may not reach the wire."""


class Verdict(msgspec.Struct, frozen=True):
    """How a side stands after an attempt came to nothing."""

    rings: bool
    """Somebody else still rings or waits."""
    more: bool
    """Another group is worth trying."""
    ending: Ending
    """How the side failed if neither is so."""


RINGS = Verdict(True, False, Ending("NONE", 0, 0, "", Party.LOCAL))
"""The verdict while somebody rings."""


class Ringing:
    """The attempts of one side."""

    __slots__ = (
        "_asked",
        "_choosy",
        "_group",
        "_make",
        "_new_ids",
        "_redirects",
        "_seen",
        "_waiting",
        "planned",
        "role",
        "tried",
        "unsent",
    )

    def __init__(
        self,
        role: LegRole,
        groups: Iterable[tuple[Target, ...]],
        make: MakeLeg,
        new_ids: Callable[[Target], Ids],
        *,
        choosy: bool = False,
    ) -> None:
        """Plan every attempt; `ring_next` begins.

        `choosy`: only a failure that another might not have has the next group rung, so that a busy
        number is not asked for at the next carrier.
        """
        self._choosy = choosy
        self.role = role
        self._make = make
        self._new_ids = new_ids
        self._waiting = deque(tuple((t, new_ids(t)) for t in group) for group in groups)
        self.planned = tuple(attempt for group in self._waiting for attempt in group)
        """Every target known from the start, with the ids of its leg."""
        self._group: list[Leg] = []
        self.tried: list[Leg] = []
        """Every leg made so far, in order."""
        self.unsent: list[tuple[Attempt, Ending]] = []
        """Attempts that could not be made, and why."""
        self._seen = {target.contact.uri for target, _ in self.planned}
        self._redirects = 0
        self._asked: dict[LegId, Leg] = {}
        """The legs about whose redirects the router has been asked."""

    # --- going on ---

    def ring_next(self, turn: Turn) -> bool:
        """Ring the next group that can be rung; return False when there is none."""
        self._group = []
        while self._waiting and not self._group:
            for target, ids in self._waiting.popleft():
                self._try(target, ids, turn)
        for leg in tuple(self._group):
            leg.start(turn)
        return bool(self._group)

    def failed(self, leg: Leg, turn: Turn) -> Verdict:
        """Do what is left to do about an attempt that failed, and say how the side stands."""
        if self._ring_instead(leg, turn) or self._redirect(leg, turn):
            return RINGS
        return self._judge(leg, _failure(leg))

    def redirected(self, leg_id: LegId, destination: DestinationResolved, turn: Turn) -> Verdict:
        """Ring where the router says that a number is to which a device redirected."""
        leg = self._asked.pop(leg_id)
        groups = hunt(destination.endpoints, turn.settings.max_attempts)
        by = leg.plan.endpoint
        targets = [Target(sent_on(by, way.endpoint), way.contact) for way in chained(groups)]
        if destination.refusal is None and self._ring_these(targets, turn):
            return RINGS
        return self._judge(leg, ending_of_nowhere(destination))

    def _judge(self, leg: Leg, ending: Ending) -> Verdict:
        if is_reject(ending.cause, leg.plan.request.fail_on_single_reject):
            return Verdict(False, False, ending)
        if self._rings:
            return RINGS
        ending = most_telling(self.endings())
        worth = not self._choosy or worth_another_try(ending.cause)
        return Verdict(False, bool(self._waiting) and worth, ending)

    # --- questions ---

    def asks(self, leg_id: LegId) -> bool:
        """Return whether the router has yet to say where the number is that a leg redirects to."""
        return leg_id in self._asked

    @property
    def _rings(self) -> bool:
        alive = (leg.failure is None and leg.release_as is None for leg in self._group)
        return bool(self._asked) or any(alive)

    def rivals(self, winner: Leg | None) -> list[Leg]:
        """Return the other legs of this side, all without a winner."""
        return [leg for leg in self.tried if leg is not winner]

    def endings(self) -> list[Ending]:
        """Return how the attempts failed that this side did not give up, those never sent last."""
        failed = [leg.failure for leg in self.tried if leg.failure is not None]
        return [*failed, *(ending for _, ending in self.unsent)]

    # --- what stands in for an attempt ---

    def _ring_instead(self, failed: Leg, turn: Turn) -> bool:
        """Try the next hop after a 503 or silence, or the next fallback of the endpoint."""
        ending = _failure(failed)
        if failed.hops and _unreached(failed, ending):
            self._ring_hop(failed, turn)
            return True
        fallbacks = failed.plan.endpoint.fallbacks
        if not fallbacks or not worth_another_try(ending.cause):
            return False
        first = replace(fallbacks[0], fallbacks=fallbacks[1:])
        return self._ring_these([Target(first, contact) for contact in first.contacts[:1]], turn)

    def _redirect(self, leg: Leg, turn: Turn) -> bool:
        """Follow a 3xx; return whether there was anything to follow."""
        policy, endpoint = turn.settings.redirects, leg.plan.endpoint
        if policy == "refuse" or not leg.redirects:
            return False
        together = policy == "fork"
        contacts = self._fresh(redirect_contacts(leg.redirects), turn.settings.max_redirects)
        groups = [(Target(e, e.contacts[0]),) for e in redirected_endpoints(endpoint, contacts)]
        targets = [target for (target,) in groups] if together else chained(groups)
        rung = self._ring_these(targets, turn)
        if rung and not together:
            return True
        numbers = redirected_numbers(endpoint, contacts)
        if numbers:
            self._asked[leg.invite.leg] = leg
            turn.commands.append(question(leg.plan.originate_id, leg, numbers[0]))
        return rung or bool(numbers)

    def _fresh(self, contacts: Iterable[Contact], limit: int) -> list[Contact]:
        """Return the contacts of a 3xx that have not been tried, as far as redirects may go."""
        fresh: list[Contact] = []
        for contact in contacts:
            if contact.uri not in self._seen and self._redirects < limit:
                self._redirects += 1
                self._seen.add(contact.uri)
                fresh.append(contact)
        return fresh

    def _ring_these(self, targets: Iterable[Target], turn: Turn) -> bool:
        """Ring these now, as part of the group; return whether any could be rung."""
        made = [self._try(target, self._new_ids(target), turn) for target in targets]
        legs = [leg for leg in made if leg is not None]
        for leg in legs:
            self._start_now(leg, turn)
        return bool(legs)

    def _ring_hop(self, failed: Leg, turn: Turn) -> None:
        target = Target(failed.plan.endpoint, failed.plan.contact)
        leg = self._make(target, self._new_ids(target), turn)
        leg.hops = failed.hops[1:]
        leg.invite = replace(leg.invite, next_hop=failed.hops[0], more_hops=bool(leg.hops))
        self._enter(leg)
        self._start_now(leg, turn)

    # --- parts ---

    def _start_now(self, leg: Leg, turn: Turn) -> None:
        leg.limits = replace(leg.limits, delay=0.0)
        leg.start(turn)

    def _try(self, target: Target, ids: Ids, turn: Turn) -> Leg | None:
        try:
            leg = self._make(target, ids, turn)
        except RequestInvalid as error:
            # A contact that cannot stand in an INVITE must not keep the others from ringing.
            self._note_unsent(target, error, turn)
            return None
        self._enter(leg)
        return leg

    def _enter(self, leg: Leg) -> None:
        self._group.append(leg)
        self.tried.append(leg)

    def _note_unsent(self, target: Target, error: RequestInvalid, turn: Turn) -> None:
        name = "INVALID_NUMBER_FORMAT" if error.field == "number" else "INVALID_URL"
        ending = ending_by_us(name, Party.POLICY, str(error))
        uri, why = target.contact.uri, str(error)
        attempt = Attempt(
            "", target.endpoint.id, uri, name, 0, why, 0.0, self.role, "", None, turn.now
        )
        self.unsent.append((attempt, ending))


def _failure(leg: Leg) -> Ending:
    if leg.failure is None:
        raise MachineError(str(leg), leg.state, "failed", (), "it has not failed", "")
    return leg.failure


def _unreached(leg: Leg, ending: Ending) -> bool:
    """Return whether another address of the same host may do better (RFC 3263 4.3)."""
    if leg.ringing_at is not None:
        return False
    return ending.sip_status == 503 or ending.party is Party.TIMEOUT
