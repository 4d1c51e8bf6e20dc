"""A softphone as a child process, for programs that await what it says: the demo, tests, labs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from engine.phone.config import PhoneError

Event = dict[str, Any]
"""One line of the phone's report (docs/phone.md)."""


class PhoneProcess:
    """A running softphone and everything it has said.

    `async with await PhoneProcess.start("alice", "--tone", "700") as phone: ...` ends it in good
    order.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Take over a process just started; use `start`."""
        self.name = name
        self.events: list[Event] = []
        self._process = process
        self._changed = asyncio.Condition()
        self._errors: list[str] = []
        self._silent = False
        self._readers = asyncio.gather(self._read_events(), self._read_errors())

    @classmethod
    async def start(cls, name: str, *arguments: str, password: str = "") -> PhoneProcess:
        """Start `quickcall phone` with these arguments; `name` is used in messages.

        The password travels in the environment, where other users of the machine cannot see it.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "engine.phone",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"QUICKCALL_PHONE_PASSWORD": password},
        )
        return cls(name, process)

    @property
    def pid(self) -> int:
        """Process id of the phone."""
        return self._process.pid

    async def wait_for(self, event: str, timeout_s: float = 10.0, count: int = 1) -> Event:
        """Return the `count`th event of this name, waiting for it if it has not happened yet.

        Raises PhoneError with all the phone said when it ends first or `timeout_s` seconds pass.
        """

        def found() -> Event | None:
            named = [said for said in self.events if said["event"] == event]
            return named[count - 1] if len(named) >= count else None

        async with self._changed:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: found() or self._silent), timeout_s
                )
        said = found()
        if said is None:
            raise PhoneError(
                f"phone {self.name}: no {event!r} within {timeout_s} s; {self._said()}"
            )
        return said

    async def stop(self, timeout_s: float = 8.0) -> int:
        """Ask the phone to end (SIGTERM) and return its exit status.

        Kills it when it is still there after `timeout_s` seconds; the status is then negative.
        """
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return await self.ended(timeout_s)

    async def ended(self, timeout_s: float) -> int:
        """Wait until the phone ends by itself; kill it after `timeout_s`. Returns its status."""
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            self._process.kill()
        await self._readers
        return await self._process.wait()

    async def __aenter__(self) -> Self:
        """Return the phone."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the phone."""
        await self.stop()

    async def _read_events(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        self._silent = True
        async with self._changed:
            self._changed.notify_all()

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._errors.append(line.decode(errors="replace").rstrip())

    def _said(self) -> str:
        events = ", ".join(said["event"] for said in self.events) or "nothing"
        errors = "; ".join(self._errors[-10:])
        return f"it said {events}" + (f"; on standard error: {errors}" if errors else "")
