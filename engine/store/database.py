"""One database: opened, migrated, and written by one transaction at a time where it must be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from engine.core.errors import EngineUnavailable, RequestInvalid
from engine.store.writer_thread import WriterThread

T = TypeVar("T")

_PRAGMAS = (
    # Of a new file only. A page of 4 KiB holds two or three events and wastes a fifth; larger ones
    # than this are more to write where changed rows lie far apart.
    "PRAGMA page_size=8192",
    "PRAGMA journal_mode=WAL",
    # In WAL mode NORMAL survives the death of the process; a power cut may lose the last commits,
    # not the file.
    "PRAGMA synchronous=NORMAL",
    # Another process (a backup, a shell) may hold the write lock for a moment.
    "PRAGMA busy_timeout=5000",
)


READ_S = 5.0
"""Longest time a server may take for a query, seconds."""

WRITE_S = 30.0
"""Longest time a server may take for a transaction, seconds."""

_CONNECT_S = 10.0

_AWAY = ("08", "53", "57")
"""SQLSTATE classes of a server that is away, has no room, or is being stopped."""


class Database:
    """An open database with the current schema. Made by `open`, shared by the whole store."""

    spool_folder: Path
    """Where its journal has its spool."""

    def __init__(self, engine: AsyncEngine, spool_folder: Path) -> None:
        """Wrap an engine whose schema is current; use `open` instead."""
        self._engine = engine
        self.spool_folder = spool_folder
        # SQLite has one writer: waiting here costs nothing, waiting in SQLite polls and may time
        # out.
        self._writer = asyncio.Lock() if _is_sqlite(engine) else nullcontext()
        self._thread = WriterThread(engine.url, _set_pragmas) if _is_sqlite(engine) else None

    @classmethod
    async def open(cls, url: str, spool_dir: str = "") -> Database:
        """Connect to `url` and bring its schema up to date.

        `url` is SQLAlchemy's: `sqlite+aiosqlite:///path/to/file.db` (made if it does not exist; its
        folder must) or `postgresql+asyncpg://user:password@host/name`. One engine per database: the
        directory and the bindings live in memory, so a second engine would not see what the first
        one changes.

        Raises `RequestInvalid` for a URL that names no file or driver, `EngineUnavailable` when the
        database cannot be opened or migrated.
        """
        engine = _make_engine(url)
        try:
            if _is_sqlite(engine):
                # It holds the secrets of every phone; SQLite gives its side files the same mode.
                Path(str(engine.url.database)).touch(mode=0o600)  # noqa: ASYNC240
            async with engine.begin() as connection:
                await connection.run_sync(_migrate)
        except (SQLAlchemyError, CommandError, OSError) as error:
            await engine.dispose()
            where = engine.url.render_as_string(hide_password=True)
            raise EngineUnavailable(f"cannot open the database {where}: {error}") from error
        beside = f"{engine.url.database}" if _is_sqlite(engine) else "quickcall"
        return cls(engine, Path(spool_dir or f"{beside}.spool"))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Run one transaction: committed when the block ends, rolled back when it raises.

        Raises `EngineUnavailable` when the database is away, or takes longer than `WRITE_S`; then
        it may have been committed all the same.
        """
        with _trouble_in_words():
            async with (
                self._writer,
                asyncio.timeout(self._longest(WRITE_S)),
                self._engine.begin() as connection,
            ):
                yield connection

    async def write_at_once(self, act: Callable[[Connection], T]) -> T:
        """Run one transaction as `write` does, in one step as far as the event loop is concerned.

        For transactions of many statements: each of them is some turns of the loop otherwise, and
        those are long when there is much to do. On SQLite `act` runs in a thread. Raises what
        `write` raises.
        """
        if self._thread is None:
            async with self.write() as connection:
                return await connection.run_sync(act)
        with _trouble_in_words():
            async with self._writer:
                return await self._thread.run(act)

    @asynccontextmanager
    async def read(self, deadline: float | None = READ_S) -> AsyncIterator[AsyncConnection]:
        """Give a connection for queries; sees everything committed before.

        Raises `EngineUnavailable` when the database is away or does not answer within `deadline`
        seconds.
        """
        with _trouble_in_words():
            async with (
                asyncio.timeout(self._longest(deadline)),
                self._engine.connect() as connection,
            ):
                yield connection

    def _longest(self, deadline: float | None) -> float | None:
        # SQLite waits for a lock as long as its busy_timeout says and no longer, and a query of it
        # that is given up goes on in its thread.
        return None if self.is_sqlite else deadline

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite, else a PostgreSQL server."""
        return _is_sqlite(self._engine)

    def insert_sql(self, table: Table, replaced: str = "", rows: int = 1) -> str:
        """Return an INSERT of whole rows, for `exec_driver_sql` with tuples in column order.

        A row whose key is there already is passed over, but for the column `replaced`. In the
        driver's own words, because with many rows SQLAlchemy's handling of parameters costs more
        than the database does.
        """
        dialect = self._engine.dialect
        make = (sqlite.insert if self.is_sqlite else postgresql.insert)(table)
        if replaced:
            new = {replaced: make.excluded[replaced]}
            known = make.on_conflict_do_update(index_elements=table.primary_key, set_=new)
        else:
            known = make.on_conflict_do_nothing()
        one = str(known.compile(dialect=dialect))
        if rows == 1:
            return one
        values = f"({', '.join('?' * len(table.columns))})"
        before, found, after = one.partition(values)
        assert found, "several rows in a statement are for SQLite"
        return before + ", ".join([values] * rows) + after

    async def close(self) -> None:
        """Close every connection. Whoever writes must have been closed before."""
        if self._thread is not None:
            await self._thread.close()
        await self._engine.dispose()


def _is_sqlite(engine: AsyncEngine) -> bool:
    return engine.dialect.name == "sqlite"


def _make_engine(url: str) -> AsyncEngine:
    allowed = "sqlite+aiosqlite:///FILE or postgresql+asyncpg://..."
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RequestInvalid("database", "<unreadable url>", allowed) from error
    shown = parsed.render_as_string(hide_password=True)
    sqlite = parsed.get_backend_name() == "sqlite"
    # Every connection to a database in memory would see an empty one of its own.
    if sqlite and parsed.database in (None, "", ":memory:"):
        raise RequestInvalid("database", shown, allowed)
    if parsed.drivername not in ("sqlite+aiosqlite", "postgresql+asyncpg"):
        raise RequestInvalid("database", shown, allowed)
    # Parameters hold passwords, and an error that shows them may be logged.
    patience = {} if sqlite else {"timeout": _CONNECT_S}
    engine = create_async_engine(parsed, hide_parameters=True, connect_args=patience)
    if sqlite:
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


@contextmanager
def _trouble_in_words() -> Iterator[None]:
    """Tell a database that is away from one that refuses what it is given."""
    try:
        yield
    except TimeoutError:
        raise EngineUnavailable("the database does not answer; try again later") from None
    except OSError as error:
        raise EngineUnavailable(f"the database cannot be reached: {error}") from error
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        away = error.connection_invalidated or state[:2] in _AWAY
        if away or isinstance(error, OperationalError | InterfaceError):
            raise EngineUnavailable(f"the database is in trouble: {error.orig}") from error
        raise


def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "engine.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
