"""The journal: every event published and every call record, written in groups, read by account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.store.cdrs import CdrReader
from engine.store.database import Database
from engine.store.group_commit import GroupCommit
from engine.store.retention import Retention
from engine.store.tables import cdrs, events, journal_state, waiting_requests
from engine.store.unended import UnendedCalls

_RESTART_GAP = 1_000_000

_EVENT, _CDR, _STATE, _ENDED, _WAITING, _STARTED = range(6)
_Row = tuple[int, tuple[Any, ...]]
"""Which table it is for, and its columns in the order of the table. A request that is over has
none: it waits in line until its last event is durable."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of the outbox."""

    sequence: int
    account_id: str
    call_id: str
    name: str
    at: float
    payload: bytes


class Journal:
    """Events and call records. Adding is cheap and never waits; reading sees all added before."""

    def __init__(self, database: Database, keep_events: int, backlog_limit: int) -> None:
        """Use `open` instead."""
        self._database = database
        self._insert_event = database.insert_sql(events)
        self._insert_waiting = database.insert_sql(waiting_requests)
        self._waiting: set[str] = set()
        self._insert_cdr = database.insert_sql(cdrs, replaced="document")
        self._settled = 0
        self._last_alive = 0.0
        self._last_sequence = 0
        self.unended = UnendedCalls()
        """What the events tell to live now."""
        self._retention = Retention(keep_events, 0, self.unended)
        self._encode = msgspec.json.Encoder().encode
        self.records = CdrReader(database, self.flush)
        """The call records, to read."""
        self._rows: GroupCommit[_Row] = GroupCommit(
            "journal", self._commit, interval=0.1, batch=1000, limit=backlog_limit
        )

    @classmethod
    async def open(
        cls, database: Database, *, keep_events: int = 1_000_000, backlog_limit: int = 20_000
    ) -> Journal:
        """Open the journal of a database.

        `keep_events`: the newest so many events are kept, at least 1; call records are kept for
        ever. `backlog_limit`: rows that may wait for the disk before `full` is true, at least 1.
        """
        if keep_events < 1 or backlog_limit < 1:
            raise ValueError(
                f"keep_events {keep_events} and backlog_limit {backlog_limit} must be 1 or more"
            )
        journal = cls(database, keep_events, backlog_limit)
        async with database.read() as connection:
            found = await connection.execute(select(func.count(), func.max(events.c.sequence)))
            count, last = found.one()
            state = await connection.execute(select(journal_state))
            _, journal._settled, at = state.one()
            seen = await connection.execute(select(events.c.at).where(events.c.sequence == last))
            journal._last_alive = max(at, seen.scalar() or 0.0)
        journal._retention = Retention(keep_events, count, journal.unended)
        # Numbers given out just before a crash may not be on disk; the gap keeps them from being
        # used again.
        journal._last_sequence = last + _RESTART_GAP if last else 0
        journal._rows.start()
        return journal

    @property
    def backlog(self) -> int:
        """Rows added that are not durable yet."""
        return self._rows.backlog

    @property
    def full(self) -> bool:
        """Whether new originates must be refused until the disk caught up. Adding still works."""
        return self._rows.full

    @property
    def rejected(self) -> int:
        """Rows the database will never take (each is in the log), since the journal was opened."""
        return self._rows.rejected

    def last_sequence(self) -> int:
        """Return the highest event sequence ever used, 0 in a new database.

        After a restart it is higher than any number the process before could have given out.
        """
        return self._last_sequence

    def add_event(
        self, sequence: int, account_id: str, call_id: str, name: str, at: float, payload: bytes
    ) -> None:
        """Add one published event. `sequence` must be above every one before; `at` is Unix time."""
        if sequence <= self._last_sequence:
            raise ValueError(f"event sequence {sequence} is not above {self._last_sequence}")
        self._last_sequence = sequence
        self._rows.add((_EVENT, (sequence, account_id, call_id, name, at, payload)))

    def add_cdr(
        self,
        account_id: str,
        call_id: str,
        interaction_id: str,
        at: float,
        document: Mapping[str, object],
        *,
        chosen: bool = False,
    ) -> str:
        """Add the record of one finished leg and return its id, Kazoo's `YYYYMM-CALL_ID` (UTC).

        `at` is the Unix time the leg ended. `document` is the record in Kazoo's fields; its `id` is
        set here. Added again, with the same arguments but another document, it replaces the first.
        `chosen`: a caller chose the Call-ID and may choose it again, so the id has the interaction
        id before it.
        """
        name = f"{interaction_id}-{call_id}" if chosen else call_id
        cdr_id = f"{datetime.fromtimestamp(at, UTC):%Y%m}-{name}"
        encoded = self._encode({**document, "id": cdr_id})
        self._rows.add((_CDR, (cdr_id, account_id, call_id, interaction_id, at, encoded)))
        return cdr_id

    def add_waiting(self, request_id: str, document: bytes) -> None:
        """Add an accepted request that has no event yet; it counts until it has one."""
        self._waiting.add(request_id)
        self._rows.add((_WAITING, (request_id, document)))

    def begin_channel(self, request_id: str, call_id: str, sequence: int) -> None:
        """Note that the CHANNEL_CREATE of a channel was added."""
        self.unended.begin(request_id, call_id, sequence)
        self._note_started(request_id)

    def end_request(self, request_id: str) -> None:
        """Note that the terminal event of a request was added."""
        self._note_started(request_id)
        self._note_over(*self.unended.end(request_id))

    def end_channel(self, call_id: str) -> None:
        """Note that the CHANNEL_DESTROY of a channel was added."""
        self._note_over(*self.unended.destroy(call_id))

    def checkpoint(self, at: float) -> None:
        """Note a sign of life at Unix time `at`, and up to which event every call is over."""
        first = self.unended.first_sequence
        settled = self._last_sequence if first is None else first - 1
        if first is not None or settled != self._settled:
            self._settled = settled
            self._rows.add((_STATE, (1, settled, at)))

    @property
    def last_alive(self) -> float:
        """Unix time of the last sign of life of the process before, 0 in a new database."""
        return self._last_alive

    async def unsettled(self) -> AsyncIterator[StoredEvent]:
        """Yield the events that may tell of calls which were not over at the last checkpoint."""
        query = select(events).where(events.c.sequence > self._settled).order_by(events.c.sequence)
        async with self._database.read() as connection:
            async for row in await connection.stream(query):
                yield StoredEvent(*row)

    def forget_waiting(self, request_id: str) -> None:
        """Note that a request which waited when the process before died has had its end."""
        self._rows.add((_STARTED, (request_id,)))

    async def waiting(self) -> list[tuple[str, bytes]]:
        """Return the requests added by `add_waiting` that were waiting, in no order."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(waiting_requests))
            return [(row.id, row.document) for row in rows]

    async def flush(self) -> None:
        """Wait until everything added before is durable."""
        await self._rows.flush()

    async def settled(self) -> None:
        """Wait as `flush`, but let the writer gather rows for as long as it always does."""
        await self._rows.settled()

    async def events(
        self, account_id: str | None, after_sequence: int = 0, limit: int = 1000
    ) -> list[StoredEvent]:
        """Return at most `limit` events after a sequence, oldest first; None: of every account."""
        await self.flush()
        query = select(events).where(events.c.sequence > after_sequence)
        if account_id is not None:
            query = query.where(events.c.account_id == account_id)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(events.c.sequence).limit(limit))
            return [StoredEvent(*row) for row in rows]

    async def close(self, deadline: float = 10.0) -> int:
        """Write what waits, for at most `deadline` seconds. Return the rows not written."""
        return await self._rows.close(deadline)

    async def _commit(self, rows: Sequence[_Row]) -> None:
        event_rows = [columns for table, columns in rows if table == _EVENT]
        # Of a record that was added again only the last is written.
        cdr_rows = list({columns[0]: columns for t, columns in rows if t == _CDR}.values())
        states = [columns for table, columns in rows if table == _STATE]
        async with self._database.write() as connection:
            if event_rows:
                await connection.exec_driver_sql(self._insert_event, event_rows)
            if cdr_rows:
                await connection.exec_driver_sql(self._insert_cdr, cdr_rows)
            await self._write_waiting(connection, rows)
            if states:
                _, settled, at = states[-1]
                await connection.execute(update(journal_state).values(settled=settled, at=at))
            deleted = await self._retention.delete(connection, len(event_rows))
        self._retention.committed(deleted, len(event_rows))
        for table, columns in rows:
            if table == _ENDED:
                self._retention.release(*columns)

    async def _write_waiting(self, connection: AsyncConnection, rows: Sequence[_Row]) -> None:
        added = [columns for table, columns in rows if table == _WAITING]
        started = [columns[0] for table, columns in rows if table == _STARTED]
        if added:
            await connection.exec_driver_sql(self._insert_waiting, added)
        if started:
            gone = waiting_requests.c.id.in_(started)
            await connection.execute(delete(waiting_requests).where(gone))

    def _note_started(self, request_id: str) -> None:
        if request_id in self._waiting:
            self._waiting.remove(request_id)
            self._rows.add((_STARTED, (request_id,)))

    def _note_over(self, request_id: str, calls: Sequence[str]) -> None:
        if calls:
            self._rows.add((_ENDED, (request_id, calls)))
