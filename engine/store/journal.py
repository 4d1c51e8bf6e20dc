"""The journal: every event published and every call record, safe at once, read by account.

What is added is in the spool, and so outlives the process, when `persist` returns; the database has
it some tenths of a second later, or when it is back.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from engine.core.errors import EngineUnavailable
from engine.store.cdrs import CdrReader
from engine.store.cursors import Cursors
from engine.store.database import Database
from engine.store.journal_rows import (
    CDR,
    CURSOR,
    ENDED,
    EVENT,
    STARTED,
    STATE,
    WAITING,
    JournalRows,
    Row,
)
from engine.store.retention import Deleted, Retention
from engine.store.spool import Spool
from engine.store.spool_commit import SpoolCommit
from engine.store.tables import cursors, events, journal_state, store, waiting_requests
from engine.store.unended import UnendedCalls

FLUSH_S = 5.0
"""Longest time a reader waits until the database has what was added before, seconds."""

_RESTART_GAP = 1_000_000

_log = logging.getLogger(__name__)


class StoredEvent(msgspec.Struct, frozen=True):
    """One event of the outbox."""

    sequence: int
    account_id: str
    call_id: str
    name: str
    at: float
    payload: bytes


class Journal:
    """Events and call records. Adding is cheap and never waits; reading sees all added before."""

    def __init__(self, database: Database, spool: Spool, keep_events: int) -> None:
        """Use `open` instead."""
        self._database = database
        self._spool = spool
        self._keep_events = keep_events
        self._turn: list[Row] = []
        self._moved: dict[str, int] = {}
        self._waiting: set[str] = set()
        self._settled = 0
        self._last_alive = 0.0
        self._last_sequence = 0
        self._stored_through = 0
        self.unended = UnendedCalls()
        """What the events tell to live now."""
        self._cursors = Cursors({}, 0, 0)
        self._retention = Retention(keep_events, 0, self.unended, self._cursors)
        self._encode = msgspec.json.Encoder().encode
        self.records = CdrReader(database, self.flush)
        """The call records, to read."""
        self._pack = msgspec.msgpack.Encoder().encode
        self._rows = JournalRows(database)
        self._commits = SpoolCommit(spool, self._commit, self.persist)

    @classmethod
    async def open(
        cls, database: Database, *, keep_events: int = 1_000_000, spool_max_mb: int = 512
    ) -> Journal:
        """Open the journal of a database, and store what a dead process left in its spool.

        `keep_events`: the newest so many events are kept, at least 1, and up to twice as many for a
        consumer that is behind; call records are kept for ever. `spool_max_mb`: MiB that may wait
        for the database before `refusal` says so, at least 1. Raises `EngineUnavailable` when the
        spool cannot be used, or the database fails.
        """
        if keep_events < 1 or spool_max_mb < 1:
            raise ValueError(
                f"keep_events {keep_events} and spool_max_mb {spool_max_mb} must be 1 or more"
            )
        async with database.read() as connection:
            store_id = (await connection.execute(select(store.c.id))).scalar_one()
        spool = Spool.open(database.spool_folder, store_id, max_bytes=spool_max_mb * 2**20)
        try:
            journal = cls(database, spool, keep_events)
            await journal._replay()
            await journal._read_state()
        except SQLAlchemyError as error:
            spool.close()
            raise EngineUnavailable(f"the spool cannot be stored: {error}") from error
        except BaseException:
            spool.close()
            raise
        journal._commits.start()
        return journal

    async def _replay(self) -> None:
        # What is known of it is read afterwards, and nothing is deleted before that.
        async def commit(rows: Sequence[Row]) -> None:
            await self._database.write_at_once(lambda c: self._rows.write(c, rows))

        left = await SpoolCommit(self._spool, commit, self.persist).replay()
        if left:
            _log.warning("%d rows of a process that died are stored", left)

    async def _read_state(self) -> None:
        async with self._database.read(deadline=None) as connection:
            found = await connection.execute(select(func.count(), func.max(events.c.sequence)))
            count, last = found.one()
            state = await connection.execute(select(journal_state))
            _, self._settled, at, forgotten = state.one()
            seen = await connection.execute(select(events.c.at).where(events.c.sequence == last))
            self._last_alive = max(at, seen.scalar() or 0.0)
            behind: dict[str, tuple[int, int]] = {}
            for name, sequence in (await connection.execute(select(cursors))).all():
                after = select(func.count()).where(events.c.sequence > sequence)
                behind[name] = sequence, (await connection.execute(after)).scalar_one()
        # Numbers that were told while the spool could not be written may be lost; the gap keeps
        # them from being used again.
        self._last_sequence = last + _RESTART_GAP if last else 0
        self._stored_through = last or 0
        self._cursors = Cursors(behind, last or 0, self._last_sequence)
        self._retention = Retention(
            self._keep_events, count, self.unended, self._cursors, forgotten
        )

    @property
    def backlog(self) -> int:
        """Rows added that are not in the database yet."""
        return self._commits.backlog + len(self._turn)

    def refusal(self) -> str:
        """Return why new originates must be refused, empty when they need not.

        Too much waits for the database, the spool cannot be written, or a consumer of the outbox is
        too far behind. Adding still works.
        """
        if self._spool.error:
            return f"the spool cannot be written: {self._spool.error}"
        if self._spool.full:
            return f"{self._spool.waiting_bytes >> 20} MiB of events wait for the database"
        lag, name = self._cursors.most(self._last_sequence)
        if lag >= 2 * self._keep_events:
            return f"{lag} events wait to be delivered to {name}"
        return ""

    @property
    def outbox_lag(self) -> int:
        """Events that the consumer of the outbox furthest behind is not done with."""
        return self._cursors.most(self._last_sequence)[0]

    @property
    def rejected(self) -> int:
        """Rows the database will never take (each is in the log), since the journal was opened."""
        return self._commits.rejected

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
        self._add((EVENT, (sequence, account_id, call_id, name, at, payload)))

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
        self._add((CDR, (cdr_id, account_id, call_id, interaction_id, at, encoded)))
        return cdr_id

    def add_waiting(self, request_id: str, document: bytes) -> None:
        """Add an accepted request that has no event yet; it counts until it has one."""
        self._waiting.add(request_id)
        self._add((WAITING, (request_id, document)))

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
            self._add((STATE, (settled, at)))

    @property
    def last_alive(self) -> float:
        """Unix time of the last sign of life of the process before, 0 in a new database."""
        return self._last_alive

    async def unsettled(self) -> AsyncIterator[StoredEvent]:
        """Yield the events that may tell of calls which were not over at the last checkpoint."""
        query = select(events).where(events.c.sequence > self._settled).order_by(events.c.sequence)
        async with self._database.read(deadline=None) as connection:
            async for row in await connection.stream(query):
                yield StoredEvent(*row)

    @property
    def forgotten(self) -> int:
        """Sequence up to which events may be missing, because more than are kept came after them.

        Who reads on after an earlier event cannot know what it missed.
        """
        return self._retention.forgotten

    def forget_waiting(self, request_id: str) -> None:
        """Note that a request which waited when the process before died has had its end."""
        self._add((STARTED, (request_id,)))

    async def waiting(self) -> list[tuple[str, bytes]]:
        """Return the requests added by `add_waiting` that were waiting, in no order."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(waiting_requests))
            return [(row.id, row.document) for row in rows]

    def cursor(self, name: str) -> int:
        """Return up to which event the consumer `name` is done; a new one is as of now.

        From now on the consumer counts: what it needs is kept, and how far it is behind is seen.
        """
        if self._cursors.use(name, self._last_sequence):
            self._move(name, self._last_sequence)
        return self._cursors.at(name)

    def move_cursor(self, name: str, sequence: int) -> None:
        """Note that a consumer is done up to an event; safe within a quarter of a second."""
        if self._cursors.move(name, sequence):
            self._move(name, sequence)

    def cursor_lag(self, name: str) -> int:
        """Return how many events a consumer is not done with."""
        return self._cursors.lag(name, self._last_sequence)

    def persist(self) -> None:
        """Write what was added to the spool: whatever happens to the process, it is not lost.

        Takes some microseconds and never fails; when the disk does, `refusal` says so.
        """
        if self._moved:
            self._turn += [(CURSOR, moved) for moved in self._moved.items()]
            self._moved.clear()
        if not self._turn:
            return
        rows, self._turn = self._turn, []
        try:
            body = self._pack(rows)
        except (TypeError, ValueError, OverflowError):
            rows = [row for row in rows if self._can_be_packed(row)]
            if not rows:
                return
            body = self._pack(rows)
        self._spool.append(body)
        self._commits.appended(len(rows))

    async def settled(self) -> None:
        """Return when everything added before is safe from the end of the process.

        That is at once, but when the spool cannot be written. Raises `EngineUnavailable` when the
        database does not take it either.
        """
        self.persist()
        if self._spool.in_memory:
            await self._commits.flush(FLUSH_S)

    async def flush(self) -> None:
        """Wait until the database has everything added before.

        Raises `EngineUnavailable` when it does not within `FLUSH_S` seconds.
        """
        self.persist()
        await self._commits.flush(FLUSH_S)

    async def events(
        self, account_id: str | None, after_sequence: int = 0, limit: int = 1000
    ) -> list[StoredEvent]:
        """Return at most `limit` events after a sequence, oldest first; None: of every account.

        Raises `EngineUnavailable` as `flush`.
        """
        # Events are stored in their order: what is there has no gaps, so a whole page of it needs
        # nothing that is still on its way.
        found: list[StoredEvent] = []
        on_their_way = self.backlog > 0
        if after_sequence < self._stored_through:
            found = await self._events(account_id, after_sequence, limit)
        if len(found) < limit and on_their_way:
            await self.flush()
            after = found[-1].sequence if found else after_sequence
            found += await self._events(account_id, after, limit - len(found))
        return found

    async def _events(
        self, account_id: str | None, after_sequence: int, limit: int
    ) -> list[StoredEvent]:
        query = select(events).where(events.c.sequence > after_sequence)
        if account_id is not None:
            query = query.where(events.c.account_id == account_id)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(events.c.sequence).limit(limit))
            return [StoredEvent(*row) for row in rows]

    async def close(self, deadline: float = 10.0) -> int:
        """Store what waits, for at most `deadline` seconds. Return the rows that are lost.

        What the database did not take stays in the spool, for the next process; lost are only rows
        that could not be written there either.
        """
        self.persist()
        await self._commits.close(deadline)
        self._spool.retry()
        if self.backlog:
            _log.warning("%d rows wait in the spool for the next start", self.backlog)
        lost = self.backlog if self._spool.in_memory else 0
        self._spool.close()
        return lost

    async def _commit(self, rows: Sequence[Row]) -> None:
        needed_after = self._retention.needed_after()

        def write(connection: Connection) -> tuple[int, Deleted]:
            added = self._rows.write(connection, rows)
            return added, self._retention.delete(connection, added, needed_after)

        added, deleted = await self._database.write_at_once(write)
        self._retention.committed(deleted, added)
        for kind, columns in rows:
            if kind == EVENT:
                self._stored_through = columns[0]
            elif kind == ENDED:
                self._retention.release(*columns)

    def _add(self, row: Row) -> None:
        self._turn.append(row)
        self._commits.wake_soon()

    def _move(self, name: str, sequence: int) -> None:
        self._moved[name] = sequence
        self._commits.wake_soon()

    def _can_be_packed(self, row: Row) -> bool:
        try:
            self._pack(row)
        except (TypeError, ValueError, OverflowError) as error:
            self._commits.reject(row, error)
            return False
        return True

    def _note_started(self, request_id: str) -> None:
        if request_id in self._waiting:
            self._waiting.remove(request_id)
            self._add((STARTED, (request_id,)))

    def _note_over(self, request_id: str, calls: Sequence[str]) -> None:
        if calls:
            self._add((ENDED, (request_id, calls)))
