"""A lean HTTP/1.1 client for load: kept connections, one request at a time on each.

A general client would spend more CPU on a request than the engine on the call and so measure
itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast


@dataclass(frozen=True, slots=True)
class Reply:
    """One response."""

    sent_at: float
    """Seconds since the Unix epoch, just before the request was written."""
    got_at: float
    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    """One kept connection with at most one request under way."""

    def __init__(self, idle: Callable[[_Connection], None]) -> None:
        self.closed = False
        self._idle = idle
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Reply] | None = None
        self._sent_at = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # That of uvloop is none by its class.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._waiter is not None:
            self._waiter.set_exception(error or ConnectionError("the engine closed the connection"))
            self._waiter = None

    def request(self, data: bytes) -> asyncio.Future[Reply]:
        self._waiter = asyncio.get_running_loop().create_future()
        self._sent_at = time.time()
        self._transport.write(data)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or self._waiter is None:
            return
        start = head.lower().find(b"content-length:") + 15
        length = int(head[start:].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        waiter, self._waiter = self._waiter, None
        self._buffer.clear()
        reply = Reply(self._sent_at, time.time(), int(head[9:12]), bytes(body[:length]))
        if not waiter.done():
            waiter.set_result(reply)
        self._idle(self)

    def close(self) -> None:
        self._transport.close()


class LoadClient:
    """Talks to one server over as many kept connections as there are requests under way."""

    def __init__(self, host: str, port: int, token: str) -> None:
        """Name the server and the `X-Auth-Token` of every request."""
        self._address = (host, port)
        self._token = token
        # First in, first out: every connection is used often enough for the server to keep it.
        self._idle: deque[_Connection] = deque()
        self._all: list[_Connection] = []

    async def request(self, method: str, path: str, body: bytes = b"{}") -> Reply:
        """Send a request with a JSON body and wait for its response."""
        while self._idle and self._idle[0].closed:
            self._idle.popleft()
        connection = self._idle.popleft() if self._idle else await self._connect()
        host, port = self._address
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nX-Auth-Token: {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return await connection.request(head.encode() + body)

    async def warm(self, connections: int) -> None:
        """Have so many idle connections before the clock starts."""
        while sum(not connection.closed for connection in self._idle) < connections:
            self._idle.append(await self._connect())

    def close(self) -> None:
        """Close every connection."""
        for connection in self._all:
            connection.close()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(self._idle.append), *self._address
        )
        self._all.append(connection)
        return connection
