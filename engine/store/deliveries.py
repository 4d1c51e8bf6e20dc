"""What webhooks still have to deliver, and what they gave up: one row each, written in groups.

A delivery that succeeds at once has no row. One that failed, or that waits behind one that did, has
a row until it succeeds; after a day it is dead and its row stays for who wants it sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Row, and_, bindparam, delete, func, insert, select, update

from engine.store.database import Database
from engine.store.group_commit import GroupCommit
from engine.store.tables import webhook_deliveries as table

MAX_DEAD = 50_000
"""Dead deliveries kept of one webhook; the oldest go first."""

_GATHER_S = 0.1
"""How long changes are gathered for one transaction."""

Key = tuple[str, str, int]
"""Account id, id of the webhook, sequence of the event."""


class StoredDelivery(msgspec.Struct, frozen=True):
    """One delivery that was not made yet, or never will be."""

    account_id: str
    hook_id: str
    sequence: int
    """Of its event."""
    event_id: str
    lane: str
    """Deliveries of one lane keep their order: the Call-ID, or the request id without one."""
    name: str
    """Name of its event."""
    at: float
    """Unix time of its event."""
    since: float
    """Unix time from which its day is counted."""
    attempts: int
    tried_at: float
    """Unix time of the last attempt, 0: none."""
    dead: int
    """1: given up."""
    status: int
    """HTTP status of the last attempt, 0: no answer, or none made."""
    error: str
    """Why the last attempt failed, empty: none made."""
    payload: bytes = b""
    """What the event says, as JSON; empty when it was not asked for."""

    @property
    def key(self) -> Key:
        """The key of its row."""
        return self.account_id, self.hook_id, self.sequence


_Change = StoredDelivery | str | None
"""A whole row, why a row is given up, or None: a row that goes."""

_INDEX = [column for column in table.c if column.name != "payload"]
_OF_HOOK = and_(
    table.c.account_id == bindparam("of_account"), table.c.hook_id == bindparam("of_hook")
)
_OF_KEY = and_(_OF_HOOK, table.c.sequence == bindparam("of_sequence"))


class Deliveries:
    """The rows. Changes are cheap and never wait; reading sees all changes made before."""

    def __init__(self, database: Database, limit: int = 20_000) -> None:
        """Use `open` instead."""
        self._database = database
        self._changes: GroupCommit[tuple[Key, _Change]] = GroupCommit(
            "webhook deliveries", self._commit, interval=_GATHER_S, batch=500, limit=limit
        )

    @classmethod
    async def open(cls, database: Database) -> Deliveries:
        """Open the deliveries of a database."""
        deliveries = cls(database)
        deliveries._changes.start()
        return deliveries

    @property
    def backlog(self) -> int:
        """Changes that are not durable yet."""
        return self._changes.backlog

    @property
    def full(self) -> bool:
        """Whether so many changes wait for the database that no more should be made."""
        return self._changes.full

    def put(self, delivery: StoredDelivery) -> None:
        """Write a row, in place of the one with its key."""
        self._changes.add((delivery.key, delivery))

    def remove(self, key: Key) -> None:
        """Delete a row; one that is not there is no error."""
        self._changes.add((key, None))

    def bury(self, key: Key, error: str) -> None:
        """Give up a delivery that has a row."""
        self._changes.add((key, error))

    async def settled(self) -> None:
        """Wait until every change made before is durable, without hurrying the writer."""
        if self.backlog:
            await asyncio.sleep(_GATHER_S)
            await self._changes.flush()

    async def waiting(self) -> list[StoredDelivery]:
        """Return every delivery that is not dead, by its event's sequence, without payload."""
        await self._changes.flush()
        query = select(*_INDEX).where(table.c.dead == 0).order_by(table.c.sequence)
        async with self._database.read() as connection:
            return [_stored(row) for row in await connection.execute(query)]

    async def dead_counts(self) -> dict[tuple[str, str], int]:
        """Return how many dead deliveries each webhook has, by account id and id."""
        await self._changes.flush()
        key = (table.c.account_id, table.c.hook_id)
        query = select(*key, func.count()).where(table.c.dead == 1).group_by(*key)
        async with self._database.read() as connection:
            return {(row[0], row[1]): row[2] for row in await connection.execute(query)}

    async def payloads(self, key: tuple[str, str], sequences: Collection[int]) -> dict[int, bytes]:
        """Return what the events of some deliveries of a webhook say, by sequence."""
        await self._changes.flush()
        query = select(table.c.sequence, table.c.payload)
        query = query.where(_OF_HOOK, table.c.sequence.in_(sequences))
        async with self._database.read() as connection:
            rows = await connection.execute(query, _hook(key))
            return {row.sequence: row.payload for row in rows}

    async def failed(
        self, account_id: str, hook_id: str | None, dead: bool | None, limit: int, start: int = 0
    ) -> list[StoredDelivery]:
        """Return deliveries of an account that have failed before, by sequence, without payload.

        `hook_id` None: of every webhook; `dead` None: dead or not; `start`: a sequence.
        """
        await self._changes.flush()
        query = select(*_INDEX).where(table.c.account_id == account_id, table.c.sequence >= start)
        query = query.where((table.c.attempts > 0) | (table.c.dead == 1))
        if hook_id is not None:
            query = query.where(table.c.hook_id == hook_id)
        if dead is not None:
            query = query.where(table.c.dead == int(dead))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(table.c.sequence).limit(limit))
            return [_stored(row) for row in rows]

    async def revive(
        self, key: tuple[str, str], event_id: str | None, now: float, limit: int
    ) -> list[StoredDelivery]:
        """Let dead deliveries of a webhook wait again, for a day from `now`, the oldest first.

        `event_id` None: all of them, at most `limit`. Returns them without payload.
        """
        await self._changes.flush()
        query = select(*_INDEX).where(_OF_HOOK, table.c.dead == 1)
        if event_id is not None:
            query = query.where(table.c.event_id == event_id)
        alive = {"dead": 0, "attempts": 0, "since": now, "error": "", "status": 0, "tried_at": 0.0}
        async with self._database.write() as connection:
            found = await connection.execute(
                query.order_by(table.c.sequence).limit(limit), _hook(key)
            )
            rows = found.all()
            if rows:
                keys = [_key((*key, row.sequence)) for row in rows]
                await connection.execute(update(table).where(_OF_KEY).values(alive), keys)
        return [_stored(row, **alive) for row in rows]

    async def forget(self, key: tuple[str, str], *, until: int, dead: bool) -> None:
        """Delete what a webhook has to deliver of events up to the sequence `until`.

        `dead`: what it gave up too.
        """
        await self._changes.flush()
        query = delete(table).where(_OF_HOOK, table.c.sequence <= until)
        if not dead:
            query = query.where(table.c.dead == 0)
        async with self._database.write() as connection:
            await connection.execute(query, _hook(key))

    async def drop_oldest_dead(self, key: tuple[str, str], count: int) -> int:
        """Delete the oldest dead deliveries of a webhook, so many; return how many there were."""
        await self._changes.flush()
        oldest = select(table.c.sequence).where(_OF_HOOK, table.c.dead == 1)
        oldest = oldest.order_by(table.c.sequence).limit(count)
        query = delete(table).where(_OF_HOOK, table.c.sequence.in_(oldest))
        async with self._database.write() as connection:
            return (await connection.execute(query, _hook(key))).rowcount

    async def close(self, deadline: float = 10.0) -> int:
        """Write what waits, for at most `deadline` seconds. Return the changes not written."""
        return await self._changes.close(deadline)

    async def _commit(self, changes: Sequence[tuple[Key, _Change]]) -> None:
        last: dict[Key, _Change] = {}
        for key, change in changes:
            before = last.get(key)
            if isinstance(change, str) and isinstance(before, StoredDelivery):
                change = replace(before, dead=1, error=change)
            last[key] = change
        written = [key for key, change in last.items() if not isinstance(change, str)]
        rows = [_values(change) for change in last.values() if isinstance(change, StoredDelivery)]
        buried = [
            {**_key(key), "why": change} for key, change in last.items() if isinstance(change, str)
        ]
        async with self._database.write() as connection:
            if written:
                await connection.execute(delete(table).where(_OF_KEY), [_key(k) for k in written])
            if rows:
                await connection.execute(insert(table), rows)
            if buried:
                gone = update(table).where(_OF_KEY).values(dead=1, error=bindparam("why"))
                await connection.execute(gone, buried)


def _hook(key: tuple[str, str]) -> dict[str, Any]:
    return {"of_account": key[0], "of_hook": key[1]}


def _key(key: Key) -> dict[str, Any]:
    return {"of_account": key[0], "of_hook": key[1], "of_sequence": key[2]}


def _values(delivery: StoredDelivery) -> dict[str, Any]:
    return {column.name: getattr(delivery, column.name) for column in table.c}


def _stored(row: Row[Any], **changes: Any) -> StoredDelivery:
    return StoredDelivery(**{**row._mapping, **changes})
