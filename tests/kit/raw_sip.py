"""Bytes to a SIP listener as they are, from a socket of their own, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import socket
from types import TracebackType
from typing import Self

GUARD_S = 40.0
"""Longest wait for a response. A guard against hanging, never a measured time."""

_STATUS = re.compile(rb"^SIP/2\.0 (\d+)", re.MULTILINE)
_serial = itertools.count()


class RawSip:
    """A socket connected to a SIP listener: all that comes back is about what it sent.

    Args:
        transport: udp or tcp.
        address: `host:port` of the listener, IPv4.

    Use as `async with`.
    """

    def __init__(self, transport: str, address: str) -> None:
        """Keep where to; entering connects."""
        host, _, port = address.rpartition(":")
        self.transport = transport
        self._to = (host, int(port))
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._received = b""

    async def __aenter__(self) -> Self:
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        await asyncio.get_running_loop().sock_connect(self._socket, self._to)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    @property
    def via(self) -> str:
        """`host:port` of this end."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    async def send(self, data: bytes) -> None:
        """Send bytes; as one datagram over UDP."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def statuses(self, count: int) -> list[int]:
        """Wait until `count` responses have come and return the statuses of all so far."""
        async with asyncio.timeout(GUARD_S):
            while len(_STATUS.findall(self._received)) < count:
                await self._receive()
        return [int(status) for status in _STATUS.findall(self._received)]

    async def _receive(self) -> None:
        """Wait for more. Raises `ConnectionError` when the listener has closed the connection."""
        data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        if not data:
            raise ConnectionError(f"closed by {self._to}")
        self._received += data + b"\r\n"

    def statuses_now(self) -> list[int]:
        """Return the statuses that are here already, without waiting."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self._received += self._socket.recv(65536) + b"\r\n"
        return [int(status) for status in _STATUS.findall(self._received)]

    async def ping(self) -> int:
        """Send OPTIONS and return the status of the answer.

        The SIP thread takes one message after the other: once this is answered, all that was sent
        before has been looked at.
        """
        serial = next(_serial)
        await self.send(
            f"OPTIONS sip:engine@{self._to[0]} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport.upper()} {self.via};branch=z9hG4bKping{serial};rport\r\n"
            f"From: <sip:ping@test.invalid>;tag=p{serial}\r\nTo: <sip:engine@{self._to[0]}>\r\n"
            f"Call-ID: ping-{serial}@test.invalid\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        answer = re.compile(
            rb"^SIP/2\.0 (\d+) [^\r]*\r\n(?:[^\r]+\r\n)*Call-ID: ping-%d@" % serial, re.M
        )
        async with asyncio.timeout(GUARD_S):
            while not (found := answer.search(self._received)):
                await self._receive()
        return int(found[1])
