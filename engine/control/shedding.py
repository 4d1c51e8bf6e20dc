"""Refuse quickcalls of an overloaded engine before anything is done for them.

The refusal is written without routing, body or token: what is refused must cost next to nothing, or
refusing would take the time that the admitted calls need. It says nothing but that.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from engine.control.arrival import waited_s
from engine.control.envelope import REQUEST_ID, Exchange, failure, failure_of
from engine.control.face import EngineFace
from engine.control.random_ids import random_id
from engine.core.errors import Overloaded

_QUICKCALL = "/quickcall/"
_REQUEST_ID = b"x-request-id"


class Shedding:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, face: EngineFace) -> None:
        """Ask the engine before every quickcall; the rest goes to the application at once."""
        self._app = app
        self._face = face

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or request."""
        if scope["type"] == ScopeType.HTTP and _QUICKCALL in scope["path"]:
            wait = self._face.shed(waited_s(scope))
            if wait:
                await self._refuse(scope, send, wait)
                return
        await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, send: Send, wait: float) -> None:
        request_id = _request_id(scope)
        error = failure_of(Overloaded(wait))
        body = failure(error, Exchange(self._face.node, request_id), datetime.now(UTC))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"%d" % math.ceil(wait)),
            (_REQUEST_ID, request_id.encode("ascii")),
        ]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _request_id(scope: Scope) -> str:
    """Return the caller's request id, or a new one when there is none that can be one."""
    for name, value in scope["headers"]:
        if name == _REQUEST_ID:
            text = value.decode("latin-1")
            return text if REQUEST_ID.fullmatch(text) else random_id()
    return random_id()
