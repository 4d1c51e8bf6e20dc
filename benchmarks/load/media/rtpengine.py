"""rtpengine in user space, as a relay to compare with: one process, told by its ng protocol."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from asyncio.subprocess import DEVNULL, Process
from types import TracebackType
from typing import Self

from benchmarks.load.media.generator import Address
from tests.kit.addresses import free_port, is_bound
from tests.kit.rtp import audio_address

START_S = 10.0
"""Longest wait for it to start, and for an answer."""

Bencoded = str | list["Bencoded"] | dict[str, "Bencoded"]


def bencode(value: Bencoded) -> bytes:
    """Return the bencoding of texts, lists and dictionaries.

    >>> bencode({"flags": ["a"], "x": "yz"})
    b'd5:flagsl1:ae1:x2:yze'
    """
    if isinstance(value, str):
        raw = value.encode()
        return b"%d:%s" % (len(raw), raw)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"


class Rtpengine(asyncio.DatagramProtocol):
    """The daemon without its kernel module. `async with` starts and ends it.

    Args:
        threads: worker threads; its default is one for each core.
    """

    name = "rtpengine"

    def __init__(self, threads: int) -> None:
        """Choose the control port."""
        self._threads = threads
        self._host = "127.0.0.1"
        self._port = free_port(self._host)
        self._cookies = itertools.count()
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._process: Process
        self._transport: asyncio.DatagramTransport

    @property
    def pid(self) -> int:
        """Process id of the daemon."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        """Start it and wait for its control port."""
        program = shutil.which("rtpengine")
        if program is None:
            raise SystemExit("rtpengine is not installed: make bench-setup")
        self._process = await asyncio.create_subprocess_exec(
            program, "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
            f"--interface={self._host}", f"--listen-ng={self._host}:{self._port}",
            "--port-min=40000", "--port-max=59999", f"--num-threads={self._threads}",
            stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(START_S):
            while not is_bound(self._host, self._port):
                if self._process.returncode is not None:
                    raise RuntimeError("rtpengine ended before it was ready")
                await asyncio.sleep(0.02)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, remote_addr=(self._host, self._port)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._transport.close()
        self._process.terminate()
        await self._process.wait()

    async def relay(self, pair: int, one: Address, other: Address) -> tuple[Address, Address]:
        """Set up a call between two phones; return where the first and the second are to send."""
        call = {"call-id": f"pair-{pair}", "from-tag": "one", "ICE": "remove"}
        flags: list[Bencoded] = ["trust-address"]
        replace: list[Bencoded] = ["origin", "session-connection"]
        common: dict[str, Bencoded] = {**call, "flags": flags, "replace": replace}
        offered = await self._ask({**common, "command": "offer", "sdp": _sdp(one)})
        answer: dict[str, Bencoded] = {"command": "answer", "to-tag": "other", "sdp": _sdp(other)}
        answered = await self._ask({**common, **answer})
        return audio_address(answered), audio_address(offered)

    def datagram_received(self, data: bytes, address: Address) -> None:
        """Take an answer (called by asyncio)."""
        cookie, _, text = data.decode().partition(" ")
        waiting = self._waiting.pop(cookie, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(text)

    async def _ask(self, command: dict[str, Bencoded]) -> str:
        cookie = f"c{next(self._cookies)}"
        self._waiting[cookie] = asyncio.get_running_loop().create_future()
        self._transport.sendto(cookie.encode() + b" " + bencode(command))
        text = await asyncio.wait_for(self._waiting[cookie], START_S)
        if "6:result2:ok" not in text:
            raise RuntimeError(f"rtpengine: {text}")
        return text


def _sdp(address: Address) -> str:
    host, port = address
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
