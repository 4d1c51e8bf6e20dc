"""The packets of many telephones: media_load.cpp, compiled and driven."""

from __future__ import annotations

import asyncio
import json
import subprocess
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.kit.addresses import loopback_address

HERE = Path(__file__).resolve().parent
FIRST_PORT = 20000
"""RTP port of leg 0; each leg has two. The address is one that nobody else has."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a run measured; see media_load.cpp for each figure."""

    sent: int
    received: int
    lost: int
    """Packets that never came, from the first one of their stream that did."""
    before_first: int
    """Packets sent before the first one of their stream that came."""
    duplicated: int
    reordered: int
    strange: int
    """Packets that came to a leg they were not meant for."""
    latency_p50_ms: float
    latency_p99_ms: float
    latency_max_ms: float
    jitter_p50_ms: float
    jitter_p99_ms: float
    """Difference in transit time from one packet to the next (D of RFC 3550 6.4.1)."""
    late_ms: float
    """How far the load fell behind its own clock."""
    met: dict[str, tuple[float, int]]
    """Leg -> when a packet first came straight from another leg, seconds since the Unix epoch, and
    that leg."""


def compiled(name: str, folder: str) -> str:
    """Compile a program of this directory; return its path. Raises `CalledProcessError`."""
    program = str(Path(folder, name))
    flags = ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    source = str(HERE / f"{name}.cpp")
    subprocess.run(["c++", *flags, "-o", program, source, "-lsrtp2"], check=True)
    return program


class Generator:
    """The media of `legs` telephones at an address of theirs; `async with` starts and ends it."""

    def __init__(self, legs: int) -> None:
        """Choose the address."""
        self.legs = legs
        self.host = loopback_address()
        self._folder = TemporaryDirectory(prefix="media-load-")
        self._process: Process

    def address(self, leg: int) -> Address:
        """Return where a leg, 0 and up, sends and receives RTP."""
        return self.host, FIRST_PORT + 2 * leg

    async def __aenter__(self) -> Self:
        """Compile and start it."""
        program = await asyncio.to_thread(compiled, "media_load", self._folder.name)
        self._process = await asyncio.create_subprocess_exec(
            program, self.host, str(self.legs), str(FIRST_PORT), stdin=PIPE, stdout=PIPE
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        await self._process.communicate(b"")
        self._folder.cleanup()

    def send_to(self, leg: int, to: Address | None) -> None:
        """Say where a leg's packets go from now on, None: nowhere."""
        host, port = to or ("-", 0)
        self._say(f"to {leg} {host} {port}")

    def encrypt(self, leg: int, sent: bytes, received: bytes) -> None:
        """Let a leg speak SRTP; the keys are those of AES_CM_128_HMAC_SHA1_80, with their salt."""
        self._say(f"keys {leg} {sent.hex()} {received.hex()}")

    def begin(self, seconds: int) -> None:
        """Begin to send and to count, for at most 600 seconds; `report` says what came of it."""
        self._say(f"run {seconds}")

    def stop(self) -> None:
        """End the run now."""
        self._say("stop")

    async def report(self) -> Heard:
        """Wait for the end of the run."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("media_load ended early")
        return Heard(**json.loads(line))

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
