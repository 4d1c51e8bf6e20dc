"""A WebSocket as the event stream needs it: writing never waits, and one frame serves many.

The HTTP server's own protocol makes each client's frame anew and lets the writer wait for the slow
one. A frame of a server has no mask (RFC 6455 5.1), so the bytes are the same for every client:
here they are made once and handed to the transport, and who writes looks first whether it is full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "quickcall.link"
"""Where an ASGI scope has the link, among its extensions."""

GOING_AWAY = 1001
"""Close code of a server that stops (RFC 6455 7.4.1)."""

CLOSE_SECONDS = 2.0
"""How long a client may take to answer the close frame before it is cut."""

_TEXT_FRAME = 0x81


def text_frame(payload: bytes) -> bytes:
    """Return one text message as it is on the wire (RFC 6455 5.2)."""
    length = len(payload)
    if length < 126:
        head = bytes((_TEXT_FRAME, length))
    elif length < 1 << 16:
        head = bytes((_TEXT_FRAME, 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_TEXT_FRAME, 127)) + length.to_bytes(8, "big")
    return head + payload


class Link(WebSocketsSansIOProtocol):
    """One connection. The session uses what is public here, the rest is the server's."""

    on_writable: Callable[[], None] | None = None
    """Called when the client has taken what it was behind with."""

    def handle_connect(self, event: Request) -> None:
        """Let the application find this link."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    @property
    def over(self) -> bool:
        """Whether nothing can be written any more."""
        return self.close_sent or self.disconnected

    @property
    def full(self) -> bool:
        """Whether the client is behind: more waits for it than a transport should hold."""
        return not self.writable.is_set()

    @property
    def peer(self) -> str:
        """Address of the client, for logs."""
        return f"{self.client[0]}:{self.client[1]}" if self.client else "unknown"

    def write_frames(self, frames: bytes) -> None:
        """Send whole frames of `text_frame`. Never waits; nothing happens when it is over."""
        if not self.over:
            self.transport.write(frames)

    async def drained(self) -> None:
        """Wait until the link is not full, or over."""
        await self.writable.wait()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and give the client `CLOSE_SECONDS` to answer it. Idempotent."""
        if self.over:
            return
        self.conn.send_close(code, reason[:120])
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self.read_paused:
            # The client's own close frame is still to be read.
            self.read_paused = False
            self.transport.resume_reading()
        # Not `close`: that would wait for a client which does not read to take what is buffered.
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Tell who writes that the client can take more."""
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def shutdown(self) -> None:
        """Say that the server goes away."""
        if self.handshake_complete and not self.over:
            self.close(GOING_AWAY, "the engine stops")
        else:
            super().shutdown()
