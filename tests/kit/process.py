"""A peer's process: started in a group of its own, awaited until it is ready, stopped by pid."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.kit.programs import require

GUARD_S = 40.0
"""Longest wait until a peer is ready. A guard against hanging, never a measured time."""


class PeerProcess:
    """A program with its output in `log`, and with whatever it forks in one process group.

    Args:
        program: its name, one that `programs.require` knows.
        arguments: its command line.
        directory: where it runs and logs.
        environment: variables besides those of the test.
    """

    def __init__(
        self,
        program: str,
        arguments: list[str],
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what to run; `start` runs it."""
        self.program = program
        self.log = directory / f"{program}.log"
        self._arguments = arguments
        self._directory = directory
        self._environment = {**os.environ, **(environment or {})}
        self._process: Process | None = None

    async def start(self, ready: Callable[[], bool]) -> None:
        """Start it and wait until `ready()`, looked at every 5 ms.

        Raises `AssertionError` with its log when it ends before, or is not ready in time.
        """
        # A test run that is killed takes its peers along.
        command = [require("setpriv"), "--pdeathsig", "TERM", "--", require(self.program)]
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, *self._arguments, cwd=self._directory,
                env=self._environment, stdin=DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while not ready():
            ended = self._process.returncode is not None
            if ended or asyncio.get_running_loop().time() > deadline:
                await self.stop()
                raise AssertionError(f"{self.program} did not start\n{self.story()}")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End it and everything it forked; killed when it does not go by itself."""
        process = self._process
        if process is None:
            return
        for kind in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, kind)
            except ProcessLookupError:
                break
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                continue
        await process.wait()

    def story(self, lines: int = 60) -> str:
        """Return the end of its log, for a failing test."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.log.name}\n" + "\n".join(text.splitlines()[-lines:])
