"""A client of the event stream, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine.control.server import HttpServer

ACCOUNT = "a" * 32
DEADLINE = 40.0
"""Seconds any single wait of a test may take."""


@asynccontextmanager
async def session(
    server: HttpServer,
    token: str | None = "root-token",
    path: str = "/v2/websocket",
    **options: Any,
) -> AsyncIterator[ClientConnection]:
    """Connect with a token in the header."""
    headers = {"X-Auth-Token": token} if token else {}
    url = f"ws://127.0.0.1:{server.port}{path}"
    async with connect(url, additional_headers=headers, compression=None, **options) as connection:
        yield connection


async def receive(connection: ClientConnection) -> dict[str, Any]:
    """Return the next frame."""
    async with asyncio.timeout(DEADLINE):
        frame: dict[str, Any] = json.loads(await connection.recv())
    return frame


async def ask(connection: ClientConnection, action: str, **data: Any) -> dict[str, Any]:
    """Send a frame and return its reply."""
    await connection.send(json.dumps({"action": action, "request_id": "r1", "data": data}))
    reply = await receive(connection)
    assert reply["action"] == "reply"
    assert reply["request_id"] == "r1"
    return reply


async def subscribe(connection: ClientConnection, *bindings: str, **data: Any) -> dict[str, Any]:
    """Subscribe to bindings of the account."""
    names = list(bindings) or ["call.*.*"]
    return await ask(connection, "subscribe", **{"account_id": ACCOUNT, "bindings": names, **data})


async def closed(connection: ClientConnection) -> tuple[int, str]:
    """Return the code and the reason of the close frame."""
    with pytest.raises(ConnectionClosed) as caught:
        await _exhaust(connection)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def _exhaust(connection: ClientConnection) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            await connection.recv()
