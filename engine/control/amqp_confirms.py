"""Publisher confirms: which messages of a channel the broker has answered for. Pure."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from engine.core.errors import EngineError


class LinkDown(EngineError):
    """There is no broker to publish to now, or it went away before it confirmed."""


class Confirms:
    """Counts delivery tags of one channel in confirm mode, from 1, as the broker counts them.

    Confirms may come in any order, and one with `multiple` stands for every tag up to its own.
    """

    def __init__(self) -> None:
        """Begin with a channel that has just been put into confirm mode."""
        self._sent = 0
        self._all_up_to = 0
        self._beyond: set[int] = set()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def unconfirmed(self) -> int:
        """Messages that were sent and are not confirmed."""
        return self._sent - self._all_up_to - len(self._beyond)

    def sent(self, count: int = 1) -> int:
        """Note messages that are sent; return the tag of the last one."""
        self._sent += count
        return self._sent

    def when_all(self, future: asyncio.Future[None]) -> None:
        """Let a future have a result when all that was sent until now is confirmed."""
        if self.unconfirmed:
            self._waiting.append((self._sent, future))
        else:
            future.set_result(None)

    def acked(self, tag: int, *, multiple: bool) -> Sequence[int]:
        """Take a confirm; return the tags it was the first one for."""
        if tag <= self._all_up_to or tag > self._sent:
            return ()
        fresh: Sequence[int]
        if multiple:
            fresh = range(self._all_up_to + 1, tag + 1)
            if self._beyond:
                early = self._beyond.intersection(fresh)
                fresh = [t for t in fresh if t not in early]
                self._beyond -= early
            self._all_up_to = tag
        elif tag in self._beyond:
            return ()
        else:
            fresh = (tag,)
            self._beyond.add(tag)
        while self._all_up_to + 1 in self._beyond:
            self._all_up_to += 1
            self._beyond.remove(self._all_up_to)
        while self._waiting and self._waiting[0][0] <= self._all_up_to:
            _, future = self._waiting.popleft()
            # Who waited may have been cancelled meanwhile.
            if not future.done():
                future.set_result(None)
        return fresh

    def fail(self, error: Exception) -> None:
        """Let everybody who waits have an error."""
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)
