"""How many new requests the engine takes when it is offered more than it can do. Pure.

Theory. The event loop is one server with one queue: what comes in while it works waits until it
looks again, so how late it is (`lag`) is how long a new request has waited, and how long everything
that belongs to calls under way waits too. With work for 1.05 s in every second the lag grows by
0.05 s a second, whatever a call costs on this machine today; so the lag alone tells what can be
done, and nothing has to be configured for a faster one.

Nothing is limited until the lag stays above its target for a window. From then on requests are let
in at a rate, evenly, by a token bucket, and a proportional-integral controller (as of PIE, RFC 8033
4.2) moves that rate once in a window: down while the lag is above the target, up while it is below,
and against whichever way the lag is moving, so that it neither swings nor stays off. The queue is
kept short, not empty: an engine that is never late could do more. A lag beyond `BRAKE` targets lets
nobody in: who came then has waited too long already. When nobody has been refused for a while the
limit is lifted.

On a machine that others use too the loop is late without having much to do, and refusing calls
would change little: the less of a processor it uses, the later it may be, up to `PATIENCE` times.
Few requests are never refused.
"""

from __future__ import annotations

import math

from engine.core.rates import Rate

WINDOW_S = 0.1
"""Seconds over which the lag is averaged before the rate is changed."""

BRAKE = 3.0
"""Lag, in targets, at which nobody is let in."""

BUSY, PATIENCE = 0.6, 3.0
"""Share of a processor from which on lag is the engine's own doing, and how many times the target
an engine may be late that uses none."""

FLOOR = 10.0
"""Requests a second that are always taken."""

FORGET_S = 5.0
"""Seconds without a refusal after which the limit is lifted."""

FIRST_CUT = 0.8
"""Share of what was let in that is let in when the lag is first too long: it has to shrink."""

_INTEGRAL, _PROPORTIONAL = 0.0125, 0.1
"""How strongly a window's lag, and its change, move the rate: critically damped at 2.5 rad/s for
windows of 0.1 s and a target of 20 ms, and stable from 5 to 100 ms."""

_DOWN, _UP = 0.3, 0.06
"""The most that one window takes away from the rate, and adds to it."""

_CALM = 0.25
"""Lag, in targets, below which the engine has so little to do that the rate grows faster with every
window."""

_USUAL_S, _LEAST = 30.0, 0.5
"""Over how many seconds the usual rate is averaged, and the share of it that the limit never falls
below: phones ring for a while, and when calls of a better time are answered and keep the engine
busy, the brake sees to that; a limit that had gone to nothing would take minutes to come back."""

_BURST_S = 0.05
"""Requests that may come at once, as seconds of the rate: a loop that is late sees them in
groups."""

_LATEST = 0.3
"""Weight of the last window in the rate of what is let in."""


class Overload:
    """Decides who is let in. `now` is in seconds and does not go backwards."""

    __slots__ = (
        "_calm",
        "_cpu_s",
        "_ended_at",
        "_lags",
        "_last_mean",
        "_least",
        "_let_in",
        "_let_in_rate",
        "_rate",
        "_refused",
        "_refused_at",
        "_target",
        "_ticks",
        "_usual",
        "_windows",
        "lag",
        "limit",
    )

    def __init__(self, target_s: float) -> None:
        """Keep the lag at `target_s` seconds, more than 0, when too much is offered."""
        self._least = self._target = target_s
        self.limit = math.inf
        """Requests a second that are let in."""
        self._rate = Rate()
        self._cpu_s = 0.0
        self._ended_at = -math.inf
        self.lag = 0.0
        """How late the loop was when it was measured last, seconds."""
        self._lags = self._last_mean = 0.0
        self._ticks = self._let_in = self._refused = self._calm = self._windows = 0
        self._let_in_rate = self._usual = 0.0
        self._refused_at = -math.inf

    def wait(self, now: float, lag: float = 0.0) -> float:
        """Return 0 when a request is let in now, else the seconds until another may be.

        `lag`: by how much the loop is late at this very moment, or how long the request has waited,
        when that is known.
        """
        if self.limit == math.inf:
            # So much came at once that there has been no time to measure it.
            late = max(lag, self.lag / 2) > BRAKE * self._target
            return WINDOW_S if late and self._let_in > FLOOR else 0.0
        if max(lag, self.lag) > BRAKE * self._target and self._let_in_rate > FLOOR:
            return WINDOW_S
        return self._rate.wait(now, self.limit, 1.0 + self.limit * _BURST_S)

    def let_in(self, now: float) -> None:
        """Count a request that was let in."""
        self._let_in += 1
        if self.limit != math.inf:
            self._rate.take(now, self.limit)

    def refused(self, now: float) -> None:
        """Count a request that was not."""
        self._refused += 1
        self._refused_at = now

    def lift(self) -> None:
        """Limit nothing, as at the beginning."""
        self.limit = math.inf
        self.lag = self._last_mean = self._let_in_rate = 0.0
        self._calm = self._windows = 0
        self._ended_at = -math.inf

    def tick(self, now: float, lag: float, cpu_s: float) -> bool:
        """Take one measurement; return whether a limit was set just now.

        `lag`: how late the loop was, seconds; `cpu_s`: CPU time its thread has used so far. To be
        called every few milliseconds while requests come.
        """
        self.lag = lag
        self._lags += lag
        self._ticks += 1
        passed = now - self._ended_at
        if passed < WINDOW_S:
            return False
        if passed == math.inf:
            # The first after a rest: there is no window before it.
            self._begin(now, cpu_s)
            return False
        mean = self._lags / self._ticks
        share = (cpu_s - self._cpu_s) / passed
        patience = 1.0 + (PATIENCE - 1.0) * max(0.0, 1.0 - share / BUSY)
        self._target += _LATEST * (self._least * patience - self._target)
        self._windows += 1
        rate = self._let_in / passed
        self._let_in_rate += max(_LATEST, 1 / self._windows) * (rate - self._let_in_rate)
        self._usual += min(1.0, passed / _USUAL_S) * (rate - self._usual)
        begun = self._steer(now, mean)
        self._last_mean = mean
        self._begin(now, cpu_s)
        return begun

    def _begin(self, now: float, cpu_s: float) -> None:
        self._ended_at, self._cpu_s = now, cpu_s
        self._lags, self._ticks, self._let_in, self._refused = 0.0, 0, 0, 0

    def _steer(self, now: float, mean: float) -> bool:
        error = (mean - self._target) / self._target
        if self.limit == math.inf:
            # One late window is a hiccup; two, or one twice as late, are too much work.
            late = max(min(mean, self._last_mean), mean / 2) > self._target
            if not late or self._let_in_rate <= FLOOR:
                return False
            self.limit = max(FLOOR, self._let_in_rate * FIRST_CUT)
            self._refused_at = now
            return True
        if now - self._refused_at > FORGET_S:
            self.lift()
            return False
        trend = (mean - self._last_mean) / self._target
        self._calm = self._calm + 1 if mean < _CALM * self._target else 0
        integral = _INTEGRAL * (1.0 + self._calm / 5)
        change = max(-_DOWN, min(_UP, -integral * error - _PROPORTIONAL * trend))
        # A rate that nobody exhausts says nothing about what can be done: it does not grow.
        if change < 0 or self._refused:
            self.limit = max(FLOOR, _LEAST * self._usual, self.limit * (1.0 + change))
        return False
