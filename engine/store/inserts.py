"""INSERTs of whole rows, many to a statement on SQLite.

SQLite's driver lets go of the interpreter lock for each statement and has to win it back from the
event loop, which keeps it as long as it has work: an engine with as many calls as it can do wrote
a thousand rows in the time of which SQLite itself needs a tenth. So rows go into it by the dozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table

from engine.store.database import Database

SIZES = (1024, 32, 1)
"""Rows of the statements there are, the largest first; columns times rows must stay below SQLite's
32766 parameters."""


class Inserts:
    """Adds rows to one table."""

    def __init__(self, database: Database, table: Table, replaced: str = "") -> None:
        """Prepare the statements; a row that is there is passed over, but for `replaced`."""
        # PostgreSQL's driver sends all rows at once by itself.
        sizes = SIZES if database.is_sqlite else SIZES[-1:]
        self._statements = [(size, database.insert_sql(table, replaced, size)) for size in sizes]

    def write(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows, tuples in the order of the columns."""
        at = 0
        for size, statement in self._statements:
            starts = range(at, len(rows) - size + 1, size)
            if starts:
                groups = [tuple(chain.from_iterable(rows[n : n + size])) for n in starts]
                connection.exec_driver_sql(statement, groups)
                at = starts[-1] + size
