"""Group commit: rows are gathered, none is lost, one bad row holds nobody back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import DataError, OperationalError

from engine.store.group_commit import GroupCommit


class Disk:
    """Takes rows, or fails as it is told."""

    def __init__(self) -> None:
        self.commits: list[list[int]] = []
        self.failures: list[Exception] = []
        self.bad: set[int] = set()
        self.committed = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def commit(self, rows: Sequence[int]) -> None:
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.bad & set(rows):
            raise DataError("INSERT", {}, ValueError("cannot be stored"))
        self.commits.append(list(rows))
        self.committed.set()

    @property
    def rows(self) -> list[int]:
        return [row for commit in self.commits for row in commit]


def group(
    disk: Disk, *, interval: float = 0.01, batch: int = 100, limit: int = 1000
) -> GroupCommit[int]:
    made = GroupCommit("test", disk.commit, interval=interval, batch=batch, limit=limit)
    made.start()
    return made


async def test_rows_of_one_moment_share_a_commit() -> None:
    disk = Disk()
    rows = group(disk)
    for row in range(20):
        rows.add(row)
    assert rows.backlog == 20
    await rows.flush()
    assert disk.commits == [list(range(20))]
    assert rows.backlog == 0
    await rows.close(1)


async def test_rows_become_durable_without_a_flush() -> None:
    disk = Disk()
    rows = group(disk)
    rows.add(1)
    async with asyncio.timeout(5):
        await disk.committed.wait()
    assert disk.rows == [1]
    await rows.close(1)


async def test_a_full_batch_does_not_wait_for_the_interval() -> None:
    disk = Disk()
    rows = group(disk, interval=3600, batch=10)
    for row in range(25):
        rows.add(row)
    async with asyncio.timeout(5):
        while len(disk.commits) < 2:
            disk.committed.clear()
            await disk.committed.wait()
    assert [len(commit) for commit in disk.commits] == [10, 10]
    await rows.flush()
    assert disk.rows == list(range(25))
    await rows.close(1)


async def test_flush_waits_for_what_was_added_before_it_only() -> None:
    disk = Disk()
    rows = group(disk, batch=1, interval=3600)
    disk.open.clear()
    rows.add(1)
    flushed = asyncio.create_task(rows.flush())
    await asyncio.sleep(0)
    assert not flushed.done()
    rows.add(2)
    disk.open.set()
    async with asyncio.timeout(5):
        await flushed
    assert 1 in disk.rows
    await rows.close(1)
    assert disk.rows == [1, 2]


async def test_a_failing_disk_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    disk.failures = [OperationalError("INSERT", {}, Exception("disk full")) for _ in range(2)]
    rows = group(disk)
    rows.add(1)
    rows.add(2)
    async with asyncio.timeout(5):
        await rows.flush()
    assert disk.commits == [[1, 2]]
    assert rows.rejected == 0
    assert caplog.text.count("2 rows not written") == 2


async def test_one_bad_row_is_logged_and_the_others_are_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk()
    disk.bad = {3}
    rows = group(disk)
    for row in range(6):
        rows.add(row)
    async with asyncio.timeout(5):
        await rows.flush()
    assert disk.rows == [0, 1, 2, 4, 5]
    assert (rows.rejected, rows.backlog) == (1, 0)
    assert "refuses this row for good: 3" in caplog.text
    await rows.close(1)


async def test_full_tells_when_too_many_wait() -> None:
    disk = Disk()
    disk.open.clear()
    rows = group(disk, limit=3)
    for row in range(3):
        assert not rows.full
        rows.add(row)
    assert rows.full
    rows.add(3)
    disk.open.set()
    await rows.flush()
    assert rows.backlog == 0
    assert disk.rows == [0, 1, 2, 3]
    await rows.close(1)


async def test_close_writes_the_rest_and_counts_what_it_could_not() -> None:
    disk = Disk()
    rows = group(disk, interval=3600)
    rows.add(1)
    assert await rows.close(5) == 0
    assert disk.rows == [1]

    stuck = Disk()
    stuck.open.clear()
    rows = group(stuck, interval=3600)
    rows.add(1)
    rows.add(2)
    assert await rows.close(0.01) == 2
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_many_writers_at_once_are_all_served() -> None:
    disk = Disk()
    rows = group(disk, batch=7)

    async def write(first: int) -> None:
        for row in range(first, first + 10):
            rows.add(row)
            if row % 3 == 0:
                await rows.flush()
                assert row in disk.rows

    await asyncio.gather(*(write(first) for first in range(0, 200, 10)))
    await rows.close(5)
    assert sorted(disk.rows) == list(range(200))
