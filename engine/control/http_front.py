"""What stands before the application's routes: HEAD, and who may open a WebSocket.

HEAD is GET without its body. A WebSocket that names a sub-protocol, or is one too many, is answered
in HTTP, before it is one, as Kazoo does.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

QUICKCALL = "/quickcall/"
"""Part of the paths whose GET places a call. HEAD must be safe (RFC 9110 9.2.1), so it is left to
the routes, which do not know it (405)."""

MAX_SOCKETS = 20_000
"""Most WebSockets of an engine, whoever has them."""

_log = logging.getLogger(__name__)


class Front:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, sockets_per_ip: int) -> None:
        """Stand before `app`; one address may have at most `sockets_per_ip` WebSockets open."""
        self._app = app
        self._per_ip = sockets_per_ip
        self._open: Counter[str] = Counter()
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        asked: Any = scope
        if asked["type"] == "websocket":
            await self._websocket(asked, receive, send)
            return
        if asked["type"] == "http" and asked["method"] == "HEAD" and QUICKCALL not in asked["path"]:
            # The server drops the body: it has kept the method that was asked with.
            asked = {**scope, "method": "GET"}
        await self._app(asked, receive, send)

    async def _websocket(self, scope: Any, receive: Receive, send: Send) -> None:
        address = scope["client"][0] if scope.get("client") else ""
        if scope["subprotocols"]:
            await _refuse(send, 400, "no sub-protocol is spoken here")
        elif self._open[address] >= self._per_ip:
            _log.warning("%s has %d WebSockets open, as many as it may", address, self._per_ip)
            await _refuse(send, 429, "too many connections of this address")
        elif self._sockets >= MAX_SOCKETS:
            _log.warning("%d WebSockets are open, as many as there may be", MAX_SOCKETS)
            await _refuse(send, 503, "too many connections")
        else:
            self._open[address] += 1
            self._sockets += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._sockets -= 1
                self._open[address] -= 1
                if not self._open[address]:
                    del self._open[address]


async def _refuse(send: Send, status: int, why: str) -> None:
    """Answer a handshake in HTTP (the ASGI extension websocket.http.response)."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status != 400:
        headers.append((b"retry-after", b"10"))
    start: Any = {"type": "websocket.http.response.start", "status": status, "headers": headers}
    body: Any = {"type": "websocket.http.response.body", "body": why.encode()}
    await send(start)
    await send(body)
