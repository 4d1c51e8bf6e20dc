"""Who owns which leg and which Call-ID, and where new ids come from."""

from __future__ import annotations

from collections.abc import Callable, KeysView

from engine.core.values import LegId, OriginateId

Ids = tuple[LegId, str]
"""Leg id and Call-ID of one leg."""


class Registry:
    """Live legs and Call-IDs by their originate. Leg ids count up and are never used twice.

    A Call-ID belongs to its originate from the moment it is planned until the originate ends, so a
    call is found by it before its INVITE and after its leg has gone too.
    """

    __slots__ = ("_by_call_id", "_by_leg", "_calls", "_new_call_id", "_next_leg")

    def __init__(self, new_call_id: Callable[[], str], first_leg: int) -> None:
        """Take the source of Call-IDs and the first leg id."""
        self._new_call_id = new_call_id
        self._next_leg = first_leg
        self._by_leg: dict[LegId, OriginateId] = {}
        self._by_call_id: dict[str, OriginateId] = {}
        self._calls: dict[OriginateId, list[str]] = {}

    def __len__(self) -> int:
        """Return how many legs live."""
        return len(self._by_leg)

    def new_ids(self, owner: OriginateId, call_id: str = "") -> Ids:
        """Return ids for a leg to be; `call_id`: the one it shall have, empty: a new one.

        Raises `ValueError` when the Call-ID is in use.
        """
        leg = LegId(self._next_leg)
        self._next_leg += 1
        call_id = call_id or self._new_call_id()
        if call_id in self._by_call_id:
            raise ValueError(
                f"call_id: {call_id!r} is not allowed; allowed: one that no live call has"
            )
        self._by_call_id[call_id] = owner
        self._calls.setdefault(owner, []).append(call_id)
        return leg, call_id

    def add(self, leg: LegId, owner: OriginateId) -> None:
        """Enter a leg."""
        self._by_leg[leg] = owner

    def move(self, leg: LegId, call_id: str, owner: OriginateId) -> None:
        """Give a leg and its Call-ID to another originate."""
        self._calls[self._by_leg[leg]].remove(call_id)
        self._calls.setdefault(owner, []).append(call_id)
        self._by_leg[leg] = self._by_call_id[call_id] = owner

    def remove(self, leg: LegId) -> None:
        """Strike out a leg that ended."""
        del self._by_leg[leg]

    def forget(self, owner: OriginateId) -> None:
        """Strike out the Call-IDs of an originate that ended."""
        for call_id in self._calls.pop(owner, ()):
            del self._by_call_id[call_id]

    def leg_ids(self) -> KeysView[LegId]:
        """Return a view of the live legs."""
        return self._by_leg.keys()

    def call_ids(self) -> KeysView[str]:
        """Return a view of the Call-IDs of the live originates, of ended legs too."""
        return self._by_call_id.keys()

    def of_leg(self, leg: LegId) -> OriginateId | None:
        """Return the owner of a leg, None when it does not live."""
        return self._by_leg.get(leg)

    def of_call_id(self, call_id: str) -> OriginateId | None:
        """Return the owner of a Call-ID, None when no live originate has it."""
        return self._by_call_id.get(call_id)
