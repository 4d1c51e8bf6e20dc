"""Route tables: one per account, compiled in memory, their rows in the database as canonical CSV.

A table is replaced whole or not at all: it is read, compiled and checked against the directory,
made durable, and only then visible to calls. The heavy work runs in threads.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import IO

import msgspec
from sqlalchemy import delete, insert, select

from engine.core.errors import EngineUnavailable, NotFound, RequestInvalid
from engine.numbers.route_file import NumberedRow, RouteFileError, item_of, read_csv, read_json
from engine.numbers.route_table import RouteTable, RouteTableError
from engine.store.database import Database
from engine.store.directory import Directory
from engine.store.route_documents import (
    CompiledTable,
    compile_and_pack,
    compile_stored,
    unpacked,
)
from engine.store.tables import route_tables

MAX_BYTES = 256 * 1024 * 1024
"""Longest text of a route table, bytes."""

_BLOCK = 64 * 1024
_IN_MEMORY = 1024 * 1024

_log = logging.getLogger(__name__)


class RouteTableInvalid(RequestInvalid):
    """A route table is refused whole because of one row; the old one stays.

    Attributes besides those of `RequestInvalid`: `line` of the CSV form, counted from 1; `item` of
    the JSON array, counted from 1, None when the table came as CSV; `position` of the fault in the
    value, None when the value as a whole is at fault.
    """

    def __init__(self, error: RouteFileError | RouteTableError, item: int | None = None) -> None:
        """Say where the row is: at its item of JSON, or at its line."""
        super().__init__(error.field, error.value, error.reason)
        self.line = error.line
        self.item = item
        self.position: int | None = getattr(error, "position", None)
        where = f"line {error.line}" if item is None else f"item {item}"
        at = "" if self.position is None else f" at position {self.position}"
        self.args = (f"{where}: {error.field} {error.value!r}{at}: {error.reason}",)


class RouteTableSummary(msgspec.Struct, frozen=True):
    """What there is to say about a route table."""

    revision: int
    """1 for the first table of an account, one more with every import."""
    rows: int
    csv_bytes: int
    """Length of the canonical CSV."""
    memory_bytes: int
    """What the compiled table takes in memory."""
    index_bytes: int
    """The part of it that look-ups read."""
    compile_ms: int
    """How long reading and compiling took, when it was imported or at the start of the engine."""
    imported_at: float
    """Unix time."""


class RouteTables:
    """The route table of every account. Made by `open`; used from one event loop."""

    def __init__(self, database: Database, directory: Directory) -> None:
        """Use `open` instead."""
        self._database = database
        self._directory = directory
        self._importing = asyncio.Lock()
        self._tables: dict[str, tuple[RouteTable, RouteTableSummary]] = {}

    @classmethod
    async def open(cls, database: Database, directory: Directory) -> RouteTables:
        """Compile every stored table.

        One that cannot be compiled any more is logged and left out: its account has no route table
        until another is imported, and `export` still gives it back.
        """
        tables = cls(database, directory)
        async with database.read(deadline=None) as connection:
            found = (await connection.execute(select(route_tables.c.account_id))).scalars().all()
        for account_id in found:
            await tables._load(account_id)
        directory.on_account_deleted(tables._forget)
        return tables

    def table(self, account_id: str) -> RouteTable | None:
        """Return the compiled table of an account, None when it has none."""
        kept = self._tables.get(account_id)
        return kept[0] if kept else None

    def summary(self, account_id: str) -> RouteTableSummary:
        """Return what there is to say about a table. Raises `NotFound` (account, route table)."""
        self._directory.account(account_id)
        if account_id not in self._tables:
            raise NotFound("route table", account_id)
        return self._tables[account_id][1]

    async def replace(self, account_id: str, chunks: AsyncIterable[bytes]) -> RouteTableSummary:
        """Replace the table of an account by one in CSV.

        The text is first received whole, then compiled; imports are compiled one after the other.
        Raises `NotFound` (the account), `RouteTableInvalid` (a row), `RequestInvalid` (longer than
        `MAX_BYTES`), `EngineUnavailable` (nowhere to keep the text meanwhile).
        """
        self._directory.account(account_id)
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            await _receive(chunks, file)
            try:
                return await self._replace(account_id, read_csv(_blocks(file)))
            except (RouteFileError, RouteTableError) as error:
                raise RouteTableInvalid(error) from None

    async def replace_json(self, account_id: str, text: bytes) -> RouteTableSummary:
        """Replace the table of an account by one in JSON. Raises as `replace`."""
        self._directory.account(account_id)
        if len(text) > MAX_BYTES:
            raise _too_long()
        try:
            return await self._replace(account_id, read_json(text))
        except (RouteFileError, RouteTableError) as error:
            item = await asyncio.to_thread(item_of, text, error.line)
            raise RouteTableInvalid(error, item) from None

    async def delete(self, account_id: str) -> RouteTableSummary:
        """Delete the table of an account and return what it was.

        Raises `NotFound` (account, route table).
        """
        async with self._directory.unchanged():
            summary = self.summary(account_id)
            async with self._database.write() as connection:
                await connection.execute(delete(route_tables).filter_by(account_id=account_id))
            self._forget(account_id)
            return summary

    async def export(self, account_id: str) -> AsyncIterator[bytes]:
        """Return the canonical CSV of the table of an account, in blocks.

        Raises `NotFound` (account, route table) before the first block.
        """
        self._directory.account(account_id)
        _, _, document = await self._stored(account_id)
        return _unpacked_aside(document)

    async def _replace(self, account_id: str, rows: Iterator[NumberedRow]) -> RouteTableSummary:
        async with self._importing:
            compiled, document = await asyncio.to_thread(compile_and_pack, rows)
            # No target may go, and no account, between the check and the moment calls see it.
            async with self._directory.unchanged():
                self._directory.account(account_id)
                await asyncio.to_thread(self._check_targets, account_id, compiled.table)
                return await self._keep(account_id, compiled, document)

    def _check_targets(self, account_id: str, table: RouteTable) -> None:
        missing = (
            (line, to, target)
            for to, target, line in table.targets()
            if not self._directory.has(to, account_id, target)
        )
        line, to, target = min(missing, default=(0, "", ""))
        if line:
            raise RouteFileError(line, "id", target, f"the account has no {to} of this id")

    async def _keep(
        self, account_id: str, compiled: CompiledTable, document: bytes
    ) -> RouteTableSummary:
        async with self._database.write() as connection:
            this = route_tables.c.account_id == account_id
            before = (
                await connection.execute(select(route_tables.c.revision).where(this))
            ).scalar()
            revision, now = (before or 0) + 1, time.time()
            await connection.execute(delete(route_tables).where(this))
            row = (account_id, revision, now, document)
            await connection.execute(insert(route_tables).values(row))
        return self._show(account_id, compiled, revision, now)

    async def _stored(self, account_id: str) -> tuple[int, float, bytes]:
        columns = (
            route_tables.c.revision,
            route_tables.c.imported_at,
            route_tables.c.document,
        )
        async with self._database.read() as connection:
            query = select(*columns).filter_by(account_id=account_id)
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("route table", account_id)
        return row[0], row[1], row[2]

    async def _load(self, account_id: str) -> None:
        revision, imported_at, document = await self._stored(account_id)
        try:
            compiled = await asyncio.to_thread(compile_stored, document)
        except (RouteFileError, RouteTableError, zlib.error) as error:
            _log.error("the route table of account %s cannot be used: %s", account_id, error)
            return
        self._show(account_id, compiled, revision, imported_at)

    def _show(
        self, account_id: str, compiled: CompiledTable, revision: int, imported_at: float
    ) -> RouteTableSummary:
        """Let calls see a table from now on."""
        summary = RouteTableSummary(
            revision=revision,
            rows=len(compiled.table),
            csv_bytes=compiled.csv_bytes,
            memory_bytes=compiled.table.total_bytes,
            index_bytes=compiled.table.index_bytes,
            compile_ms=compiled.ms,
            imported_at=imported_at,
        )
        self._tables[account_id] = (compiled.table, summary)
        return summary

    def _forget(self, account_id: str) -> None:
        self._tables.pop(account_id, None)


def _too_long() -> RequestInvalid:
    return RequestInvalid("body", "...", f"at most {MAX_BYTES // 2**20} MiB", "maxLength")


async def _receive(chunks: AsyncIterable[bytes], file: IO[bytes]) -> None:
    """Gather a text in a file and wind it back."""
    gathered, size = bytearray(), 0
    async for chunk in chunks:
        gathered += chunk
        size += len(chunk)
        if size > MAX_BYTES:
            raise _too_long()
        if len(gathered) >= _IN_MEMORY:
            await _write(file, gathered)
            gathered = bytearray()
    await _write(file, gathered)
    file.seek(0)


async def _write(file: IO[bytes], data: bytearray) -> None:
    try:
        await asyncio.to_thread(file.write, data)
    except OSError as error:
        raise EngineUnavailable(f"no room for the text of a route table: {error}") from error


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


async def _unpacked_aside(document: bytes) -> AsyncIterator[bytes]:
    blocks = unpacked(document)
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block
