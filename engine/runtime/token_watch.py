"""Keeps the engine's tokens what the database has: `quickcall token` changes them from outside."""

from __future__ import annotations

import asyncio
import logging

from engine.control.auth import Tokens
from engine.store.tokens import TokenStore

POLL_S = 1.0
"""Seconds between two looks whether tokens were made or revoked."""

_log = logging.getLogger(__name__)


class TokenWatch:
    """Reads the stored tokens again when they have changed, and notes when each was used.

    While the database is away the tokens stay as they were.
    """

    def __init__(self, store: TokenStore, tokens: Tokens) -> None:
        """Take where tokens are kept and what checks them; `start` begins."""
        self._store = store
        self._tokens = tokens
        self._revision = -1
        self._noted: dict[str, int] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._away = False

    async def start(self) -> None:
        """Read the tokens, and go on looking. Raises what the database does."""
        await self._look()
        self._task = asyncio.create_task(self._run(), name="token-watch")

    async def stop(self) -> None:
        """Look a last time and end. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping.set()
        # Not cancelled unless it must be: a query that is broken off costs a connection.
        await asyncio.wait([task], timeout=POLL_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(POLL_S):
                    await self._stopping.wait()
            except TimeoutError:
                pass
            try:
                await self._look()
                self._away = False
            except Exception as error:
                if not self._away:
                    _log.error("tokens cannot be read and stay as they were: %s", error)
                self._away = True

    async def _look(self) -> None:
        revision = await self._store.revision()
        if revision != self._revision:
            self._tokens.replace_stored(await self._store.all())
            self._revision = revision
        days = self._tokens.days_used()
        if days != self._noted:
            new = {token: day for token, day in days.items() if self._noted.get(token) != day}
            await self._store.used(new)
            self._noted = days
