"""How many rows were added and how many are settled, and who waits for which."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Progress:
    """Rows are settled in the order they were added. Used from one event loop."""

    def __init__(self) -> None:
        """Start with no rows."""
        self._added = 0
        self._settled = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def backlog(self) -> int:
        """Rows added and not settled."""
        return self._added - self._settled

    @property
    def awaited(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiters)

    def add(self, count: int) -> None:
        """Note that so many rows were added."""
        self._added += count

    def settle(self, count: int) -> None:
        """Note that the oldest so many are settled; who waits for no more than these goes on."""
        self._settled += count
        while self._waiters and self._waiters[0][0] <= self._settled:
            done = self._waiters.pop(0)[1]
            if not done.done():
                done.set_result(None)

    async def caught_up(self) -> None:
        """Return when every row added before is settled."""
        if not self.backlog:
            return
        waiter = self._added, asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            # Who gives up is not waited for any more.
            with suppress(ValueError):
                self._waiters.remove(waiter)
