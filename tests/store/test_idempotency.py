"""Idempotency keys: one answer for each, kept, bounded, and never forgotten by a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from engine.core.errors import EngineUnavailable
from engine.store.database import Database
from engine.store.idempotency import KEEP_S, Claim, IdempotencyKeys, KeyReused
from engine.store.tables import idempotency_keys
from tests.store.conftest import locked

NOW = 1_443_672_757.0


@pytest.fixture
async def keys(database: Database) -> AsyncIterator[IdempotencyKeys]:
    opened = await IdempotencyKeys.open(database, keys_per_account=3)
    yield opened
    assert await opened.close(1.0) == 0


def claim(key: str = "k", what: bytes = b"request", account: str = "a", at: float = NOW) -> Claim:
    return Claim(account, key, what, "req-1", at)


async def done(status: int = 202, body: bytes = b"{}") -> tuple[int, bytes]:
    return status, body


async def stored(database: Database) -> int:
    async with database.read() as connection:
        count = (await connection.execute(select(func.count(idempotency_keys.c.key)))).scalar()
    assert count is not None
    return count


async def test_the_first_claims_and_the_next_get_its_answer(
    keys: IdempotencyKeys, database: Database
) -> None:
    assert await keys.claim(claim()) is None
    assert await stored(database) == 1
    await keys.answer(claim(), done(500, b"why"))
    again = await keys.claim(replace(claim(at=NOW + KEEP_S), request_id="req-2"))
    assert again == replace(claim(), status=500, body=b"why")
    other_account = claim(account="b")
    assert await keys.claim(other_account) is None
    keys.release(other_account)


async def test_a_claim_that_cannot_be_stored_is_refused_in_time(
    keys: IdempotencyKeys, url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("engine.store.idempotency.CLAIM_S", 0.1)
        async with locked(url):
            with pytest.raises(EngineUnavailable, match="does not take idempotency keys"):
                await keys.claim(claim())
    # Nothing was done for it, so the key is free.
    assert await keys.claim(claim(what=b"another request")) is None
    await keys.answer(claim(what=b"another request"), done())
    assert await stored(database) == 1


async def test_another_request_may_not_have_the_key(keys: IdempotencyKeys) -> None:
    assert await keys.claim(claim()) is None
    with pytest.raises(KeyReused, match="'k' was used for another request"):
        await keys.claim(claim(what=b"other"))
    await keys.answer(claim(), done())
    with pytest.raises(KeyReused):
        await keys.claim(claim(what=b"other"))


async def test_whoever_comes_meanwhile_waits_for_the_answer(keys: IdempotencyKeys) -> None:
    assert await keys.claim(claim()) is None
    waiting = [asyncio.create_task(keys.claim(claim())) for _ in range(3)]
    late = asyncio.Event()

    async def answer() -> tuple[int, bytes]:
        await late.wait()
        return await done()

    answering = keys.answer(claim(), answer())
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert not any(task.done() for task in waiting[1:])
    late.set()
    for task in waiting[1:]:
        assert await task == await answering
    assert waiting[0].cancelled()


async def test_two_at_once_are_one(keys: IdempotencyKeys) -> None:
    both = [asyncio.create_task(keys.claim(claim())) for _ in range(2)]
    assert await both[0] is None
    await keys.answer(claim(), done())
    assert (await both[1]) == replace(claim(), status=202, body=b"{}")


async def test_a_released_key_is_free_for_who_waits_and_for_later(
    keys: IdempotencyKeys, database: Database
) -> None:
    assert await keys.claim(claim()) is None
    waiting = asyncio.create_task(keys.claim(claim()))
    await asyncio.sleep(0)
    keys.release(claim())
    assert await waiting is None
    await keys.answer(claim(), done())
    assert await stored(database) == 1
    other = claim("other")
    assert await keys.claim(other) is None
    keys.release(other)
    assert await keys.claim(claim("other", b"something else")) is None
    keys.release(other)


async def test_an_answer_outlives_the_process(database: Database) -> None:
    before = await IdempotencyKeys.open(database)
    assert await before.claim(claim()) is None
    await before.answer(claim(), done())
    await before.close()
    after = await IdempotencyKeys.open(database)
    assert await after.claim(claim()) == replace(claim(), status=202, body=b"{}")
    await after.close()


async def test_a_claim_cut_off_by_the_end_of_the_process_has_no_answer(database: Database) -> None:
    before = await IdempotencyKeys.open(database)
    assert await before.claim(claim()) is None
    never = before.answer(claim(), asyncio.sleep(3600, (202, b"")))
    waiting = asyncio.create_task(before.claim(claim()))
    await asyncio.sleep(0)
    await before.close(0.0)
    assert never.cancelled()
    assert await waiting == claim()
    after = await IdempotencyKeys.open(database)
    for _ in range(2):
        assert await after.claim(claim()) == claim()
    with pytest.raises(KeyReused):
        await after.claim(claim(what=b"other"))
    await after.close()


async def test_old_keys_are_forgotten(keys: IdempotencyKeys, database: Database) -> None:
    for key, at in (("old", NOW), ("new", NOW + 1)):
        assert await keys.claim(claim(key, at=at)) is None
        await keys.answer(claim(key, at=at), done())
    keys.expire(NOW + KEEP_S + 0.5)
    barrier = claim("barrier", at=NOW + KEEP_S + 1)
    assert await keys.claim(barrier) is None
    assert await stored(database) == 2
    keys.release(barrier)
    late = claim("new", b"another", at=NOW + KEEP_S + 2)
    assert await keys.claim(late) is None
    keys.release(late)


async def test_an_account_has_so_many_keys(keys: IdempotencyKeys, database: Database) -> None:
    for at in range(5):
        one = claim(f"k{at}", at=NOW + at)
        assert await keys.claim(one) is None
        await keys.answer(one, done())
    other = claim("k0", account="b")
    assert await keys.claim(other) is None
    await keys.answer(other, done())
    keys.expire(NOW + 5)
    barrier = claim("barrier", account="c")
    assert await keys.claim(barrier) is None
    keys.release(barrier)
    assert await keys.claim(claim("k4", at=NOW + 5)) is not None
    assert await keys.claim(claim("k0", account="b", at=NOW + 5)) is not None
    forgotten = claim("k1", at=NOW + 5)
    assert await keys.claim(forgotten) is None
    assert await stored(database) == 5
    keys.release(forgotten)
