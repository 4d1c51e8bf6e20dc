"""Log lines that come as often as others like: one a second, with how many it stands for."""

from __future__ import annotations

import logging
import time

EVERY_S = 1.0
"""Shortest time between two lines, seconds."""


class Seldom:
    """Warnings of one kind. Used from one thread."""

    def __init__(self, log: logging.Logger) -> None:
        """Write to `log`."""
        self._log = log
        self._next = 0.0
        self._left_out = 0

    def warning(self, text: str) -> None:
        """Log it, or count it when a line was written less than `EVERY_S` ago."""
        now = time.monotonic()
        if now < self._next:
            self._left_out += 1
            return
        more = f" (and {self._left_out} times before)" if self._left_out else ""
        self._next, self._left_out = now + EVERY_S, 0
        self._log.warning("%s%s", text, more)
