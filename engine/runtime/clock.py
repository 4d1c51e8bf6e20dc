"""The one clock: seconds since the Unix epoch that never go backwards.

The wall clock is read once. From then on the monotonic clock counts, so that deadlines and time
stamps are the same numbers and a step of the wall clock neither fires nor delays a timer.
"""

from __future__ import annotations

import time


class Clock:
    """Epoch time anchored to the monotonic clock."""

    __slots__ = ("_anchor",)

    def __init__(self) -> None:
        """Anchor the clock now."""
        self._anchor = time.time() - time.monotonic()

    def now(self) -> float:
        """Return seconds since the Unix epoch; never less than a value returned before."""
        return self._anchor + time.monotonic()
