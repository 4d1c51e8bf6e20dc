"""Start calls at an even rate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def at_rate(rate: float, count: int, start: Callable[[], Awaitable[T]]) -> list[T]:
    """Call `start` `count` times, `rate` times a second, and return what came of each, in order.

    The moments are counted from the beginning, so a late one does not make the next one late.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    tasks: list[asyncio.Task[T]] = []

    async def one() -> T:
        return await start()

    for number in range(count):
        delay = began + number / rate - loop.time()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(loop.create_task(one()))
    return await asyncio.gather(*tasks)
