"""The journal: order, bounds, and that nothing durable is lost, not even to a kill."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import EngineUnavailable, NotFound
from engine.store.cdrs import CdrQuery
from engine.store.database import Database
from engine.store.journal import Journal
from tests.store.conftest import locked

AT = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC."""

WRITER = """
import asyncio, sys
from engine.store.database import Database
from engine.store.journal import Journal

async def main():
    journal = await Journal.open(await Database.open(sys.argv[1]))
    sequence = 0
    while True:
        for _ in range(50):
            sequence += 1
            journal.add_event(sequence, "acme", f"call-{sequence}", "CREATE", 1.0, b"x" * 500)
            if sequence % 7 == 0:
                journal.add_cdr("acme", f"call-{sequence}", "i", 1_700_000_000.0, {"n": sequence})
        journal.persist()
        await asyncio.sleep(0.001)
        print(sequence, flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def journal(database: Database) -> AsyncIterator[Journal]:
    opened = await Journal.open(database)
    yield opened
    assert await opened.close() == 0


async def stored_records(journal: Journal) -> list[dict[str, Any]]:
    return [one async for some in journal.records.stream(CdrQuery("acme")) for one in some]


def add(journal: Journal, sequence: int, account_id: str = "acme") -> None:
    journal.add_event(sequence, account_id, f"call-{sequence}", "CHANNEL_CREATE", AT, b"{}")


async def test_events_come_back_by_account_in_order(journal: Journal) -> None:
    for sequence in range(1, 31):
        add(journal, sequence, "acme" if sequence % 2 else "beta")
    acme = await journal.events("acme", after_sequence=5, limit=4)
    assert [event.sequence for event in acme] == [7, 9, 11, 13]
    assert (acme[0].call_id, acme[0].name, acme[0].at) == ("call-7", "CHANNEL_CREATE", AT)
    assert acme[0].payload == b"{}"
    everyone = await journal.events(None, after_sequence=27)
    assert [event.sequence for event in everyone] == [28, 29, 30]
    assert journal.last_sequence() == 30


async def test_a_sequence_is_never_used_twice(url: str) -> None:
    database = await Database.open(url)
    journal = await Journal.open(database)
    add(journal, 5)
    with pytest.raises(ValueError, match="5 is not above 5"):
        add(journal, 5)
    await journal.close()
    await database.close()

    database = await Database.open(url)
    journal = await Journal.open(database)
    # Later numbers may have been published and lost with the process before.
    assert journal.last_sequence() > 5 + 100_000
    add(journal, journal.last_sequence() + 1)
    assert len(await journal.events("acme")) == 2
    await journal.close()
    await database.close()


async def test_call_records_come_back_newest_first(journal: Journal) -> None:
    for index in range(5):
        document = {"call_id": f"c{index}", "custom_channel_vars": {"account_id": "acme"}}
        journal.add_cdr("acme", f"c{index}", f"i{index // 2}", AT + index, document)
    journal.add_cdr("beta", "c9", "i9", AT, {"call_id": "c9"})
    found = (await journal.records.page(CdrQuery("acme"), 3)).records
    assert [record["call_id"] for record in found] == ["c4", "c3", "c2"]
    assert found[0]["custom_channel_vars"] == {"account_id": "acme"}


async def test_a_call_record_has_kazoos_id(journal: Journal) -> None:
    cdr_id = journal.add_cdr("acme", "abc-quickcall", "i", AT, {"call_id": "abc-quickcall"})
    assert cdr_id == "202311-abc-quickcall"
    assert (await journal.records.show("acme", cdr_id))["id"] == cdr_id
    for account_id, wanted in (("beta", cdr_id), ("acme", "202311-other")):
        with pytest.raises(NotFound) as caught:
            await journal.records.show(account_id, wanted)
        assert caught.value.kind == "cdr"


async def test_only_the_newest_events_are_kept(url: str) -> None:
    database = await Database.open(url)
    journal = await Journal.open(database, keep_events=10)
    for first in range(0, 100, 20):
        for sequence in range(first + 1, first + 21):
            add(journal, sequence)
        await journal.flush()
    kept = [event.sequence for event in await journal.events(None)]
    assert kept == list(range(91, 101))
    assert journal.forgotten == 90
    await journal.close()

    # The number is counted, not the sequence, which jumps at a restart.
    journal = await Journal.open(database, keep_events=10)
    assert journal.forgotten == 90
    first = journal.last_sequence() + 1
    for sequence in range(first, first + 4):
        add(journal, sequence)
    await journal.flush()
    kept = [event.sequence for event in await journal.events(None)]
    assert kept == [*range(95, 101), *range(first, first + 4)]
    assert journal.forgotten == 94
    await journal.close()
    await database.close()


@pytest.mark.parametrize("bounds", [{"keep_events": 0}, {"spool_max_mb": 0}])
async def test_bounds_below_one_are_refused(database: Database, bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        await Journal.open(database, **bounds)


async def test_a_locked_database_delays_and_loses_nothing(journal: Journal, url: str) -> None:
    async with locked(url):
        add(journal, 1)
        journal.add_cdr("acme", "c", "i", AT, {})
        flushed = asyncio.create_task(journal.flush())
        done, _ = await asyncio.wait([flushed], timeout=0.3)
        assert not done
        assert journal.backlog == 2
        # Both are safe in the meantime, and nobody needs to wait.
        await journal.settled()
        assert journal.refusal() == ""
    async with asyncio.timeout(20):
        await flushed
    assert len(await journal.events("acme")) == len(await stored_records(journal)) == 1


async def test_a_row_that_cannot_be_stored_is_set_apart(journal: Journal) -> None:
    add(journal, 1)
    journal.add_event(2, "acme", "half a pair: \ud800", "CHANNEL_CREATE", AT, b"{}")
    add(journal, 3)
    async with asyncio.timeout(10):
        kept = [event.sequence for event in await journal.events("acme")]
    assert kept == [1, 3]
    assert journal.rejected == 1


async def test_a_row_that_no_text_can_hold_takes_no_other_along(journal: Journal) -> None:
    journal.add_waiting("half a pair: \ud800", b"{}")
    journal.persist()
    assert (journal.rejected, journal.backlog) == (1, 0)


async def test_accounts_written_and_read_at_once_do_not_mix(journal: Journal) -> None:
    numbers = iter(range(1, 10_000))

    async def use(account_id: str) -> None:
        for count in range(1, 21):
            add(journal, next(numbers), account_id)
            if count % 5 == 0:
                assert len(await journal.events(account_id)) == count

    await asyncio.gather(*(use(f"account-{index}") for index in range(10)))


async def test_kill_9_loses_nothing_that_was_persisted(url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITER,
        url,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    safe = 0
    async with asyncio.timeout(30):
        while safe < 5000:
            safe = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        # What it still said before it died was safe too.
        for line in (await process.stdout.read()).split(b"\n")[:-1]:
            safe = int(line)
        assert await process.wait() == -signal.SIGKILL

    database = await Database.open(url)
    journal = await Journal.open(database)
    found = [event.sequence for event in await journal.events("acme", limit=10**9)]
    assert found[:safe] == list(range(1, safe + 1))
    records = {record["n"] for record in await stored_records(journal)}
    assert records >= set(range(7, safe + 1, 7))
    assert journal.last_sequence() > found[-1]
    await journal.close()
    await database.close()


async def test_an_unwritable_spool_refuses_new_work_and_loses_nothing(
    journal: Journal, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("engine.store.spool.os.write", full)
        add(journal, 1)
        journal.persist()
        assert journal.refusal() == (
            "the spool cannot be written: [Errno 28] No space left on device"
        )
        # The database takes it, so whoever was told nothing yet may be told now.
        await journal.settled()
        assert len(await journal.events("acme")) == 1
        assert journal.refusal()
    add(journal, 2)
    await journal.flush()
    assert journal.refusal() == ""
    assert len(await journal.events("acme")) == 2


async def test_too_much_in_the_spool_refuses_new_work(url: str) -> None:
    database = await Database.open(url)
    journal = await Journal.open(database, spool_max_mb=1)
    async with locked(url):
        for sequence in range(1, 30):
            assert journal.refusal() == ""
            journal.add_event(sequence, "acme", "call", "CHANNEL_CREATE", AT, bytes(40_000))
            journal.persist()
            if journal.refusal():
                break
        assert journal.refusal() == "1 MiB of events wait for the database"
        assert sequence > 20
    assert len(await journal.events("acme")) == sequence
    assert journal.refusal() == ""
    assert await journal.close() == 0
    await database.close()


async def test_the_spool_of_a_dead_process_is_stored_by_the_next(url: str) -> None:
    """A process that died: its files are as they were, its lock is gone."""
    database = await Database.open(url)
    dead = await Journal.open(database)
    for sequence in (1, 2, 3):
        add(dead, sequence)
    dead.add_cdr("acme", "c", "i", AT, {"version": 1})
    dead.add_waiting("begun", b"{}")
    dead.add_waiting("waiting", b"{}")
    dead.persist()
    dead.add_cdr("acme", "c", "i", AT, {"version": 2})
    dead.begin_channel("begun", "call-3", 3)
    dead.checkpoint(AT + 5)
    dead.cursor("bus")
    dead.persist()
    add(dead, 4)
    kill(dead)

    journal = await Journal.open(database)
    assert [event.sequence for event in await journal.events("acme")] == [1, 2, 3]
    assert (await journal.records.show("acme", "202311-c"))["version"] == 2
    assert [request_id for request_id, _ in await journal.waiting()] == ["waiting"]
    assert journal.last_alive == AT + 5
    assert [event.sequence async for event in journal.unsettled()] == [3]
    assert journal.cursor("bus") == 3
    assert journal.last_sequence() > 3
    # Stored again, nothing changes.
    kill(journal)
    third = await Journal.open(database)
    assert [event.sequence for event in await third.events("acme")] == [1, 2, 3]
    assert await third.close() == 0
    await database.close()


async def test_a_second_engine_is_told_of_the_first(journal: Journal, database: Database) -> None:
    with pytest.raises(EngineUnavailable, match="another engine uses the spool"):
        await Journal.open(database)


async def test_readers_of_a_locked_database_are_not_kept_waiting(
    journal: Journal, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(journal, 1)
    await journal.flush()
    records = journal.records
    async with locked(url):
        with monkeypatch.context() as patch:
            patch.setattr("engine.store.journal.FLUSH_S", 0.05)
            add(journal, 2)
            for read in (
                lambda: journal.events("acme"),
                lambda: records.page(CdrQuery("acme")),
                lambda: records.show("acme", "x"),
            ):
                with pytest.raises(EngineUnavailable, match="the database does not keep up"):
                    await read()
        # A page that is there already is read.
        assert len(await journal.events("acme", limit=1)) == 1
    assert len(await journal.events("acme")) == 2


async def test_what_a_consumer_needs_is_kept(url: str) -> None:
    database = await Database.open(url)
    journal = await Journal.open(database, keep_events=10)
    assert journal.cursor("bus") == 0
    for sequence in range(1, 20):
        add(journal, sequence)
        await journal.flush()
        assert journal.refusal() == ""
    assert (journal.outbox_lag, len(await journal.events(None))) == (19, 19)
    add(journal, 20)
    assert journal.refusal() == "20 events wait to be delivered to bus"
    journal.move_cursor("bus", 5)
    assert journal.refusal() == ""
    add(journal, 21)
    await journal.flush()
    assert [event.sequence for event in await journal.events(None)] == list(range(6, 22))
    journal.move_cursor("bus", 21)
    add(journal, 22)
    await journal.flush()
    assert [event.sequence for event in await journal.events(None)] == list(range(13, 23))
    await journal.close()

    # A consumer that nobody runs any more is waited for, but not for ever.
    journal = await Journal.open(database, keep_events=10)
    assert journal.outbox_lag == 0
    first = journal.last_sequence() + 1
    counts = []
    for sequence in range(first, first + 40):
        add(journal, sequence)
        await journal.flush()
        assert journal.refusal() == ""
        counts.append(len(await journal.events(None)))
    assert max(counts) <= 22
    assert counts[-1] <= 22
    await journal.close()
    await database.close()


def kill(journal: Journal) -> None:
    """Leave of a journal what the death of its process would: its files."""
    commits, spool = journal._commits, journal._spool
    assert commits._task is not None
    commits._task.cancel()
    if commits._timer is not None:
        commits._timer.cancel()
    for number in (spool._lock, spool._write_to):
        if number >= 0:
            os.close(number)
    spool._lock = spool._write_to = -1
