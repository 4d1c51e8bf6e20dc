"""How long a request has waited in its socket before the event loop looked.

A loop that is busy reads late, and accepts connections late: what waits there is seen by nobody
but the kernel, which notes when the last bytes of a connection came (tcp(7), `TCP_INFO`).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from litestar.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LISTENERS = 32
"""Handles of the one listening socket. The event loop accepts one connection for each of them in a
turn: with a single one, connections wait for seconds in a loop whose turns are long."""

_SOCKET = "quickcall.socket"
_LAST_DATA = struct.Struct("I")
_LAST_DATA_AT = 52
"""Offset of `tcpi_last_data_recv`, milliseconds: after 8 bytes and 11 numbers."""


class Protocol(HttpToolsProtocol):
    """The server's HTTP/1.1, which shows the application the socket of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self._extensions: Any = {_SOCKET: {"socket": transport.get_extra_info("socket")}}

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions


def waited_s(scope: Scope) -> float:
    """Return the seconds that the last bytes of a request have waited, 0 when nobody knows."""
    extensions: Any = scope.get("extensions") or {}
    found: socket.socket | None = extensions.get(_SOCKET, {}).get("socket")
    if found is None:
        return 0.0
    try:
        info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_AT + 4)
    except OSError:
        return 0.0
    milliseconds: int = _LAST_DATA.unpack_from(info, _LAST_DATA_AT)[0]
    return milliseconds / 1000
