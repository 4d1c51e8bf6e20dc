"""What stands before the application's routes: HEAD, which is GET without its body."""

from __future__ import annotations

from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

QUICKCALL = "/quickcall/"
"""Part of the paths whose GET places a call. HEAD must be safe (RFC 9110 9.2.1), so it is left to
the routes, which do not know it (405)."""


class Front:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        asked: Any = scope
        if asked["type"] == "http" and asked["method"] == "HEAD" and QUICKCALL not in asked["path"]:
            # The server drops the body: it has kept the method that was asked with.
            asked = {**scope, "method": "GET"}
        await self._app(asked, receive, send)
