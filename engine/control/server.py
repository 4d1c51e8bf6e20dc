"""The HTTP server around the application: starts and stops inside a running loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn

from engine.control.arrival import LISTENERS, Protocol
from engine.control.face import EngineFace
from engine.control.http import make_app
from engine.control.http_front import Front
from engine.control.shedding import Shedding
from engine.control.tls import TlsFiles
from engine.control.websocket_broadcast import Broadcast
from engine.control.websocket_link import Link

MAX_FRAME = 64 * 1024
"""Longest WebSocket frame of a client, bytes."""

SHUTDOWN_SECONDS = 5
"""How long open requests may go on after `stop`."""


SOCKETS_PER_IP = 1000
"""WebSockets that one address may have open."""


class _NoQueries(logging.Filter):
    """Cuts query strings out of the server's log lines: they may hold tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(value) for value in record.args)
        return True


def _without_query(value: object) -> object:
    return value.partition("?")[0] if isinstance(value, str) else value


_no_queries = _NoQueries()


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever embeds it."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class HttpServer:
    """Serves an engine's HTTP API and event stream on one address."""

    def __init__(
        self,
        face: EngineFace,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        sockets_per_ip: int = SOCKETS_PER_IP,
        tls: TlsFiles | None = None,
    ) -> None:
        """Bind later, in `start`; port 0 takes a free one.

        `sockets_per_ip`: most WebSockets that one address may have open. Without `tls` it speaks
        plain HTTP.
        """
        self._host = host
        self._port = port
        self._broadcast = Broadcast(face)
        config = uvicorn.Config(
            Shedding(Front(make_app(face, self._broadcast), sockets_per_ip), face),
            http=Protocol,
            ws=Link,
            lifespan="on",
            log_config=None,
            # Below that the WebSocket library writes headers and frames, and with them tokens.
            log_level="info",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=MAX_FRAME,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        for name in ("uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).addFilter(_no_queries)
        config.load()
        config.ssl = None if tls is None else tls.context
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Port bound; 0 before `start` when a free one was asked for."""
        return self._port

    async def start(self) -> None:
        """Bind and serve. Raises `OSError` when the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=2048)
        # Connections inherit it. asyncio sets it only on sockets that were made with a protocol
        # number, and without it every answer in two segments waits 40 ms for a delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        listeners = [listener, *(listener.dup() for _ in range(LISTENERS - 1))]
        self._task = asyncio.create_task(self._server.serve(sockets=listeners))

    async def stop(self) -> None:
        """Stop taking requests, wait for the open ones, release the port. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            # Before the sockets are closed: the last calls' events are among it.
            self._broadcast.finish()
            self._server.should_exit = True
            await task
