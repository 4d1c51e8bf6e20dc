"""The outbox: one consumer gets every event in order, over outages, crashes and slowness."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.control.feed import QUEUE_SIZE, RING_SIZE, Feed, FeedEvent
from engine.control.outbox import Outbox
from engine.store.database import Database
from engine.store.journal import Journal
from tests.control.engine import ScriptedEngine, scripted_engine

GUARD_S = 40.0


@pytest.fixture
async def outbox(engine: ScriptedEngine) -> AsyncIterator[Outbox]:
    made = Outbox(engine.feed, engine.journal, "bus")
    yield made
    made.close()


def publish(engine: ScriptedEngine, count: int) -> list[int]:
    return [
        engine.publish("acme", f"call-{number}", "CHANNEL_ANSWER", {"Number": number})
        for number in range(count)
    ]


async def take(outbox: Outbox, count: int, limit: int = 256) -> list[FeedEvent]:
    found: list[FeedEvent] = []
    async with asyncio.timeout(GUARD_S):
        while len(found) < count:
            batch = await outbox.batch(limit)
            assert 0 < len(batch) <= limit
            found += batch
    return found


async def test_a_new_consumer_begins_now(engine: ScriptedEngine) -> None:
    publish(engine, 3)
    outbox = Outbox(engine.feed, engine.journal, "bus")
    later = publish(engine, 2)
    assert [event.sequence for event in await take(outbox, 2)] == later
    outbox.close()


async def test_events_come_in_order_and_are_waited_for(
    engine: ScriptedEngine, outbox: Outbox
) -> None:
    waiting = asyncio.create_task(outbox.batch())
    await asyncio.sleep(0)
    assert not waiting.done()
    first = publish(engine, 1)
    async with asyncio.timeout(GUARD_S):
        assert [event.sequence for event in await waiting] == first
    more = publish(engine, 10)
    assert [event.sequence for event in await take(outbox, 10, limit=3)] == more


async def test_a_wait_that_is_given_up_loses_nothing(
    engine: ScriptedEngine, outbox: Outbox
) -> None:
    waiting = asyncio.create_task(outbox.batch())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    sent = publish(engine, 2)
    assert [event.sequence for event in await take(outbox, 2)] == sent


@pytest.mark.parametrize("count", [QUEUE_SIZE + 10, QUEUE_SIZE + RING_SIZE + 10])
async def test_a_slow_consumer_misses_nothing(
    engine: ScriptedEngine, outbox: Outbox, count: int
) -> None:
    first = publish(engine, 1)
    await take(outbox, 1)
    sent = publish(engine, count)
    found = await take(outbox, count)
    assert [event.sequence for event in found] == sent
    assert found[-1].payload == {"Number": count - 1}
    assert found[0].account_id == "acme"
    assert first[0] < sent[0]


async def test_lag_is_what_is_not_done(engine: ScriptedEngine, outbox: Outbox) -> None:
    assert outbox.lag == engine.journal.outbox_lag == 0
    sent = publish(engine, 5)
    assert outbox.lag == 5
    await take(outbox, 5)
    assert outbox.lag == 5
    outbox.done(sent[2])
    assert outbox.lag == engine.journal.outbox_lag == 2
    outbox.done(sent[1])
    assert outbox.lag == 2


async def test_a_consumer_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    async with scripted_engine(tmp_path) as engine:
        outbox = Outbox(engine.feed, engine.journal, "bus")
        sent = publish(engine, 10)
        await take(outbox, 10)
        outbox.done(sent[3])
        outbox.close()
    async with scripted_engine(tmp_path) as engine:
        outbox = Outbox(engine.feed, engine.journal, "bus")
        # Sequences have a gap at a restart; what waits is counted all the same.
        assert outbox.lag == 6
        more = publish(engine, 3)
        assert outbox.lag == 9
        found = await take(outbox, 9, limit=4)
        assert [event.sequence for event in found] == sent[4:] + more
        assert [event.payload for event in found[:2]] == [{"Number": 4}, {"Number": 5}]
        assert found[0].json() == b'{"Number":4}'
        outbox.done(more[-1])
        assert outbox.lag == 0
        outbox.close()
    async with scripted_engine(tmp_path) as engine:
        outbox = Outbox(engine.feed, engine.journal, "bus")
        assert outbox.lag == 0
        sent = publish(engine, 1)
        assert [event.sequence for event in await take(outbox, 1)] == sent
        outbox.close()


async def test_what_was_told_and_not_stored_is_told_again_after_a_crash(tmp_path: Path) -> None:
    """The database is locked all the time, so everything is in the spool alone."""
    async with scripted_engine(tmp_path) as engine:
        outbox = Outbox(engine.feed, engine.journal, "bus")
        first = publish(engine, 1)
        await take(outbox, 1)
        outbox.done(first[0])
        await engine.journal.flush()
        other = sqlite3.connect(tmp_path / "engine.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        sent = publish(engine, 5)
        told = await take(outbox, 5)
        outbox.close()
        # As the files are when the process is killed now.
        dead = tmp_path / "dead"
        (dead / "engine.db.spool").mkdir(parents=True)
        for file in (tmp_path / "engine.db.spool").iterdir():
            (dead / "engine.db.spool" / file.name).write_bytes(file.read_bytes())
        with (
            sqlite3.connect(tmp_path / "engine.db") as reader,
            sqlite3.connect(dead / "engine.db") as copy,
        ):
            reader.backup(copy)
            assert copy.execute("SELECT count(*) FROM events").fetchone() == (1,)
        other.execute("ROLLBACK")
        for connection in (other, reader, copy):
            connection.close()
    async with scripted_engine(dead) as engine:
        outbox = Outbox(engine.feed, engine.journal, "bus")
        again = await take(outbox, 5)
        assert [event.sequence for event in again] == sent
        assert [e.event_id("n") for e in again] == [e.event_id("n") for e in told]
        outbox.close()


async def test_two_consumers_do_not_disturb_each_other(engine: ScriptedEngine) -> None:
    one = Outbox(engine.feed, engine.journal, "bus")
    two = Outbox(engine.feed, engine.journal, "hooks")
    sent = publish(engine, 4)
    assert [event.sequence for event in await take(one, 4)] == sent
    one.done(sent[-1])
    assert (one.lag, two.lag, engine.journal.outbox_lag) == (0, 4, 4)
    assert [event.sequence for event in await take(two, 4)] == sent
    one.close()
    two.close()


async def test_a_consumer_that_was_away_too_long_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/engine.db")
    journal = await Journal.open(database, keep_events=5)
    journal.cursor("bus")
    await journal.close()
    for _ in range(2):
        journal = await Journal.open(database, keep_events=5)
        for _ in range(40):
            event = (journal.last_sequence() + 1, "acme", "call", "CHANNEL_ANSWER", 1.0, b"{}")
            journal.add_event(*event)
            await journal.flush()
        await journal.close()
    journal = await Journal.open(database, keep_events=5)
    Outbox(Feed(journal.last_sequence()), journal, "bus").close()
    assert "bus was away too long" in caplog.text
    caplog.clear()
    Outbox(Feed(journal.last_sequence()), journal, "new").close()
    assert caplog.text == ""
    await journal.close()
    await database.close()
