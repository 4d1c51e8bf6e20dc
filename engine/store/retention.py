"""Which events stay: the newest so many, those of calls that live, and those not delivered yet.

A consumer in use keeps what it needs, however much that is (`Journal.refusal` bounds it); one that
is not used any more, up to as many events again as are kept in any case.

A crash has to be told from the events of a call (`engine.runtime.recovery`), so they go only when
its last event is durable. What a transaction deletes is noted when it has been committed, for it
may be tried again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from engine.store.cursors import Cursors
from engine.store.tables import events, journal_state
from engine.store.unended import UnendedCalls

_BATCH = 2000
"""Events deleted in one transaction that adds few: a bound that was lowered must not stop the
writer for as long as it takes at once."""


class Deleted(msgspec.Struct, frozen=True):
    """What one transaction did."""

    examined: int
    """Every older event has been looked at."""
    count: int = 0
    kept: Sequence[tuple[str, int]] = ()
    """Call-ID and sequence of those that stay because their call lives."""
    overdue: int = 0
    """How many kept ones went because their call is over."""


class Retention:
    """Deletes events a few at a time, as others are added."""

    def __init__(
        self,
        keep: int,
        stored: int,
        unended: UnendedCalls,
        cursors: Cursors,
        forgotten: int = 0,
    ) -> None:
        """Keep the newest `keep` of the events; `stored` are there now.

        `forgotten`: what an earlier process deleted, as `Retention.forgotten`.
        """
        self._keep = keep
        self._stored = stored
        self._unended = unended
        self._cursors = cursors
        self._examined = 0
        self.forgotten = forgotten
        """Some of the events up to this sequence are deleted, or are about to be."""
        self._kept: dict[str, list[int]] = {}
        self._kept_count = 0
        self._overdue: list[int] = []

    def needed_after(self) -> int | None:
        """Return the sequence up to which no consumer needs events, None when there is none."""
        return self._cursors.needed(unused=self._stored <= 2 * self._keep)

    def delete(self, connection: Connection, added: int, needed_after: int | None) -> Deleted:
        """Delete what is too many with so many events added in the same transaction.

        May run in another thread than the one that calls the rest, not at the same time.
        `needed_after`: of just before.
        """
        excess = self._stored - self._kept_count + added - self._keep
        overdue = self._overdue[:_BATCH]
        if overdue:
            connection.execute(delete(events).where(events.c.sequence.in_(overdue)))
        if excess <= 0:
            return Deleted(self._examined, overdue=len(overdue))
        # More than are added, or a store that is too large would stay so for as long as it is busy.
        count = min(excess, max(_BATCH, 2 * added))
        return self._delete_oldest(connection, count, len(overdue), needed_after)

    def _delete_oldest(
        self, connection: Connection, count: int, overdue: int, needed_after: int | None
    ) -> Deleted:
        after = events.c.sequence > self._examined
        oldest = select(events.c.sequence, events.c.call_id).where(after)
        if needed_after is not None:
            oldest = oldest.where(events.c.sequence <= needed_after)
        oldest = oldest.order_by(events.c.sequence).limit(count)
        last = connection.scalar(select(func.max(oldest.subquery().c.sequence)))
        if last is None:
            return Deleted(self._examined, overdue=overdue)
        examined = and_(after, events.c.sequence <= last)
        kept = self._needed(connection, examined)
        going = delete(events).where(examined)
        if kept:
            going = going.where(events.c.sequence.not_in([sequence for _, sequence in kept]))
        # Before they are gone: who reads meanwhile must not take what is left for all there was.
        self.forgotten = max(self.forgotten, last)
        result = connection.execute(going)
        connection.execute(update(journal_state).values(forgotten=self.forgotten))
        return Deleted(last, result.rowcount, kept, overdue)

    def _needed(
        self, connection: Connection, examined: ColumnElement[bool]
    ) -> list[tuple[str, int]]:
        # Calls first: they are some, their events are many, and each row has its price.
        calls = connection.scalars(select(events.c.call_id).where(examined).distinct())
        needed = self._unended.needed(calls)
        if not needed:
            return []
        theirs = select(events.c.call_id, events.c.sequence).where(
            examined, events.c.call_id.in_(needed)
        )
        return [(row.call_id, row.sequence) for row in connection.execute(theirs)]

    def committed(self, deleted: Deleted, added: int) -> None:
        """Note that the transaction is durable."""
        self._stored += added - deleted.count - deleted.overdue
        self._examined = deleted.examined
        self._kept_count += len(deleted.kept) - deleted.overdue
        del self._overdue[: deleted.overdue]
        for call_id, sequence in deleted.kept:
            self._kept.setdefault(call_id, []).append(sequence)

    def release(self, request_id: str, calls: Sequence[str]) -> None:
        """Note that the last event of a request is durable: those of its channels may go."""
        self._unended.release(request_id, calls)
        for call_id in calls:
            if not self._unended.needed((call_id,)):
                self._overdue += self._kept.pop(call_id, ())
