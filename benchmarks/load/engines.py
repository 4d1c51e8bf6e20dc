"""The two engines that are measured, each a process of its own: behind HTTP, and embedded."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from benchmarks.load.directory import ACCOUNT, EXTENSION, device
from benchmarks.load.http_client import LoadClient, Reply
from benchmarks.load.pacing import at_rate

TOKEN = "token-of-the-benchmark"

IDLE_LOOKS = 200
"""Looks at the channels, 50 ms apart, until there must be none."""

START_S = 30.0
"""Longest wait for an engine to start."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to do to an engine."""

    rung: str
    """SIP URI of the device that is rung."""
    dialled: str
    """SIP URI of the device that is dialled."""
    number: str
    rate: float
    calls: int


@dataclass(frozen=True, slots=True)
class Made:
    """One call as the one who asked for it saw it."""

    call_id: str
    """Call-ID of the leg that was rung, empty when it did not answer."""
    asked_at: float
    """Seconds since the Unix epoch, just before the request was handed over."""
    answered_at: float
    answered: bool


class MeasuredEngine(Protocol):
    """An engine in a process of its own. `async with` starts and ends it."""

    async def __aenter__(self) -> Self:
        """Start it and fill its directory."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        ...

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        ...

    async def make_calls(self) -> list[Made]:
        """Make the calls of the load; returns when each was answered or has failed."""
        ...

    async def idle(self) -> None:
        """Wait until no leg is left."""
        ...


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of an engine with its store in `directory`, on free ports."""
    return os.environ | {
        "QUICKCALL_DATABASE": f"sqlite+aiosqlite:///{directory / 'quickcall.db'}",
        "QUICKCALL_SIP_LISTENERS": "udp:127.0.0.1:0",
        "QUICKCALL_HTTP_PORT": "0",
        "QUICKCALL_TOKENS": f"{TOKEN}=*",
    }


def stored_legs(directory: Path) -> list[tuple[str, str]]:
    """Return Call-ID and interaction id of every CDR in the store of an engine that has ended."""
    with sqlite3.connect(directory / "quickcall.db") as database:
        return database.execute("SELECT call_id, interaction_id FROM cdrs").fetchall()


class HttpEngine:
    """`quickcall serve`, asked for each call with a POST over kept connections."""

    def __init__(
        self,
        load: Load,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        """Prepare; nothing is started.

        `settings` are variables of the environment, `options` those of each quickcall.
        """
        self._load = load
        self._directory = directory
        self._settings = dict(settings or {})
        self._request = json.dumps({"data": dict(options or {})}).encode() if options else b"{}"
        self._process: Process
        self._client: LoadClient
        self._account = ""
        self._path = ""

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Start the engine, create account and devices."""
        program = Path(sys.executable).with_name("quickcall")
        self._process = await asyncio.create_subprocess_exec(
            program, "serve", env=environment(self._directory) | self._settings, stdout=PIPE
        )
        host, port = await asyncio.wait_for(self._address(), START_S)
        self._client = LoadClient(host, port, TOKEN)
        account = await self._put("/v2/accounts", ACCOUNT)
        self._account = f"/v2/accounts/{account}"
        rung = device("rung", "1001", self._load.rung)
        device_id = await self._put(f"{self._account}/devices", rung)
        dialled = device("dialled", EXTENSION, self._load.dialled)
        await self._put(f"{self._account}/devices", dialled)
        self._path = f"{self._account}/devices/{device_id}/quickcall/{self._load.number}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the engine with SIGTERM."""
        self._client.close()
        self._process.terminate()
        await self._process.communicate()

    async def make_calls(self) -> list[Made]:
        """POST each call at its time."""
        await self._client.warm(16)
        return await at_rate(self._load.rate, self._load.calls, self._call)

    async def idle(self) -> None:
        """Ask for the channels until there are none."""
        for _ in range(IDLE_LOOKS):
            if not json.loads((await self._ask("GET", f"{self._account}/channels"))[1])["data"]:
                return
            await asyncio.sleep(0.05)
        raise RuntimeError("channels are left after SIPp saw the last call end")

    async def ask(self) -> Reply:
        """Ask for one quickcall and return the answer, which comes when the device has answered."""
        return await self._client.request("POST", self._path, self._request)

    async def _call(self) -> Made:
        reply = await self.ask()
        answered = reply.status == 202
        call_id = json.loads(reply.body)["data"]["call_id"] if answered else ""
        return Made(call_id, reply.sent_at, reply.got_at, answered)

    async def _put(self, path: str, document: dict[str, object] | dict[str, str]) -> str:
        status, body = await self._ask("PUT", path, json.dumps({"data": document}).encode())
        if status not in (200, 201):
            raise RuntimeError(f"PUT {path}: {status} {body.decode()}")
        return str(json.loads(body)["data"]["id"])

    async def _ask(self, method: str, path: str, body: bytes = b"{}") -> tuple[int, bytes]:
        reply = await self._client.request(method, path, body)
        return reply.status, reply.body

    async def _address(self) -> tuple[str, int]:
        """Read the address of the API from what `quickcall serve` prints."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            found = re.search(r"http://([\d.]+):(\d+)", line.decode())
            if found:
                return found[1], int(found[2])
        raise RuntimeError("`quickcall serve` ended before it was ready")


class EmbeddedEngine:
    """A program with an engine inside, which calls `Engine.start` itself."""

    def __init__(self, load: Load, directory: Path) -> None:
        """Prepare; nothing is started."""
        self._load = load
        self._directory = directory
        self._process: Process

    @property
    def pid(self) -> int:
        """Process id of the program."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Start the program and wait until its engine is open."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.load.embedded",
            env=environment(self._directory), stdin=PIPE, stdout=PIPE,
            limit=1 << 26,
        )  # fmt: skip
        load = {name: getattr(self._load, name) for name in self._load.__slots__}
        self._say(json.dumps(load))
        await asyncio.wait_for(self._hear(), START_S)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the program end."""
        await self._process.communicate(b"\n")

    async def make_calls(self) -> list[Made]:
        """Let the program make the calls."""
        self._say("")
        return [Made(*made) for made in json.loads(await self._hear())]

    async def idle(self) -> None:
        """Return at once: the program answered after its last call had ended."""

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def _hear(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the embedding program ended early")
        return line
