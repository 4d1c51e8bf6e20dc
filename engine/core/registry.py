"""Who owns which leg and which Call-ID, and where new ids come from."""

from __future__ import annotations

from collections.abc import Callable, KeysView

from engine.core.values import LegId, OriginateId


class Registry:
    """Live legs and Call-IDs by their originate. Leg ids count up and are never used twice."""

    __slots__ = ("_by_call_id", "_by_leg", "_new_call_id", "_next_leg")

    def __init__(self, new_call_id: Callable[[], str], first_leg: int) -> None:
        """Take the source of Call-IDs and the first leg id."""
        self._new_call_id = new_call_id
        self._next_leg = first_leg
        self._by_leg: dict[LegId, OriginateId] = {}
        self._by_call_id: dict[str, OriginateId] = {}

    def __len__(self) -> int:
        """Return how many legs live."""
        return len(self._by_leg)

    def new_ids(self) -> tuple[LegId, str]:
        """Return ids for a leg to be."""
        leg = LegId(self._next_leg)
        self._next_leg += 1
        return leg, self._new_call_id()

    def add(self, leg: LegId, call_id: str, originate_id: OriginateId) -> None:
        """Enter a leg. Raises `ValueError` when another live leg has its Call-ID."""
        if call_id in self._by_call_id:
            raise ValueError(
                f"call_id: {call_id!r} is not allowed; allowed: one that no live leg has"
            )
        self._by_leg[leg] = originate_id
        self._by_call_id[call_id] = originate_id

    def remove(self, leg: LegId, call_id: str) -> None:
        """Strike out a leg that ended."""
        del self._by_leg[leg]
        del self._by_call_id[call_id]

    def leg_ids(self) -> KeysView[LegId]:
        """Return a view of the live legs."""
        return self._by_leg.keys()

    def call_ids(self) -> KeysView[str]:
        """Return a view of the Call-IDs of the live legs."""
        return self._by_call_id.keys()

    def of_leg(self, leg: LegId) -> OriginateId | None:
        """Return the owner of a leg, None when it does not live."""
        return self._by_leg.get(leg)

    def of_call_id(self, call_id: str) -> OriginateId | None:
        """Return the owner of a Call-ID, None when no live leg has it."""
        return self._by_call_id.get(call_id)
