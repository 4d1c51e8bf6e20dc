"""The engine on Kazoo's message bus, in the place of ecallmgr and its media server."""

from __future__ import annotations

from engine.control.amqp_events import AmqpEvents
from engine.control.amqp_link import AmqpLink
from engine.control.amqp_originate import AmqpOriginate
from engine.control.face import EngineFace
from engine.control.kapi import queue_name
from engine.control.outbox import Outbox


class AmqpFace:
    """One engine's part on the bus: the link, and whoever speaks over it."""

    def __init__(self, face: EngineFace, url: str, prefetch: int) -> None:
        """Prepare; the engine need not be open yet. Raises `RequestInvalid` for the URL."""
        self.link = AmqpLink(url, face.node, prefetch=prefetch)
        self.events: AmqpEvents
        """The engine's events on their way to the bus; there from `start` on."""
        control_queue = queue_name("quickcall-ctl", face.node)
        self.originate = AmqpOriginate(face, self.link, control_queue)
        """Requests of the bus."""
        self._face = face

    async def start(self) -> None:
        """Join the bus; the engine is open. Returns when the broker is away too."""
        face = self._face
        self.events = AmqpEvents(self.link, Outbox(face.feed, face.journal, "amqp"), face.node)
        self.events.start()
        await self.link.start()

    def drain(self) -> None:
        """Take no more requests, so that other engines get them; calls go on."""
        self.originate.drain()

    async def stop(self) -> None:
        """Tell the last events and leave the bus. Idempotent."""
        await self.originate.close()
        await self.events.stop()
        await self.link.stop()
