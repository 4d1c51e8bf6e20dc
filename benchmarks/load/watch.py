"""Watch the CPU time and the memory of a process while something is done to it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.load.process import cpu_seconds, resident_mb

EVERY_S = 0.1
"""Time between two looks; looking costs the watched process nothing."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the operating system said at one moment."""

    at: float
    """Seconds since the Unix epoch."""
    cpu_s: float
    rss_mb: float


class Watch:
    """Looks at a process every tenth of a second inside the `async with` block."""

    def __init__(self, pid: int) -> None:
        """Watch this process."""
        self._pid = pid
        self.looks: list[Look] = []
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Begin."""
        self.look()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> Look:
        """Look now."""
        look = Look(time.time(), cpu_seconds(self._pid), resident_mb(self._pid))
        self.looks.append(look)
        return look

    @property
    def peak_rss_mb(self) -> float:
        """The most memory seen."""
        return max(look.rss_mb for look in self.looks)

    def cpu_share(self, since: float, until: float) -> float | None:
        """Return the share of one core used between two moments, None for under a second."""
        inside = [look for look in self.looks if since <= look.at <= until]
        if len(inside) < 2 or inside[-1].at - inside[0].at < 1.0:
            return None
        return (inside[-1].cpu_s - inside[0].cpu_s) / (inside[-1].at - inside[0].at)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            self.look()
