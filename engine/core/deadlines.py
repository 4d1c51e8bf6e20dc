"""Deadlines of legs and originates in one heap, so that the runtime needs one timer."""

from __future__ import annotations

import heapq

from engine.core.values import LegId, OriginateId

Owner = tuple[OriginateId, LegId | None]
"""Whose deadline: an originate has one for its phase (no leg), each of its legs one for its end."""


class Deadlines:
    """At most one deadline for each owner."""

    __slots__ = ("_at", "_count", "_heap")

    def __init__(self) -> None:
        """Start with none."""
        self._at: dict[Owner, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Owner]] = []
        self._count = 0

    def __len__(self) -> int:
        """Return how many deadlines are set."""
        return len(self._at)

    def set(self, owner: Owner, at: float) -> None:
        """Set or move the deadline of `owner` to `at`, seconds since the epoch."""
        self._count += 1
        self._at[owner] = (at, self._count)
        heapq.heappush(self._heap, (at, self._count, owner))
        if len(self._heap) > 2 * len(self._at) + 256:
            self._compact()

    def clear(self, owner: Owner) -> None:
        """Remove the deadline of `owner`, if it has one."""
        self._at.pop(owner, None)

    def next(self) -> float | None:
        """Return the earliest deadline, None when there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Owner | None:
        """Remove the earliest deadline that has passed and return its owner, None without any."""
        self._drop_stale()
        if not self._heap or self._heap[0][0] > now:
            return None
        owner = heapq.heappop(self._heap)[2]
        del self._at[owner]
        return owner

    def _compact(self) -> None:
        """Most deadlines are cleared long before they are due and would pile up in the heap."""
        self._heap = [(at, count, owner) for owner, (at, count) in self._at.items()]
        heapq.heapify(self._heap)

    def _drop_stale(self) -> None:
        """Entries of moved and cleared deadlines stay in the heap until they come to its top."""
        heap, at = self._heap, self._at
        while heap and at.get(heap[0][2]) != heap[0][:2]:
            heapq.heappop(heap)
