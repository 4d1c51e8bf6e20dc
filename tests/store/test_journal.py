"""The journal: order, bounds, and that nothing durable is lost, not even to a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import NotFound
from engine.store.cdrs import CdrQuery
from engine.store.database import Database
from engine.store.journal import Journal

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
        await journal.flush()
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
    await journal.close()

    # The number is counted, not the sequence, which jumps at a restart.
    journal = await Journal.open(database, keep_events=10)
    first = journal.last_sequence() + 1
    for sequence in range(first, first + 4):
        add(journal, sequence)
    await journal.flush()
    kept = [event.sequence for event in await journal.events(None)]
    assert kept == [*range(95, 101), *range(first, first + 4)]
    await journal.close()
    await database.close()


@pytest.mark.parametrize("bounds", [{"keep_events": 0}, {"spool_max_mb": 0}])
async def test_bounds_below_one_are_refused(database: Database, bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        await Journal.open(database, **bounds)


async def test_a_locked_database_delays_and_loses_nothing(journal: Journal, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    add(journal, 1)
    journal.add_cdr("acme", "c", "i", AT, {})
    flushed = asyncio.create_task(journal.flush())
    done, _ = await asyncio.wait([flushed], timeout=0.3)
    assert not done
    assert journal.backlog == 2
    other.execute("COMMIT")
    other.close()
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


async def test_accounts_written_and_read_at_once_do_not_mix(journal: Journal) -> None:
    numbers = iter(range(1, 10_000))

    async def use(account_id: str) -> None:
        for count in range(1, 21):
            add(journal, next(numbers), account_id)
            if count % 5 == 0:
                assert len(await journal.events(account_id)) == count

    await asyncio.gather(*(use(f"account-{index}") for index in range(10)))


async def test_kill_9_loses_nothing_that_was_flushed(url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITER,
        url,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    flushed = 0
    async with asyncio.timeout(30):
        while flushed < 1000:
            flushed = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        # What it still said before it died was durable too.
        for line in (await process.stdout.read()).split(b"\n")[:-1]:
            flushed = int(line)
        assert await process.wait() == -signal.SIGKILL

    database = await Database.open(url)
    journal = await Journal.open(database)
    found = [event.sequence for event in await journal.events("acme", limit=10**9)]
    assert found[:flushed] == list(range(1, flushed + 1))
    records = {record["n"] for record in await stored_records(journal)}
    assert records >= set(range(7, flushed + 1, 7))
    assert journal.last_sequence() > found[-1]
    await journal.close()
    await database.close()
