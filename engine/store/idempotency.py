"""Idempotency keys: a request that is sent twice is carried out once.

A key is claimed, durably, before anything is done for it, and its answer is kept, durably, before
it is given. So whatever happens in between, a key is never used for a second call: whoever comes
with it while the first is under way waits for its answer, and after a restart a key that was
claimed and got no answer says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec
from msgspec.structs import asdict, replace
from sqlalchemy import delete, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.core.errors import EngineError, EngineUnavailable
from engine.store.database import Database
from engine.store.group_commit import GroupCommit
from engine.store.tables import idempotency_keys

MAX_KEY = 255
"""Longest key, characters."""

KEEP_S = 86_400.0
"""How long a key is remembered, seconds."""

KEYS_PER_ACCOUNT = 100_000
"""Most keys of one account that are remembered; with more, the oldest are forgotten early."""

CLAIM_S = 5.0
"""Longest time until a claim is durable, seconds; after that nothing is done for it."""

_BACKLOG = 20_000
_DELETE_BATCH = 10_000

_UPSERT = text(
    "INSERT INTO idempotency_keys (account_id, key, fingerprint, request_id, at, status, body)"
    " VALUES (:account_id, :key, :fingerprint, :request_id, :at, :status, :body)"
    " ON CONFLICT (account_id, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
    " request_id = excluded.request_id, at = excluded.at, status = excluded.status,"
    " body = excluded.body"
)
_DELETE = text("DELETE FROM idempotency_keys WHERE account_id = :account_id AND key = :key")

_log = logging.getLogger(__name__)


class KeyReused(EngineError):
    """An idempotency key came with another request than the first time (HTTP 422)."""

    def __init__(self, key: str) -> None:
        """Name the key."""
        super().__init__(f"idempotency-key: {key!r} was used for another request")
        self.key = key


class Claim(msgspec.Struct, frozen=True):
    """A key of an account, and what it stands for."""

    account_id: str
    key: str
    fingerprint: bytes
    """Digest of the whole request."""
    request_id: str
    at: float
    """When it was claimed, Unix time."""
    status: int = 0
    """HTTP status of the answer, 0 while there is none."""
    body: bytes = b""

    @property
    def name(self) -> tuple[str, str]:
        """Account id and key."""
        return self.account_id, self.key


class _Waiting(msgspec.Struct):
    """A claim under way in this process."""

    fingerprint: bytes
    answer: asyncio.Future[Claim | None] = msgspec.field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """None: nothing was done for it, the key is free again."""


class _Expiry(msgspec.Struct, frozen=True):
    """An order to forget what is too old, or too much."""

    before: float
    accounts: frozenset[str]
    """Accounts that have claimed keys since the last time."""


class _Removal(msgspec.Struct, frozen=True):
    """A claim that was given up."""

    account_id: str
    key: str

    @property
    def name(self) -> tuple[str, str]:
        return self.account_id, self.key


_Row = Claim | _Removal | _Expiry


class IdempotencyKeys:
    """The keys of every account. Made by `open`; used from one event loop."""

    def __init__(self, database: Database, keys_per_account: int) -> None:
        """Use `open` instead."""
        self._database = database
        self._limit = keys_per_account
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._tasks: set[asyncio.Task[Claim]] = set()
        self._active: set[str] = set()
        self._gone: Counter[tuple[str, str]] = Counter()
        """Released keys whose rows may still be in the database: how often each was released."""
        self._rows: GroupCommit[_Row] = GroupCommit(
            "idempotency keys", self._commit, interval=0.1, batch=1000, limit=_BACKLOG
        )

    @classmethod
    async def open(
        cls, database: Database, *, keys_per_account: int = KEYS_PER_ACCOUNT
    ) -> IdempotencyKeys:
        """Open the keys of a database; those that got no answer before will never get one."""
        keys = cls(database, keys_per_account)
        keys._rows.start()
        return keys

    async def claim(self, claim: Claim) -> Claim | None:
        """Return what a key was first used for, answer included; None: it is the caller's now.

        Waits while the first is under way. Whoever gets None must call `answer` or `release`. An
        answer with status 0 was never given: the engine stopped in between. Raises `KeyReused` when
        the first request was another one, `EngineUnavailable` when the database does not keep up.
        """
        while (waiting := self._waiting.get(claim.name)) is not None:
            if waiting.fingerprint != claim.fingerprint:
                raise KeyReused(claim.key)
            first = await asyncio.shield(waiting.answer)
            if first is not None:
                return _of_same_request(first, claim)
        if self._rows.full:
            raise EngineUnavailable("the database does not keep up with idempotency keys")
        self._waiting[claim.name] = _Waiting(claim.fingerprint)
        try:
            first = await self._stored(claim)
        except BaseException:
            self._settle(claim, None)
            raise
        if first is None:
            await self._store(claim)
            return None
        self._settle(claim, first)
        return _of_same_request(first, claim)

    def answer(
        self, claim: Claim, answer: Coroutine[Any, Any, tuple[int, bytes]]
    ) -> asyncio.Task[Claim]:
        """Keep the answer of a claimed key, HTTP status and body, when it is there.

        The task ends when it is durable. It goes on when nobody waits for it any longer.
        """
        task = asyncio.create_task(self._answer(claim, answer))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def release(self, claim: Claim) -> None:
        """Give a claimed key back: nothing was done for it."""
        self._gone[claim.name] += 1
        self._rows.add(_Removal(claim.account_id, claim.key))
        self._settle(claim, None)

    def expire(self, now: float) -> None:
        """Forget keys claimed more than `KEEP_S` before `now`, and the oldest beyond the limit."""
        accounts, self._active = frozenset(self._active), set()
        self._rows.add(_Expiry(now - KEEP_S, accounts))

    async def close(self, deadline: float = 10.0) -> int:
        """Wait for the answers under way and write what waits. Return the rows not written."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return await self._rows.close(deadline)

    async def _store(self, claim: Claim) -> None:
        self._active.add(claim.account_id)
        self._rows.add(claim)
        try:
            async with asyncio.timeout(CLAIM_S):
                await self._rows.flush()
        except BaseException as error:
            self.release(claim)
            if isinstance(error, TimeoutError):
                text = "the database does not take idempotency keys; try again later"
                raise EngineUnavailable(text) from None
            raise

    def _done(self, task: asyncio.Task[Claim]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("an idempotency key has no answer", exc_info=error)

    async def _answer(self, claim: Claim, answer: Coroutine[Any, Any, tuple[int, bytes]]) -> Claim:
        try:
            status, body = await answer
            answered = replace(claim, status=status, body=body)
            self._rows.add(answered)
            await self._rows.flush()
        except BaseException:
            # Something may have been done for it: the key stays claimed, without an answer.
            self._settle(claim, claim)
            raise
        self._settle(claim, answered)
        return answered

    def _settle(self, claim: Claim, answer: Claim | None) -> None:
        self._waiting.pop(claim.name).answer.set_result(answer)

    async def _stored(self, claim: Claim) -> Claim | None:
        if claim.name in self._gone:
            return None
        table = idempotency_keys
        query = select(table).where(
            table.c.account_id == claim.account_id,
            table.c.key == claim.key,
            table.c.at >= claim.at - KEEP_S,
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else Claim(*row)

    async def _commit(self, rows: Sequence[_Row]) -> None:
        # Of several changes of one key the last counts.
        latest = {row.name: row for row in rows if not isinstance(row, _Expiry)}
        kept = [asdict(row) for row in latest.values() if isinstance(row, Claim)]
        gone = [asdict(row) for row in latest.values() if isinstance(row, _Removal)]
        async with self._database.write() as connection:
            if gone:
                await connection.execute(_DELETE, gone)
            if kept:
                await connection.execute(_UPSERT, kept)
            for row in rows:
                if isinstance(row, _Expiry):
                    await self._forget(connection, row)
        # Dropped at zero, so that it holds only what waits for the disk.
        self._gone -= Counter(row.name for row in rows if isinstance(row, _Removal))

    async def _forget(self, connection: AsyncConnection, expiry: _Expiry) -> None:
        table = idempotency_keys
        # Bounded, for what piled up must not stop the writer for as long as it takes at once.
        oldest = select(table.c.account_id, table.c.key).where(table.c.at < expiry.before)
        oldest = oldest.order_by(table.c.at).limit(_DELETE_BATCH)
        name = tuple_(table.c.account_id, table.c.key)
        await connection.execute(delete(table).where(name.in_(oldest)))
        for account_id in sorted(expiry.accounts):
            own = select(table.c.at).where(table.c.account_id == account_id)
            newest_first = own.order_by(table.c.at.desc()).offset(self._limit).limit(1)
            last = (await connection.execute(newest_first)).scalar()
            if last is not None:
                too_many = (table.c.account_id == account_id) & (table.c.at <= last)
                await connection.execute(delete(table).where(too_many))


def _of_same_request(first: Claim, claim: Claim) -> Claim:
    if first.fingerprint != claim.fingerprint:
        raise KeyReused(claim.key)
    return first
