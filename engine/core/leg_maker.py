"""Makes the legs of one originate and enters them, each with an id and a Call-ID of its own."""

from __future__ import annotations

from msgspec.structs import replace

from engine.core.attempts import Target
from engine.core.bypass import may_be_offered
from engine.core.leg import Leg
from engine.core.leg_plans import Subject, a_leg, b_leg
from engine.core.machine import MachineError
from engine.core.registry import Ids, Registry
from engine.core.transfer import Transfer
from engine.core.turn import Turn
from engine.core.values import LegId


class LegMaker:
    """The source of the legs of an originate."""

    __slots__ = ("_registry", "_subject", "alone", "legs", "number", "rung", "transfer")

    def __init__(self, subject: Subject, registry: Registry) -> None:
        """Make legs of this originate and enter them in the registry."""
        self._subject = subject
        self._registry = registry
        self.legs: dict[LegId, Leg] = {}
        """Legs that wait or live, those being released too."""
        self.alone = False
        """Whether one contact is rung in all, so that it may be asked to answer by itself."""
        self.rung: Leg | None = None
        """The leg that a B-leg is dialled for."""
        self.number = ""
        """Where the router says that the call goes."""
        self.transfer: Transfer | None = None
        """The transfer that B-legs are dialled for."""

    def new_ids(self, target: Target) -> Ids:
        """Return ids for a leg, with the Call-ID of its endpoint if that was given one."""
        return self._ids(target.endpoint.call_id)

    def new_a_ids(self, target: Target) -> Ids:
        """Return ids for an A-leg: the Call-ID that the caller chose, numbered from the second on.

        Numbers that are taken are passed over.
        """
        return self._ids(target.endpoint.call_id or self._subject.request.call_id)

    def _ids(self, chosen: str) -> Ids:
        n = 1
        while chosen and self._registry.of_call_id(numbered(chosen, n)) is not None:
            n += 1
        return self._registry.new_ids(self._subject.id, numbered(chosen, n))

    def a(self, target: Target, ids: Ids, turn: Turn) -> Leg:
        """Return a leg that rings the endpoint. Raises `RequestInvalid`."""
        leg = a_leg(self._subject, target, ids, turn.settings, turn.now, alone=self.alone)
        return self._enter(leg)

    def b(self, target: Target, ids: Ids, turn: Turn) -> Leg:
        """Return a leg to where the call goes. Raises `RequestInvalid`."""
        subject, rung = self._subject, self.rung
        if rung is None:
            raise MachineError(f"originate {subject.id}", "-", "b", (), "nobody has answered", "")
        leg = b_leg(subject, target, ids, turn.settings, turn.now, a=rung, number=self.number)
        if self.transfer is not None:
            self.transfer.fit(leg)
        elif may_be_offered(rung, target.endpoint):
            leg.invite = replace(leg.invite, media_of=rung.invite.leg, other_codecs=False)
        return self._enter(leg)

    def adopt(self, leg: Leg, turn: Turn) -> None:
        """Take a leg of another originate."""
        self._registry.move(leg.invite.leg, leg.invite.call_id, self._subject.id)
        leg.move(self._subject.id, turn)
        self.legs[leg.invite.leg] = leg

    def let_go(self, leg: Leg) -> None:
        """Leave a leg to another originate."""
        del self.legs[leg.invite.leg]

    def strike_out(self, leg: Leg) -> None:
        """Forget a leg that has ended."""
        del self.legs[leg.invite.leg]
        self._registry.remove(leg.invite.leg)

    def _enter(self, leg: Leg) -> Leg:
        self._registry.add(leg.invite.leg, self._subject.id)
        self.legs[leg.invite.leg] = leg
        return leg


def numbered(call_id: str, n: int) -> str:
    """Return the `n`th Call-ID (from 1) made from a chosen one; empty when none was chosen.

    >>> numbered("c1", 1), numbered("c1", 2), numbered("", 2)
    ('c1', 'c1-2', '')
    """
    return call_id if n == 1 or not call_id else f"{call_id}-{n}"
