"""A rate that is kept without a clock: the token bucket, as one moment in time.

Theory. The bucket of `burst` tokens that fills by `rate` tokens a second is kept as the moment at
which it would be full again (the virtual scheduling algorithm of ITU-T I.371, GCRA). Each token
taken moves that moment by `1 / rate`; a token is there as long as the moment lies no more than
`(burst - 1) / rate` ahead. So nothing has to fill up while nobody looks, rate and burst may change
at any time, and how long to wait for the next token is a subtraction. With a burst of 1 it spaces
what it lets through evenly.
"""

from __future__ import annotations

import math


class Rate:
    """One token bucket. Pure: `now` is given, in seconds, and does not go backwards."""

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        """Begin with a full bucket."""
        self._full_at = -math.inf

    def wait(self, now: float, rate: float, burst: float) -> float:
        """Return the seconds until a token is there, 0 when one is.

        `rate` tokens a second, more than 0; `burst` tokens in a full bucket, 1 or more.
        """
        return max(0.0, self._full_at - (burst - 1.0) / rate - now)

    def take(self, now: float, rate: float) -> None:
        """Take a token, whether one is there or not; who takes one too many waits longer."""
        self._full_at = max(now, self._full_at) + 1.0 / rate

    def full(self, now: float) -> bool:
        """Return whether the bucket is full, as if nobody had ever taken a token."""
        return self._full_at <= now
