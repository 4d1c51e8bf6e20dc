"""The queues that a link listens to: declared at each connection, handed to their handlers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec
from pamqp import commands
from pamqp.base import Frame as Method

from engine.control.amqp_channel import Channel
from engine.control.amqp_connection import AmqpConnection
from engine.control.amqp_delivery import Delivery
from engine.control.amqp_frames import Delivered, Properties
from engine.core.errors import RequestInvalid

Handler = Callable[[Delivery], None]

_log = logging.getLogger(__name__)


class _Listener(msgspec.Struct):
    queue: str
    bindings: tuple[tuple[str, str], ...]
    handler: Handler
    shared: bool
    ack: bool
    channel: Channel | None = None
    stopped: bool = False

    def methods(self, *, nowait: bool) -> list[Method]:
        """Return what makes the broker deliver, as Kazoo declares its queues."""
        queue = self.queue
        bindings: list[Method] = [
            commands.Queue.Bind(queue=queue, exchange=exchange, routing_key=key, nowait=nowait)
            for exchange, key in self.bindings
        ]
        return [
            commands.Queue.Declare(queue=queue, auto_delete=True, nowait=nowait),
            *bindings,
            commands.Basic.Consume(
                queue=queue, consumer_tag=queue, no_ack=not self.ack, nowait=nowait
            ),
        ]


class Listeners:
    """Every queue that is listened to; see `AmqpLink` for what each method is for."""

    def __init__(self, prefetch: int) -> None:
        """Listen to nothing yet."""
        self.refused = 0
        """Deliveries that were too long or whose handler failed."""
        self._prefetch = prefetch
        self._listeners: dict[str, _Listener] = {}

    def add(
        self,
        queue: str,
        bindings: Sequence[tuple[str, str]],
        handler: Handler,
        *,
        shared: bool,
        ack: bool,
    ) -> None:
        """Listen to a queue from the next connection on. Raises `ValueError` for its name."""
        commands.Queue.Declare(queue=queue)
        self._listeners[queue] = _Listener(queue, tuple(bindings), handler, shared, ack)

    def bind(self, queue: str, bindings: Sequence[tuple[str, str]]) -> None:
        """Let more messages into a queue."""
        listener = self._listeners[queue]
        listener.bindings += tuple(bindings)
        if listener.channel is not None:
            for exchange, key in bindings:
                listener.channel.send(
                    commands.Queue.Bind(
                        queue=queue, exchange=exchange, routing_key=key, nowait=True
                    )
                )

    def stop(self, queue: str) -> None:
        """Take no more deliveries of a queue."""
        listener = self._listeners[queue]
        if not listener.stopped:
            listener.stopped = True
            if listener.channel is not None:
                listener.channel.send(commands.Basic.Cancel(queue, nowait=True))

    def resume(self, queue: str) -> None:
        """Take deliveries of a queue again."""
        listener = self._listeners[queue]
        if listener.stopped:
            listener.stopped = False
            if listener.channel is not None:
                # The broker has deleted it meanwhile if nobody else consumes from it.
                for method in listener.methods(nowait=True):
                    listener.channel.send(method)

    async def declare(self, connection: AmqpConnection) -> None:
        """Have the broker deliver over a new connection. Raises `LinkDown`."""
        plain = await connection.channel(self.receive)
        for listener in self._listeners.values():
            channel = plain
            if listener.ack:
                channel = await connection.channel(self.receive)
                await channel.call(commands.Basic.Qos(prefetch_count=self._prefetch))
            listener.channel = channel
            if listener.stopped:
                continue
            if not listener.shared and not listener.ack:
                # One that an earlier connection of this node left behind, and that the broker may
                # still deliver to, would keep half of what is sent here.
                await channel.call(commands.Queue.Delete(queue=listener.queue))
            for method in listener.methods(nowait=False):
                await channel.call(method)

    def receive(
        self, channel: Channel, delivered: Delivered, properties: Properties, body: bytes | None
    ) -> None:
        """Hand a delivery to its handler."""
        listener = self._listeners.get(delivered.consumer_tag)
        if listener is None:
            return
        settle = channel if listener.ack else None
        delivery = Delivery(
            delivered.exchange,
            delivered.routing_key,
            body or b"",
            properties.headers,
            delivered.redelivered,
            properties.message_id,
            properties.timestamp_us,
            *(settle, delivered.delivery_tag),
        )
        try:
            if body is None:
                size = f"{properties.body_size} bytes"
                raise RequestInvalid("message", size, "1 MiB at most", "maxLength")
            listener.handler(delivery)
        except RequestInvalid as error:
            self.refused += 1
            _log.warning("a message of queue %s is refused: %s", listener.queue, error)
            delivery.reject()
        except Exception:
            self.refused += 1
            _log.exception("a delivery of queue %s could not be handled", listener.queue)
            delivery.reject()
