"""The rows of webhooks' deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from engine.store.database import Database
from engine.store.deliveries import Deliveries, StoredDelivery

KEY = ("a", "h")
FIRST = StoredDelivery(
    *("a", "h", 1, "1.node", "call", "CHANNEL_CREATE", 10.0, 11.0, 1, 12.0, 0, 500),
    *("answered 500", b'{"x":1}'),
)


@pytest.fixture
async def deliveries(database: Database) -> AsyncIterator[Deliveries]:
    opened = await Deliveries.open(database)
    yield opened
    assert await opened.close() == 0


def without_payload(*rows: StoredDelivery) -> list[StoredDelivery]:
    return [replace(row, payload=b"") for row in rows]


async def test_a_row_is_written_read_replaced_and_deleted(deliveries: Deliveries) -> None:
    second = replace(FIRST, sequence=2, event_id="2.node")
    deliveries.put(second)
    deliveries.put(FIRST)
    assert await deliveries.waiting() == without_payload(FIRST, second)
    assert await deliveries.payloads(KEY, [1, 3]) == {1: b'{"x":1}'}
    assert await deliveries.payloads(("a", "other"), [1]) == {}
    changed = replace(FIRST, attempts=2, error="other")
    deliveries.put(changed)
    deliveries.remove(second.key)
    deliveries.remove(("a", "h", 99))
    assert await deliveries.waiting() == without_payload(changed)
    assert deliveries.backlog == 0
    assert not deliveries.full


async def test_of_many_changes_of_a_row_the_last_counts(deliveries: Deliveries) -> None:
    deliveries.put(FIRST)
    deliveries.remove(FIRST.key)
    deliveries.put(replace(FIRST, attempts=7))
    deliveries.bury(FIRST.key, "no room")
    await deliveries.settled()
    (found,) = await deliveries.failed("a", None, None, 10)
    assert (found.attempts, found.dead, found.error) == (7, 1, "no room")
    deliveries.remove(FIRST.key)
    await deliveries.settled()
    assert await deliveries.failed("a", None, None, 10) == []


async def test_a_stored_row_is_given_up_and_comes_back(deliveries: Deliveries) -> None:
    deliveries.put(FIRST)
    await deliveries.settled()
    deliveries.bury(FIRST.key, "no room")
    assert await deliveries.waiting() == []
    assert await deliveries.dead_counts() == {KEY: 1}
    assert await deliveries.revive(KEY, "other", 50.0, 10) == []
    assert await deliveries.revive(KEY, None, 50.0, 0) == []
    fresh = replace(FIRST, attempts=0, since=50.0, error="", status=0, tried_at=0.0)
    assert await deliveries.revive(KEY, "1.node", 50.0, 10) == without_payload(fresh)
    assert await deliveries.waiting() == without_payload(fresh)
    assert await deliveries.payloads(KEY, [1]) == {1: FIRST.payload}
    assert await deliveries.dead_counts() == {}


async def test_failures_are_listed_by_webhook_and_state(deliveries: Deliveries) -> None:
    rows = [
        FIRST,
        replace(FIRST, sequence=2, dead=1),
        replace(FIRST, sequence=3, hook_id="other"),
        replace(FIRST, sequence=4, attempts=0, error=""),
        replace(FIRST, sequence=5, account_id="b"),
    ]
    for row in rows:
        deliveries.put(row)

    async def listed(hook: str | None, dead: bool | None, limit: int = 9, start: int = 0) -> str:
        found = await deliveries.failed("a", hook, dead, limit, start)
        return "".join(str(row.sequence) for row in found)

    assert await listed(None, None) == "123"
    assert await listed("h", None) == "12"
    assert await listed(None, True) == "2"
    assert await listed(None, False) == "13"
    assert await listed(None, None, 2) == "12"
    assert await listed(None, None, 2, start=2) == "23"


async def test_what_a_webhook_had_is_forgotten(deliveries: Deliveries) -> None:
    rows = [
        FIRST,
        replace(FIRST, sequence=2, dead=1),
        replace(FIRST, sequence=3),
        replace(FIRST, sequence=4, hook_id="other"),
    ]
    for row in rows:
        deliveries.put(row)
    await deliveries.forget(KEY, until=2, dead=False)
    assert [row.sequence for row in await deliveries.waiting()] == [3, 4]
    assert await deliveries.dead_counts() == {KEY: 1}
    await deliveries.forget(KEY, until=9, dead=True)
    assert [row.sequence for row in await deliveries.waiting()] == [4]
    assert await deliveries.dead_counts() == {}


async def test_the_oldest_dead_go_first(deliveries: Deliveries) -> None:
    for sequence in range(1, 6):
        deliveries.put(replace(FIRST, sequence=sequence, dead=1))
    deliveries.put(replace(FIRST, sequence=6))
    assert await deliveries.drop_oldest_dead(KEY, 3) == 3
    found = await deliveries.failed("a", "h", None, 9)
    assert [row.sequence for row in found] == [4, 5, 6]


async def test_the_next_process_finds_them(url: str) -> None:
    first = await Database.open(url)
    deliveries = await Deliveries.open(first)
    deliveries.put(FIRST)
    assert await deliveries.close() == 0
    await first.close()
    second = await Database.open(url)
    deliveries = await Deliveries.open(second)
    assert await deliveries.waiting() == without_payload(FIRST)
    await deliveries.close()
    await second.close()
