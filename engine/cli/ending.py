"""How a served engine ends: by a signal at once, or when its calls have ended.

The first SIGTERM drains for `drain_s` seconds; a second one, or SIGINT at any time, ends the calls
at once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from engine.runtime import Server

PROGRESS_S = 5.0
"""Seconds between two reports of how many calls are left, while that changes."""


class Ending:
    """What the process was told by signals."""

    def __init__(self) -> None:
        """Begin with a process that is to run."""
        self.asked = asyncio.Event()
        """Set when the process is to end."""
        self.at_once = asyncio.Event()
        """Set when it is to end without waiting for calls."""

    def listen(self) -> None:
        """Take SIGTERM and SIGINT in the running loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.terminate)
        loop.add_signal_handler(signal.SIGINT, self.interrupt)

    def terminate(self) -> None:
        """End when the calls have; told again, at once."""
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()

    def interrupt(self) -> None:
        """End at once."""
        self.at_once.set()
        self.asked.set()


async def drain(server: Server, ending: Ending, tell: Callable[[str], None]) -> None:
    """Take no new calls and wait until the last has ended, the time is over or a signal comes.

    `tell` is given a line whenever something has changed.
    """
    engine = server.engine
    engine.operations.draining.begin(ending=True)
    seconds = engine.config.drain_s
    if not seconds or ending.at_once.is_set() or not engine.operations.calls:
        return
    told = engine.operations.calls
    tell(f"draining for {seconds:g} s at most, calls left: {told}; a second signal ends them")
    waits = [
        asyncio.create_task(engine.drained(seconds)),
        asyncio.create_task(ending.at_once.wait()),
    ]
    try:
        while not (
            await asyncio.wait(waits, timeout=PROGRESS_S, return_when=asyncio.FIRST_COMPLETED)
        )[0]:
            if engine.operations.calls != told:
                told = engine.operations.calls
                tell(f"draining, calls left: {told}")
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
