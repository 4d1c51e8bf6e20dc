"""Reading call records: in pages, by time, and by any field.

A page begins after the last record of the page before it, not at a count, so records that are
written meanwhile neither shift nor repeat what a reader gets. Time, interaction and order are the
database's work; other fields are looked at here, a block at a time, and never the whole table at
once.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, or_, select

from engine.core.errors import NotFound, RequestInvalid
from engine.store.cdr_filters import CdrFilter
from engine.store.database import Database
from engine.store.tables import cdrs

BLOCK = 200
"""Records read at once."""

SCAN_LIMIT = 20_000
"""Records looked at for one page; a page for which that is not enough ends there, and its
`next_start` goes on."""


class CdrKey(msgspec.Struct, frozen=True):
    """The place of a record in the order of an account's records."""

    at: float
    """Unix time the leg ended."""
    id: str

    def text(self) -> str:
        """Return the key as a client gets it, and gives it back: opaque, safe in a URL."""
        encoded = msgspec.json.encode((self.at, self.id))
        return base64.urlsafe_b64encode(encoded).decode().rstrip("=")


def parse_key(text: str) -> CdrKey:
    """Return the key that `CdrKey.text` wrote. Raises `RequestInvalid`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        key = CdrKey(*msgspec.json.decode(raw, type=tuple[float, str]))
        if not _storable(key.id):
            raise ValueError("no record has this id")
        return key
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        allowed = "next_start_key of the page before"
        raise RequestInvalid("start_key", text[:32], allowed, "pattern") from error


class CdrQuery(msgspec.Struct, frozen=True):
    """Which records of an account, in which order."""

    account_id: str
    since: float | None = None
    """Unix time the leg ended at or after."""
    before: float | None = None
    """Unix time the leg ended before."""
    interaction_id: str | None = None
    filters: tuple[CdrFilter, ...] = ()
    """All of them must match."""
    oldest_first: bool = False

    def wants(self, record: dict[str, Any]) -> bool:
        """Tell whether a record fulfils every filter."""
        return all(wanted.matches(record) for wanted in self.filters)


class CdrPage(msgspec.Struct, frozen=True):
    """One page."""

    records: list[dict[str, Any]]
    next_start: CdrKey | None
    """Where the next page begins, None after the last one."""


class CdrReader:
    """The call records of a database."""

    def __init__(self, database: Database, written: Callable[[], Awaitable[None]]) -> None:
        """Read from a database; `written` waits until all that was added is there."""
        self._database = database
        self._written = written

    async def page(self, query: CdrQuery, limit: int = 50, start: CdrKey | None = None) -> CdrPage:
        """Return at most `limit` records, from `start` on. Newest first unless the query says."""
        records: list[dict[str, Any]] = []
        scanned = 0
        async for block in self._blocks(query, start, min(limit + 1, BLOCK)):
            for key, record in block:
                if scanned == SCAN_LIMIT:
                    return CdrPage(records, key)
                scanned += 1
                if not query.wants(record):
                    continue
                if len(records) == limit:
                    return CdrPage(records, key)
                records.append(record)
        return CdrPage(records, None)

    async def stream(self, query: CdrQuery) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield every record of a query, some at a time."""
        async for block in self._blocks(query, None, BLOCK):
            yield [record for _, record in block if query.wants(record)]

    async def show(self, account_id: str, cdr_id: str) -> dict[str, Any]:
        """Return one call record. Raises `NotFound`."""
        await self._written()
        if not _storable(cdr_id):
            raise NotFound("cdr", cdr_id)
        query = select(cdrs.c.document).where(cdrs.c.id == cdr_id, cdrs.c.account_id == account_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("cdr", cdr_id)
        document: dict[str, Any] = msgspec.json.decode(row[0])
        return document

    async def _blocks(
        self, query: CdrQuery, start: CdrKey | None, size: int
    ) -> AsyncIterator[list[tuple[CdrKey, dict[str, Any]]]]:
        await self._written()
        if query.interaction_id is not None and not _storable(query.interaction_id):
            return
        # No transaction is held between two blocks: a slow client must not keep one open.
        place = None if start is None else _from(start, query.oldest_first)
        while True:
            async with self._database.read() as connection:
                rows = (await connection.execute(_select(query, place, size))).all()
            if not rows:
                return
            keys = [CdrKey(row.at, row.id) for row in rows]
            yield [
                (key, msgspec.json.decode(r.document)) for key, r in zip(keys, rows, strict=True)
            ]
            if len(rows) < size:
                return
            place = _after(keys[-1], query.oldest_first)
            size = BLOCK


def _storable(text: str) -> bool:
    """Tell whether a text can be in the database at all: PostgreSQL refuses to look for NUL."""
    return "\0" not in text


def _select(query: CdrQuery, place: ColumnElement[bool] | None, size: int) -> Select[Any]:
    found = select(cdrs.c.at, cdrs.c.id, cdrs.c.document)
    found = found.where(cdrs.c.account_id == query.account_id)
    if query.since is not None:
        found = found.where(cdrs.c.at >= query.since)
    if query.before is not None:
        found = found.where(cdrs.c.at < query.before)
    if query.interaction_id is not None:
        found = found.where(cdrs.c.interaction_id == query.interaction_id)
    if place is not None:
        found = found.where(place)
    at = cdrs.c.at if query.oldest_first else cdrs.c.at.desc()
    return found.order_by(at, cdrs.c.id).limit(size)


def _after(key: CdrKey, oldest_first: bool) -> ColumnElement[bool]:
    at = cdrs.c.at > key.at if oldest_first else cdrs.c.at < key.at
    return or_(at, and_(cdrs.c.at == key.at, cdrs.c.id > key.id))


def _from(key: CdrKey, oldest_first: bool) -> ColumnElement[bool]:
    at = cdrs.c.at > key.at if oldest_first else cdrs.c.at < key.at
    return or_(at, and_(cdrs.c.at == key.at, cdrs.c.id >= key.id))
