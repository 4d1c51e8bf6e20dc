"""Transactions on a SQLite file in a thread of their own, each in one step for the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

T = TypeVar("T")


class WriterThread:
    """One connection and its thread."""

    def __init__(
        self, url: URL, prepare: Callable[[DBAPIConnection, ConnectionPoolEntry], None]
    ) -> None:
        """Write to the file of `url`; each connection is prepared before it is used."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._engine = create_engine(url.set(drivername="sqlite"), hide_parameters=True)
        event.listen(self._engine, "connect", prepare)

    async def run(self, act: Callable[[Connection], T]) -> T:
        """Run a transaction: committed when `act` returns, rolled back when it raises.

        Who is cancelled does not stop it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, act)

    async def close(self) -> None:
        """Wait for a transaction that runs, and close."""
        await asyncio.to_thread(self._thread.shutdown)
        self._engine.dispose()

    def _run(self, act: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return act(connection)
