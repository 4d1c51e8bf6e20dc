"""A TCP connection between the engine and a peer, that either side opened and that can break."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Self

from tests.kit.addresses import free_port

_CHUNK = 65536


class Flow:
    """Carries SIP between the engine and a SIPp that listens on TCP, both ways.

    Args:
        host: address of the engine's side of it, and of SIPp.
        behind: TCP port of SIPp, which sees one connection whatever becomes of the engine's.
        engine: `host:port` of the engine, to which this opens a connection as a phone would.
        break_on: bytes of the engine that, the first time they come, close its connection instead
            of being carried.

    The engine may also connect to `port`. Leaving the `async with` block closes everything.
    `connections` counts those with the engine, whoever opened them.
    """

    def __init__(self, host: str, behind: int, *, engine: str = "", break_on: bytes = b"") -> None:
        """Choose the ports; entering listens and connects."""
        self.host = host
        self.port = free_port(host, "tcp")
        self.connections = 0
        self._own_port = free_port(host, "tcp")
        self._behind_port = behind
        self._engine_address = engine
        self._break_on = break_on
        self._server: asyncio.Server
        self._behind: asyncio.StreamWriter
        self._engine: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def uri(self) -> str:
        """SIP URI at which the engine can connect."""
        return f"sip:{self.host}:{self.port};transport=tcp"

    @property
    def opened_uri(self) -> str:
        """SIP URI of the connection that this opened, as a registrar would have seen it."""
        return f"sip:{self.host}:{self._own_port};transport=tcp"

    async def __aenter__(self) -> Self:
        reader, self._behind = await asyncio.open_connection(self.host, self._behind_port)
        self._start(self._answer(reader))
        self._server = await asyncio.start_server(self._connected, self.host, self.port)
        if self._engine_address:
            host, _, port = self._engine_address.rpartition(":")
            local = (self.host, self._own_port)
            opened = await asyncio.open_connection(host, int(port), local_addr=local)
            self._connected(*opened)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._behind.close()
        if self._engine is not None:
            self._engine.close()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection of the engine; answers go to the latest."""
        self.connections += 1
        self._engine = writer
        self._start(self._carry(reader, writer))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry what the engine sends, until it is what breaks the connection."""
        while data := await reader.read(_CHUNK):
            if self._break_on and self._break_on in data:
                self._break_on = b""
                break
            self._behind.write(data)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        """Carry what SIPp sends."""
        while data := await reader.read(_CHUNK):
            if self._engine is not None:
                self._engine.write(data)
