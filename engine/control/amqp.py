"""The engine on Kazoo's message bus, in the place of ecallmgr and its media server."""

from __future__ import annotations

from engine.control.amqp_link import AmqpLink
from engine.control.face import EngineFace


class AmqpFace:
    """One engine's part on the bus: the link, and whoever speaks over it."""

    def __init__(self, face: EngineFace, url: str, prefetch: int) -> None:
        """Prepare; the engine need not be open yet. Raises `RequestInvalid` for the URL."""
        self.link = AmqpLink(url, face.node, prefetch=prefetch)

    async def start(self) -> None:
        """Join the bus; the engine is open. Returns when the broker is away too."""
        await self.link.start()

    def drain(self) -> None:
        """Take no more requests, so that other engines get them; calls go on."""

    async def stop(self) -> None:
        """Leave the bus. Idempotent."""
        await self.link.stop()
