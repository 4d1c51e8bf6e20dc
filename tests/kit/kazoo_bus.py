"""The other side of Kazoo's bus: a client that plays crossbar, callflow or a reader of events.

It is built on pika, not on the engine's own AMQP, and reads Kazoo's timestamps in microseconds.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

GUARD_S = 40.0
"""Longest wait for a message. A guard against hanging, never a measured time."""

EXCHANGES = {
    "targeted": "direct",
    "callctl": "direct",
    "callevt": "topic",
    "callmgr": "topic",
    "cdr": "topic",
    "nodes": "fanout",
}


@dataclass
class Seen:
    """A message that came."""

    exchange: str
    routing_key: str
    body: bytes
    headers: dict[str, Any]
    message_id: str | None
    content_type: str | None
    timestamp: int | None
    redelivered: bool
    delivery_tag: int

    @property
    def payload(self) -> dict[str, Any]:
        """Its JSON object."""
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def name(self) -> str:
        """Its `Event-Name`."""
        return str(self.payload["Event-Name"])


@dataclass
class Inbox:
    """What came into one queue, in order."""

    queue: str
    seen: list[Seen] = field(default_factory=list)
    _waiting: asyncio.Queue[Seen] = field(default_factory=asyncio.Queue)

    def put(self, message: Seen) -> None:
        """Take a message."""
        self._waiting.put_nowait(message)

    async def next(self) -> Seen:
        """Wait for the next message; it is kept in `seen`."""
        async with asyncio.timeout(GUARD_S):
            message = await self._waiting.get()
        self.seen.append(message)
        return message

    async def wait(self) -> Seen:
        """Wait for the next message for as long as it takes, and keep nothing."""
        return await self._waiting.get()

    async def until(self, wanted: Callable[[Seen], bool]) -> Seen:
        """Wait for a message that is wanted; those before it are kept in `seen` too."""
        while not wanted(message := await self.next()):
            pass
        return message

    async def named(self, name: str, count: int = 1) -> Seen:
        """Wait for the `count`th message from now on with this `Event-Name`."""
        for _ in range(count - 1):
            await self.until(lambda message: message.name == name)
        return await self.until(lambda message: message.name == name)

    def empty(self) -> bool:
        """Tell whether nothing more came until now."""
        return self._waiting.empty()


class KazooBus:
    """A connection to a virtual host. `async with` opens and closes it."""

    def __init__(self, url: str) -> None:
        """Choose the broker; `async with` connects."""
        self._parameters = pika.URLParameters(url)
        self.server_id = f"kazoo-{secrets.token_hex(6)}"
        self.replies: Inbox
        self.returned: asyncio.Queue[str] = asyncio.Queue()
        """Routing keys of mandatory messages that came back."""
        self._connection: Any
        self._channel: Any

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()
        self._connection = AsyncioConnection(
            self._parameters,
            on_open_callback=opened.set_result,
            on_open_error_callback=lambda _, error: opened.set_exception(AssertionError(error)),
            custom_ioloop=loop,
        )
        async with asyncio.timeout(GUARD_S):
            await opened
            channel: asyncio.Future[Any] = loop.create_future()
            self._connection.channel(on_open_callback=channel.set_result)
            self._channel = await channel
        self._channel.add_on_return_callback(
            lambda _channel, method, _properties, _body: self.returned.put_nowait(
                method.routing_key
            )
        )
        for exchange, kind in EXCHANGES.items():
            await self._call(self._channel.exchange_declare, exchange=exchange, exchange_type=kind)
        self.replies = await self.listen(("targeted", self.server_id), queue=self.server_id)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._connection.is_open:
            gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._connection.add_on_close_callback(lambda _, reason: gone.set_result(reason))
            self._connection.close()
            async with asyncio.timeout(GUARD_S):
                await gone

    async def listen(self, *bindings: tuple[str, str], queue: str = "", ack: bool = False) -> Inbox:
        """Have everything that these exchanges route by these keys come into an inbox."""
        declared = await self._call(self._channel.queue_declare, queue=queue, auto_delete=True)
        name = declared.method.queue
        for exchange, key in bindings:
            await self._call(
                self._channel.queue_bind, queue=name, exchange=exchange, routing_key=key
            )
        inbox = Inbox(name)

        def come(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            inbox.put(
                Seen(
                    *(method.exchange, method.routing_key, body, dict(properties.headers or {})),
                    *(properties.message_id, properties.content_type, properties.timestamp),
                    *(method.redelivered, method.delivery_tag),
                )
            )

        await self._call(
            self._channel.basic_consume, queue=name, on_message_callback=come, auto_ack=not ack
        )
        return inbox

    def publish(
        self,
        exchange: str,
        routing_key: str,
        payload: dict[str, Any] | bytes,
        *,
        mandatory: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Send a message as Kazoo does; bytes go as they are."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        properties = pika.BasicProperties(
            content_type="application/json",
            timestamp=time.time_ns() // 1000,
            headers=headers,
        )
        self._channel.basic_publish(
            exchange, routing_key, body, properties=properties, mandatory=mandatory
        )

    async def settled(self) -> None:
        """Wait until the broker has routed all that was published here."""
        await self._call(self._channel.queue_declare, queue=self.server_id, passive=True)

    async def consumers(self, queue: str) -> int:
        """Return how many consume from a queue."""
        declared = await self._call(self._channel.queue_declare, queue=queue, passive=True)
        count: int = declared.method.consumer_count
        return count

    def ack(self, message: Seen) -> None:
        """Acknowledge a message of an inbox that wants it."""
        self._channel.basic_ack(message.delivery_tag)

    async def _call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        method(callback=done.set_result, **arguments)
        async with asyncio.timeout(GUARD_S):
            return await done
