"""The way of INVITEs to whoever can take only so many: legs at once, and INVITEs a second.

Theory. A carrier, a gateway, or the engine itself has a limit; an INVITE passes when all that
concern it let it. One that comes too early waits in the lane of its limits, first in first out, and
the lanes take turns by who came first. A lane is short: an INVITE that would wait longer than is
allowed is refused at once, so that the call can be tried elsewhere while it still makes sense. A
leg counts from the moment it is let through or waits until the stack reports its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Set

import msgspec

from engine.core.commands import Dial
from engine.core.events import LegEnded
from engine.core.rates import Rate
from engine.core.values import DialLimit, LegId, Party

CONGESTED = 34
"""Q.850: no circuit available; all the calls a carrier can take are up."""

TOO_FAST = 42
"""Q.850: switching equipment congestion; more INVITEs wait than can be sent in time."""

_LATE_S = 0.01
"""How late an INVITE may be sent without the next ones being late too: timers are not exact."""


class _Waiting(msgspec.Struct):
    dial: Dial
    since: float


class _Way:
    """What one limit has let through."""

    __slots__ = ("legs", "rate")

    def __init__(self) -> None:
        self.legs = 0
        self.rate = Rate()


_Lane = tuple[DialLimit, ...]


class Pacer:
    """Lets INVITEs pass, wait, or fail. Pure: `now` is given, in seconds."""

    def __init__(self, calls_per_second: float, wait_s: float) -> None:
        """Take the engine's own limit (0: none) and the longest wait."""
        own = DialLimit("the engine", 0, calls_per_second)
        self._own: _Lane = (own,) if calls_per_second else ()
        self._wait_s = wait_s
        self._ways: dict[str, _Way] = {}
        self._held: dict[LegId, _Lane] = {}
        self._lanes: dict[_Lane, deque[_Waiting]] = {}
        self._lane_of: dict[LegId, _Lane] = {}
        self.refused = 0
        """INVITEs that were not sent."""

    @property
    def waiting(self) -> Set[LegId]:
        """Legs whose INVITE waits."""
        return self._lane_of.keys()

    @property
    def legs(self) -> Set[LegId]:
        """Legs that count."""
        return self._held.keys()

    def concerns(self, dial: Dial) -> bool:
        """Return whether any limit is about an INVITE."""
        return bool(dial.limits or self._own)

    def offer(self, dial: Dial, now: float) -> Dial | LegEnded | None:
        """Return the INVITE when it passes, why not when it never will, None when it waits."""
        if dial.leg in self._held and dial.leg not in self._lane_of:
            # It has passed before, and comes again because the stack was busy.
            return dial
        limits = (*dial.limits, *self._own)
        for limit in limits:
            if limit.calls and self._way(limit).legs >= limit.calls:
                words = f"{limit.name} has all its {limit.calls} calls"
                return self._refuse(dial, CONGESTED, words)
        queue = self._lanes.get(limits)
        ahead = len(queue) if queue else 0
        waits = [self._wait(limit, now) + ahead / limit.calls_per_second
                 for limit in limits if limit.calls_per_second]  # fmt: skip
        wait = max(waits, default=0.0)
        if wait > self._wait_s:
            return self._refuse(dial, TOO_FAST, f"{_slowest(limits)} has no turn in time")
        self._hold(dial.leg, limits)
        if not ahead and wait <= 0:
            self._pass(limits, now)
            return dial
        self._lanes.setdefault(limits, deque()).append(_Waiting(dial, now))
        self._lane_of[dial.leg] = limits
        return None

    def drop(self, leg: LegId) -> bool:
        """Forget an INVITE that waits; return whether one did."""
        lane = self._lane_of.pop(leg, None)
        if lane is None:
            return False
        queue = self._lanes[lane]
        queue.remove(next(waiting for waiting in queue if waiting.dial.leg == leg))
        self._shut(lane)
        self.ended(leg)
        return True

    def ended(self, leg: LegId) -> None:
        """A leg is over and counts no more. Idempotent."""
        for limit in self._held.pop(leg, ()):
            way = self._ways[limit.name]
            way.legs -= 1

    def due(self, now: float) -> tuple[list[Dial], list[LegEnded]]:
        """Return the INVITEs whose turn has come, and the ends of those that waited too long."""
        sent: list[Dial] = []
        ends: list[LegEnded] = []
        while self._lanes:
            ready = [lane for lane in self._lanes if self._lane_wait(lane, now) <= 0]
            late = [
                lane
                for lane, queue in self._lanes.items()
                if lane not in ready and now - queue[0].since >= self._wait_s
            ]
            if not ready and not late:
                break
            for lane in late:
                first = self._next(lane)
                self.ended(first.dial.leg)
                words = f"{_slowest(lane)} had no turn in time"
                ends.append(self._refuse(first.dial, TOO_FAST, words))
            if ready:
                lane = min(ready, key=lambda lane: self._lanes[lane][0].since)
                sent.append(self._next(lane).dial)
                self._pass(lane, now)
        return sent, ends

    def next_due(self, now: float) -> float | None:
        """Return when `due` has something to do, None when nothing waits."""
        waits = [
            min(self._lane_wait(lane, now), max(0.0, queue[0].since + self._wait_s - now))
            for lane, queue in self._lanes.items()
        ]
        return now + min(waits) if waits else None

    def forget(self, live: Collection[LegId], now: float) -> frozenset[LegId]:
        """Let the legs count no more that are neither live nor wait, and return them.

        Limits that nobody comes near are forgotten too.
        """
        lost = {leg for leg in self._held if leg not in live and leg not in self._lane_of}
        for leg in lost:
            self.ended(leg)
        for name in [n for n, way in self._ways.items() if not way.legs and way.rate.full(now)]:
            del self._ways[name]
        return frozenset(lost)

    # --- parts ---

    def _way(self, limit: DialLimit) -> _Way:
        way = self._ways.get(limit.name)
        if way is None:
            way = self._ways[limit.name] = _Way()
        return way

    def _wait(self, limit: DialLimit, now: float) -> float:
        if not limit.calls_per_second:
            return 0.0
        burst = 1.0 + limit.calls_per_second * _LATE_S
        return self._way(limit).rate.wait(now, limit.calls_per_second, burst)

    def _lane_wait(self, lane: _Lane, now: float) -> float:
        return max((self._wait(limit, now) for limit in lane), default=0.0)

    def _hold(self, leg: LegId, lane: _Lane) -> None:
        self._held[leg] = lane
        for limit in lane:
            self._way(limit).legs += 1

    def _pass(self, lane: _Lane, now: float) -> None:
        for limit in lane:
            if limit.calls_per_second:
                self._way(limit).rate.take(now, limit.calls_per_second)

    def _next(self, lane: _Lane) -> _Waiting:
        first = self._lanes[lane].popleft()
        del self._lane_of[first.dial.leg]
        self._shut(lane)
        return first

    def _shut(self, lane: _Lane) -> None:
        if not self._lanes[lane]:
            del self._lanes[lane]

    def _refuse(self, dial: Dial, q850: int, words: str) -> LegEnded:
        self.refused += 1
        return LegEnded(dial.leg, 0, "", Party.POLICY, q850, words)


def _slowest(lane: _Lane) -> str:
    limited = [limit for limit in lane if limit.calls_per_second]
    return min(limited, key=lambda limit: limit.calls_per_second).name
