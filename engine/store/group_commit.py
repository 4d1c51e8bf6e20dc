"""Group commit: rows are added at once and cheaply, a task writes them many to a transaction.

A commit costs about as much as a hundred rows, and call control may not wait for a disk. So whoever
has a row adds it to a list; every few milliseconds, or sooner when many wait or somebody needs to
know, one transaction takes them all. Nothing is dropped: a commit that fails is tried again for as
long as it takes, and the rows that wait are counted, so that the engine can refuse new work before
the list grows without bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from engine.store.commits import Commits
from engine.store.progress import Progress

Row = TypeVar("Row")

_log = logging.getLogger(__name__)


class GroupCommit(Generic[Row]):
    """A queue of rows with one writer task. Used from one event loop."""

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Row]], Awaitable[None]],
        *,
        interval: float,
        batch: int,
        limit: int,
    ) -> None:
        """Make it; `start` begins to write.

        `commit` writes rows in one transaction and may be called again with the same rows, so it
        must be idempotent. `interval` is the longest a row waits, in seconds; `batch` the most rows
        of one transaction, and the number that wait before a write begins early; `limit` the number
        from which `full` is true.
        """
        self._name = name
        self._commits = Commits(name, commit)
        self._interval = interval
        self._batch = batch
        self._limit = limit
        self._waiting: list[Row] = []
        self._progress = Progress()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name=f"store-{self._name}")

    @property
    def rejected(self) -> int:
        """Rows refused for what they are (not for trouble of the database); each is in the log."""
        return self._commits.rejected

    @property
    def backlog(self) -> int:
        """Rows added and not durable yet."""
        return self._progress.backlog

    @property
    def full(self) -> bool:
        """Whether so many rows wait that no new work should be taken. Adding still works."""
        return self._progress.backlog >= self._limit

    def add(self, row: Row) -> None:
        """Queue a row. Never blocks, never fails."""
        self._waiting.append(row)
        self._progress.add(1)
        if self._timer is None:
            self._timer = self._loop.call_later(self._interval, self._wake.set)
        if len(self._waiting) >= self._batch:
            self._wake.set()

    async def flush(self) -> None:
        """Wait until every row added before is durable, for as long as the database needs."""
        if self.backlog:
            self._wake.set()
            await self._progress.caught_up()

    async def close(self, deadline: float) -> int:
        """Write what waits, for at most `deadline` seconds, and stop. Return the rows left."""
        if self._task is None:
            return 0
        try:
            async with asyncio.timeout(deadline):
                await self.flush()
        except TimeoutError:
            _log.error("%s: closed with %d rows not written", self._name, self.backlog)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
        return self.backlog

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            more = True
            while more:
                rows = self._waiting[: self._batch]
                del self._waiting[: self._batch]
                await self._commits.write(rows)
                self._progress.settle(len(rows))
                # Fewer rows than a batch came meanwhile: their own timer gathers more of them.
                more = len(self._waiting) >= self._batch or self._progress.awaited
