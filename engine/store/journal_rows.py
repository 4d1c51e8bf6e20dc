"""The rows of the journal: what each kind does to the database.

Rows come in the order they were added, may come again after a crash, and must then change nothing:
an event or a waiting request that is there is passed over, a record or a cursor replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, text, update

from engine.store.database import Database
from engine.store.inserts import Inserts
from engine.store.tables import cdrs, events, journal_state, waiting_requests

EVENT, CDR, STATE, ENDED, WAITING, STARTED, CURSOR = range(7)

Row = tuple[int, tuple[Any, ...]]
"""Which kind, and its columns in the order of its table. ENDED, a request that is over and its
Call-IDs, has no table: it is in line to be seen when its last event is durable."""

_MOVE_CURSOR = text(
    "INSERT INTO cursors (name, sequence) VALUES (:name, :sequence) ON CONFLICT (name)"
    " DO UPDATE SET sequence = excluded.sequence WHERE cursors.sequence < excluded.sequence"
)


class JournalRows:
    """Writes rows of every kind within the transaction of whoever asks."""

    def __init__(self, database: Database) -> None:
        """Prepare the statements for this database."""
        self._events = Inserts(database, events)
        self._cdrs = Inserts(database, cdrs, replaced="document")
        self._waiting = Inserts(database, waiting_requests)

    def write(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Write rows and return how many events were among them."""
        event_rows = [columns for kind, columns in rows if kind == EVENT]
        # Of what was added again only the last is written.
        records = {columns[0]: columns for kind, columns in rows if kind == CDR}
        requests = {columns[0]: columns for kind, columns in rows if kind in (WAITING, STARTED)}
        cursors = {columns[0]: columns[1] for kind, columns in rows if kind == CURSOR}
        states = [columns for kind, columns in rows if kind == STATE]
        if event_rows:
            self._events.write(connection, event_rows)
        if records:
            self._cdrs.write(connection, list(records.values()))
        if requests:
            self._write_waiting(connection, requests)
        if cursors:
            moved = [{"name": name, "sequence": at} for name, at in sorted(cursors.items())]
            connection.execute(_MOVE_CURSOR, moved)
        if states:
            settled, at = states[-1]
            connection.execute(update(journal_state).values(settled=settled, at=at))
        return len(event_rows)

    def _write_waiting(self, connection: Connection, latest: dict[str, tuple[Any, ...]]) -> None:
        waiting = [columns for columns in latest.values() if len(columns) > 1]
        started = [columns[0] for columns in latest.values() if len(columns) == 1]
        if started:
            gone = waiting_requests.c.id.in_(started)
            connection.execute(delete(waiting_requests).where(gone))
        if waiting:
            self._waiting.write(connection, waiting)
