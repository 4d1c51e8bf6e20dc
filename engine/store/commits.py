"""Commits that are tried until they succeed: trouble of the database delays rows and loses none.

A row that can never be written, for what it is, must not hold back the others, or whatever feeds
the database would stand still for good: it is found, logged and left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

Row = TypeVar("Row")

_log = logging.getLogger(__name__)
_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 5.0


class Commits(Generic[Row]):
    """Writes groups of rows, one transaction each."""

    def __init__(self, name: str, commit: Callable[[Sequence[Row]], Awaitable[None]]) -> None:
        """Write with `commit`, which may be called again with the same rows, as `name` in the log.

        So `commit` must be idempotent.
        """
        self._name = name
        self._commit = commit
        self.rejected = 0
        """Rows left out."""

    async def write(self, rows: Sequence[Row]) -> None:
        """Return when every row is durable, or left out."""
        delay = _FIRST_RETRY_S
        while True:
            try:
                await self.write_once(rows)
                return
            except Exception as error:
                _log.error(
                    "%s: %d rows not written, again in %.2f s: %s",
                    self._name,
                    len(rows),
                    delay,
                    error,
                )
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_RETRY_S)

    async def write_once(self, rows: Sequence[Row]) -> None:
        """Do as `write`, but raise what the database raises when it is in trouble."""
        try:
            await self._commit(rows)
        except Exception as error:
            if not _is_about_the_rows(error):
                raise
            if len(rows) == 1:
                self.reject(rows[0], error)
                return
            half = len(rows) // 2
            await self.write_once(rows[:half])
            await self.write_once(rows[half:])

    def reject(self, row: Row, error: Exception) -> None:
        """Log and count a row that is left out."""
        self.rejected += 1
        _log.error("%s: the database refuses this row for good: %r: %s", self._name, row, error)


def _is_about_the_rows(error: Exception) -> bool:
    """Tell values that cannot be stored from a database in trouble, which may recover."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, StatementError | ValueError | TypeError | OverflowError)
    # asyncpg's own checks are ValueErrors, PostgreSQL's have an SQLSTATE of class 22 or 23.
    state = str(getattr(error.orig, "sqlstate", None) or "")
    refused = isinstance(getattr(error.orig, "__cause__", None), ValueError)
    return refused or state[:2] in ("22", "23") or isinstance(error, DataError | IntegrityError)
