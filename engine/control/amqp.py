"""The engine on Kazoo's message bus, in the place of ecallmgr and its media server."""

from __future__ import annotations

from engine.control.amqp_control import AmqpControl
from engine.control.amqp_delivery import Delivery
from engine.control.amqp_events import AmqpEvents
from engine.control.amqp_link import AmqpLink
from engine.control.amqp_nodes import AmqpNodes
from engine.control.amqp_originate import ROUTING_KEY, AmqpOriginate
from engine.control.amqp_queries import AmqpQueries
from engine.control.amqp_router import AmqpRouter
from engine.control.face import EngineFace
from engine.control.outbox import Outbox


class AmqpFace:
    """One engine's part on the bus: the link, and whoever speaks over it."""

    def __init__(
        self,
        face: EngineFace,
        url: str,
        prefetch: int,
        *,
        routes_numbers: bool = True,
        node_gone_s: float = 30.0,
    ) -> None:
        """Prepare; the engine need not be open yet. Raises `RequestInvalid` for the URL.

        `routes_numbers`: whether the bus is asked where an answered originate goes. `node_gone_s`:
        seconds without a sign of life after which another engine is gone.
        """
        self.link = AmqpLink(url, face.node, prefetch=prefetch)
        self.events: AmqpEvents
        """The engine's events on their way to the bus; there from `start` on."""
        self.control = AmqpControl(face, self.link)
        """Commands for channels."""
        self.queries = AmqpQueries(face, self.link)
        """Questions about channels."""
        self.router = AmqpRouter(face, self.link, self.control.queue) if routes_numbers else None
        """Who is asked where numbers go, None: the bus is not."""
        self.nodes = AmqpNodes(self.link, node_gone_s, self._take_placed)
        """The other engines on the bus."""
        self.originate = AmqpOriginate(face, self.link, self.control.queue, self.nodes)
        """Requests of the bus."""
        self._face = face
        self._draining = False

    async def start(self) -> None:
        """Join the bus; the engine is open. Returns when the broker is away too."""
        face = self._face
        self.events = AmqpEvents(self.link, Outbox(face.feed, face.journal, "amqp"), face.node)
        self.events.start()
        face.control_plane = self.router
        await self.link.start()
        self.nodes.start()

    def _take_placed(self, delivery: Delivery) -> None:
        if self._draining:
            # It was on its way already: somebody who takes requests is to have it.
            self.link.send("callmgr", ROUTING_KEY, delivery.json())
            delivery.ack()
        else:
            self.originate.take(delivery, placed=True)

    def drain(self) -> None:
        """Take no more requests, so that other engines get them; calls go on."""
        self._draining = True
        self.nodes.drain()
        self.originate.drain()

    def resume(self) -> None:
        """Take requests again: draining was taken back."""
        self._draining = False
        self.nodes.resume()
        self.originate.resume()

    async def stop(self) -> None:
        """Tell the last events and leave the bus. Idempotent."""
        self._face.control_plane = None
        if self.router is not None:
            self.router.stop()
        await self.originate.close()
        await self.events.stop()
        await self.nodes.stop(all_told=self.events.lag == 0)
        await self.link.stop()
        await self.queries.stop()
        await self.control.stop()
