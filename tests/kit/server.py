"""`quickcall serve` as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.kit.engine import GUARD_S, REALM, ROOT_TOKEN

_URL = re.compile(r"HTTP\s+(http://\S+)")


class ServerProcess:
    """A served engine on UDP at 127.0.0.1 with its database in `directory`.

    `async with` starts it and waits until it takes requests; leaving kills it by its pid, so does
    `kill`.
    """

    def __init__(self, directory: Path, **changes: object) -> None:
        """Write its configuration; `changes` are further fields of it."""
        self.config = {
            "sip_listeners": ["udp:127.0.0.1:0"],
            "database": f"sqlite+aiosqlite:///{directory / 'quickcall.db'}",
            "http_port": 0,
            "realm": REALM,
            "reaper_s": 1,
            **changes,
        }
        self.environment: dict[str, str] = {}
        """Variables of the process besides those of the test, to be set before it starts."""
        self._path = directory / "quickcall.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in self.config.items()]
        self._path.write_text("\n".join([*lines, "[tokens]", f'"{ROOT_TOKEN}" = "*"', ""]))
        self._process: Process
        self.output = ""
        """What it has printed, as far as it was read."""
        self.http: httpx.AsyncClient

    async def __aenter__(self) -> Self:
        command = [str(Path(sys.executable).with_name("quickcall")), "serve"]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            "--config",
            str(self._path),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env={**os.environ, **self.environment},
        )
        async with asyncio.timeout(GUARD_S):
            url = await self._started()
        self.http = httpx.AsyncClient(
            base_url=url, headers={"X-Auth-Token": ROOT_TOKEN}, timeout=GUARD_S
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.kill()
        await self.http.aclose()
        if error is not None:
            error.add_note(self.output)

    async def _started(self) -> str:
        assert self._process.stdout is not None
        url = None
        while not (url and "ready" in self.output):
            line = await self._process.stdout.readline()
            assert line, f"the engine did not start:\n{self.output}"
            self.output += line.decode()
            url = _URL.search(self.output)
        return url[1]

    async def kill(self) -> None:
        """Kill it at once (SIGKILL) and wait until it is gone. Idempotent."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it has ended by itself; return its exit status."""
        assert self._process.stdout is not None
        async with asyncio.timeout(GUARD_S):
            self.output += (await self._process.stdout.read()).decode()
            return await self._process.wait()

    async def put(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Create a document and return it."""
        response = await self.http.put(path, json={"data": document})
        assert response.status_code in (200, 201), response.text
        data: dict[str, Any] = response.json()["data"]
        return data
