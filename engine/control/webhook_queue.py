"""What one webhook has to deliver, and when. Pure: `now` and chance are arguments.

Deliveries of one call form a lane and are made one after the other: the next one waits until the
one before succeeded or was given up. Lanes go side by side, at most `MAX_ACTIVE` of them.

A delivery that fails is tried again after 2 s, 4 s, ... at most an hour, and given up after a
day. When `FAILURES` attempts in a row fail, the target counts as down: one probe at a time is sent,
after 1 s, 2 s, ... at most a minute, with deliveries that were never tried before others. The first
success ends that, and everything that waits is due at once.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import islice

import msgspec

MAX_ACTIVE = 32
"""Deliveries of one webhook on their way at a time."""

MAX_WAITING = 100_000
"""Deliveries that may wait for one webhook; beyond that the oldest is given up."""

MAX_FRESH = 256
"""Deliveries of one webhook that are kept in memory alone; beyond that they are stored."""

FAILURES = 5
"""Attempts that fail in a row before the target counts as down."""

LIFETIME_S = 86_400.0
"""How long a delivery is tried."""

RETRY_MAX_S = 3600.0
"""Longest pause between two attempts of a delivery."""

PROBE_MAX_S = 60.0
"""Longest pause between two probes of a target that is down."""


def retry_delay(attempts: int, chance: float) -> float:
    """Return the pause after so many attempts (1 or more), seconds; `chance` is 0 to 1.

    It doubles from 2 s on, and varies by a fifth, so that not all come back in the same moment.
    """
    return min(2.0 ** min(attempts, 20), RETRY_MAX_S) * (0.8 + 0.4 * chance)


def probe_delay(failures: int, chance: float) -> float:
    """Return the pause before the next probe after so many failures in a row, seconds."""
    return min(2.0 ** min(max(failures - FAILURES, 0), 20), PROBE_MAX_S) * (0.8 + 0.4 * chance)


class Item(msgspec.Struct, eq=False):
    """One delivery that was not made yet."""

    sequence: int
    event_id: str
    lane: str
    name: str
    at: float
    since: float
    """Unix time from which its day is counted."""
    payload: bytes = b""
    """What the event says as JSON; empty: only the store has it."""
    stored: bool = False
    """Whether the store has it."""
    attempts: int = 0
    tried_at: float = 0.0
    status: int = 0
    error: str = ""


class _Lane(msgspec.Struct, eq=False):
    """The deliveries of one call. It is busy, or in exactly one of the queue's two lists."""

    items: deque[Item] = msgspec.field(default_factory=deque)
    busy: bool = False


class HookQueue:
    """The deliveries of one webhook."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        """Make an empty one."""
        self._max_waiting = max_waiting
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[_Lane] = deque()
        self._later: list[tuple[float, int, _Lane]] = []
        self._scheduled = 0
        self._probe_at = 0.0
        self.items: dict[int, Item] = {}
        """Every delivery by its sequence, in the order they were added."""
        self.fresh: dict[int, Item] = {}
        """Those that are not stored."""
        self.active = 0
        """Deliveries on their way now."""
        self.failures = 0
        """Attempts that failed since the last success."""

    @property
    def probing(self) -> bool:
        """Whether the target counts as down."""
        return self.failures >= FAILURES

    def add(self, item: Item) -> None:
        """Add a delivery behind those of its lane."""
        self.items[item.sequence] = item
        if not item.stored:
            self.fresh[item.sequence] = item
        lane = self._lanes.get(item.lane)
        if lane is None:
            lane = self._lanes[item.lane] = _Lane()
            self._ready.append(lane)
        lane.items.append(item)

    def must_store(self, item: Item) -> bool:
        """Tell whether a delivery just added has to wait for more than a free place."""
        held_up = self.probing or self._lanes[item.lane].items[0].attempts > 0
        return not item.stored and (held_up or len(self.fresh) > MAX_FRESH)

    def overflow(self) -> list[Item]:
        """Take out the oldest deliveries beyond the bound; those on their way stay."""
        excess = len(self.items) - self._max_waiting
        if excess <= 0:
            return []
        idle = (item for item in self.items.values() if not self._lanes[item.lane].busy)
        dropped = list(islice(idle, excess))
        for item in dropped:
            lane = self._lanes[item.lane]
            lane.items.remove(item)
            self._forget(item, lane)
        return dropped

    def next(self, now: float) -> Item | None:
        """Return the delivery to send now, None: none yet. It is on its way then."""
        while self._later and self._later[0][0] <= now:
            self._ready.append(heappop(self._later)[2])
        if self.active >= (1 if self.probing else MAX_ACTIVE):
            return None
        if self.probing and now < self._probe_at:
            return None
        lane = self._take()
        if lane is None:
            return None
        lane.busy = True
        self.active += 1
        return lane.items[0]

    def wake_at(self) -> float | None:
        """Return when `next` may have something, None: not before something else happens.

        Asked after `next` returned None.
        """
        if self.probing:
            return None if self.active or not self.items else self._probe_at
        return self._later[0][0] if self._later and self.active < MAX_ACTIVE else None

    def succeeded(self, item: Item) -> None:
        """Note that a delivery was made."""
        if self.probing:
            self.hurry()
        self.failures = 0
        self._finish(item)

    def failed(self, item: Item, now: float, chance: float) -> bool:
        """Note that an attempt failed; True: it was the last one of this delivery."""
        self.failures += 1
        item.attempts += 1
        item.tried_at = now
        if self.probing:
            self._probe_at = now + probe_delay(self.failures, chance)
        if now - item.since >= LIFETIME_S:
            self._finish(item)
            return True
        self._again(item, now + retry_delay(item.attempts, chance))
        return False

    def lost(self, item: Item) -> None:
        """Note that a delivery on its way has vanished from the store."""
        self._finish(item)

    def reset(self) -> None:
        """Take the target for a working one and make everything due."""
        self.failures = 0
        self.hurry()

    def stored(self, item: Item) -> None:
        """Note that the store has a delivery, and so its payload."""
        item.stored, item.payload = True, b""
        self.fresh.pop(item.sequence, None)

    def postponed(self, item: Item, now: float) -> None:
        """Note that a delivery on its way could not be tried; it is due again in a second."""
        self._again(item, now + 1.0)

    def hurry(self) -> None:
        """Make everything due that waits for its time, the oldest first."""
        lanes = [lane for _, _, lane in self._later if lane.items]
        self._later.clear()
        lanes.sort(key=lambda lane: lane.items[0].sequence, reverse=True)
        self._ready.extendleft(lanes)
        self._probe_at = 0.0

    def held_up_by(self, item: Item) -> list[Item]:
        """Return what is not stored and waits because this delivery failed, it included."""
        if not self.probing:
            lane = self._lanes.get(item.lane)
            return [one for one in (lane.items if lane else ()) if not one.stored]
        # What is on its way is told by its own end.
        return [one for one in self.fresh.values() if not self._on_its_way(one)]

    def _on_its_way(self, item: Item) -> bool:
        lane = self._lanes[item.lane]
        return lane.busy and lane.items[0] is item

    def _take(self) -> _Lane | None:
        """Return the lane to go on with: the first one due or, for a probe, the next to be."""
        while self._ready:
            lane = self._ready.popleft()
            if lane.items:
                return lane
        while self.probing and self._later:
            lane = heappop(self._later)[2]
            if lane.items:
                return lane
        return None

    def _again(self, item: Item, due: float) -> None:
        lane = self._lanes[item.lane]
        lane.busy = False
        self.active -= 1
        self._scheduled += 1
        heappush(self._later, (due, self._scheduled, lane))

    def _finish(self, item: Item) -> None:
        lane = self._lanes[item.lane]
        lane.busy = False
        self.active -= 1
        lane.items.popleft()
        self._forget(item, lane)
        if lane.items:
            self._ready.append(lane)

    def _forget(self, item: Item, lane: _Lane) -> None:
        del self.items[item.sequence]
        self.fresh.pop(item.sequence, None)
        if not lane.items:
            # It may still stand in a list; whoever meets it there passes it over.
            del self._lanes[item.lane]
