"""Draining: no new calls, those that live go on to their end.

An engine drains to be replaced without cutting anybody off. It may be told so and told otherwise as
often as one likes, until its process is to end.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.core.errors import EngineDraining, WrongState


class Draining:
    """Whether the engine drains, and who must know."""

    def __init__(self) -> None:
        """Begin with an engine that takes calls."""
        self.since: float | None = None
        """Unix time since which no new calls are taken; None: they are."""
        self.ending = False
        """Whether the process ends when the calls have: that is not taken back."""
        self._told: list[Callable[[bool], None]] = []

    @property
    def active(self) -> bool:
        """Whether new calls are refused."""
        return self.since is not None

    def watch(self, tell: Callable[[bool], None]) -> None:
        """Have `tell` called with True when draining begins and with False when it is taken back.

        Whoever takes work from a queue that others take from too leaves it to them from then on.
        """
        self._told.append(tell)

    def begin(self, *, ending: bool = False) -> None:
        """Take no new calls; `ending`: the process is to end. Idempotent."""
        self.ending = self.ending or ending
        if self.since is None:
            self.since = time.time()
            self._tell(True)

    def cancel(self) -> None:
        """Take new calls again. Idempotent. Raises `WrongState` when the process is to end."""
        if self.ending:
            raise WrongState("the engine", "draining to end", "draining")
        if self.since is not None:
            self.since = None
            self._tell(False)

    def check(self) -> None:
        """Raise `EngineDraining` while new calls are refused."""
        if self.since is not None:
            raise EngineDraining

    def _tell(self, active: bool) -> None:
        for tell in self._told:
            tell(active)
