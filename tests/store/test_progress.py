"""Progress: who waits goes on when the rows before are settled, and may give up."""

from __future__ import annotations

import asyncio

from engine.store.progress import Progress


async def test_each_waits_for_what_was_added_before_it() -> None:
    progress = Progress()
    await progress.caught_up()
    progress.add(2)
    first = asyncio.create_task(progress.caught_up())
    await asyncio.sleep(0)
    progress.add(1)
    second = asyncio.create_task(progress.caught_up())
    await asyncio.sleep(0)
    progress.settle(1)
    assert (progress.backlog, progress.awaited) == (2, True)
    progress.settle(1)
    await first
    assert not second.done()
    progress.settle(1)
    await second
    assert (progress.backlog, progress.awaited) == (0, False)


async def test_who_gives_up_is_not_waited_for() -> None:
    progress = Progress()
    progress.add(1)
    one, other = (asyncio.create_task(progress.caught_up()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait([one])
    assert progress.awaited
    progress.settle(1)
    # Its rows are settled before it has run again.
    other.cancel()
    await asyncio.wait([other])
    assert not progress.awaited
