"""From the spool into the database: many frames to a transaction, in the order they were appended.

A commit costs about as much as a hundred rows, so frames wait a moment for others; sooner when many
wait or somebody needs to know. While the database is away they stay in the spool, and are read from
its files when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from engine.core.errors import EngineUnavailable
from engine.store.commits import Commits
from engine.store.journal_rows import Row
from engine.store.progress import Progress
from engine.store.spool import Spool

INTERVAL_S = 0.25
"""Longest time a row waits for others, seconds."""

EARLY_BYTES = 2**20
"""Bytes of frames that must wait for a transaction to begin early."""

BATCH_BYTES = 8 * 2**20
"""Bytes of frames in one transaction at most. It takes a dozen turns of the event loop whatever it
holds, so when these are long it has to hold much."""

_log = logging.getLogger(__name__)


class SpoolCommit:
    """The one task that takes frames from a spool. Used from one event loop."""

    def __init__(
        self,
        spool: Spool,
        commit: Callable[[Sequence[Row]], Awaitable[None]],
        gather: Callable[[], None],
    ) -> None:
        """Commit with `commit`, which must be idempotent; `start` begins.

        `gather` is called before frames are taken and may append more.
        """
        self._spool = spool
        self._gather = gather
        self._commits = Commits("journal", commit)
        self._decode = msgspec.msgpack.Decoder(list[Row]).decode
        self._progress = Progress()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def backlog(self) -> int:
        """Rows appended since `start` that are not in the database."""
        return self._progress.backlog

    @property
    def rejected(self) -> int:
        """Rows the database will never take; each is in the log."""
        return self._commits.rejected

    def reject(self, row: Row, error: Exception) -> None:
        """Log and count a row that cannot even be appended."""
        self._commits.reject(row, error)

    async def replay(self) -> int:
        """Commit what a dead process left in the spool; return how many rows that were.

        Raises what the database raises when it is in trouble.
        """
        count = 0
        while rows := self._take():
            await self._commits.write_once(rows)
            self._spool.stored()
            count += len(rows)
        return count

    def start(self) -> None:
        """Begin to take frames, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run(), name="store-journal")

    def appended(self, rows: int) -> None:
        """Note that a frame with so many rows was appended."""
        self._progress.add(rows)
        self.wake_soon()
        if self._spool.waiting_bytes >= EARLY_BYTES:
            self._wake.set()

    def wake_soon(self) -> None:
        """See to it that frames are gathered and taken within `INTERVAL_S`."""
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL_S, self._wake.set)

    async def flush(self, deadline: float) -> None:
        """Wait until the database has every row appended before.

        Raises `EngineUnavailable` when it does not within `deadline` seconds.
        """
        if not self.backlog:
            return
        self._wake.set()
        try:
            async with asyncio.timeout(deadline):
                await self._progress.caught_up()
        except TimeoutError:
            raise EngineUnavailable("the database does not keep up; try again later") from None

    async def close(self, deadline: float) -> None:
        """Commit what waits, for at most `deadline` seconds, and stop."""
        if self._task is None:
            return
        with suppress(EngineUnavailable):
            await self.flush(deadline)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        if self._timer is not None:
            self._timer.cancel()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            more = True
            while more:
                self._gather()
                self._spool.retry()
                rows = self._take()
                if rows:
                    await self._commits.write(rows)
                    self._spool.stored()
                    self._progress.settle(len(rows))
                # Fewer bytes than a batch came meanwhile: a timer gathers more of them.
                wanted = self._spool.waiting_bytes >= EARLY_BYTES or self._progress.awaited
                more = bool(rows) and wanted
            if self._spool.waiting_bytes or self._spool.error:
                self.wake_soon()

    def _take(self) -> list[Row]:
        """Return the rows of the next frames, none when there are none or they cannot be read."""
        rows: list[Row] = []
        try:
            frames = self._spool.take(BATCH_BYTES)
        except OSError as error:
            _log.error("the spool cannot be read: %s", error)
            return rows
        for frame in frames:
            try:
                rows += self._decode(frame)
            except msgspec.MsgspecError as error:
                _log.error("%d bytes of the spool mean nothing: %s", len(frame), error)
        return rows
