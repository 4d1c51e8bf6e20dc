"""The engine's link to the broker: one connection that comes back, and what is declared on it.

Five kinds of traffic, each on a channel of its own so that none holds up another: confirmed
publishing, plain sending, sending that may come back, deliveries that need no acknowledgement, and
one channel for each queue whose deliveries do (its prefetch window is its queue inside the engine).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
from pamqp import commands

from engine.control.amqp_channel import Channel
from engine.control.amqp_confirms import LinkDown
from engine.control.amqp_connection import AmqpConnection
from engine.control.amqp_frames import Message
from engine.control.amqp_listeners import Handler, Listeners
from engine.control.amqp_url import parse_url
from engine.control.kapi import prepare, queue_name, reply_to
from engine.control.kazoo_keys import microseconds

EXCHANGES = {
    "targeted": "direct",
    "callctl": "direct",
    "callevt": "topic",
    "callmgr": "topic",
    "cdr": "topic",
    "nodes": "fanout",
}
"""Kazoo's exchanges that are used here, and their types; none is durable."""

MAX_WAITING = 8 * 1024 * 1024
"""Bytes that may wait for the broker to take them before `send` refuses more."""

MAX_RETURNABLE = 4096
"""Mandatory messages that may be without an answer of the broker before `send` refuses more."""

_FIRST_RETRY_S, _LAST_RETRY_S = 0.2, 5.0
_START_S = 5.0

_log = logging.getLogger(__name__)


class _Up:
    """What exists while the broker is there."""

    def __init__(self, connection: AmqpConnection) -> None:
        self.connection = connection
        self.publisher: Channel
        self.sender: Channel
        self.returnable: Channel

    @property
    def ready(self) -> bool:
        return not self.connection.blocked and not self.connection.lost.done()


class AmqpLink:
    """Publishes to the broker and listens to it, and comes back whenever it went away."""

    def __init__(self, url: str, node: str, *, prefetch: int = 64) -> None:
        """Prepare a link; `listen`, then `start`.

        `url`: see `parse_url`. `node`: this engine's `name@host`, in every message. `prefetch`:
        deliveries of one queue that may be without their acknowledgement. Raises `RequestInvalid`
        for the URL.
        """
        self.node = node
        self.reply_queue = queue_name("quickcall", node)
        """This node's own queue, bound to `targeted` by its name: the `Server-ID` we give."""
        self.published = 0
        """Messages that the broker has confirmed to `publish`."""
        self.returned = 0
        """Mandatory messages that came back because nobody listens."""
        self.unsent = 0
        """Messages that `send` could not send."""
        self.reconnects = 0
        """Connections after the first one."""
        self._broker = parse_url(url)
        self._listeners = Listeners(prefetch)
        self._up: _Up | None = None
        self._came_up = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- life -------------------------------------------------------------------------------------

    def listen(
        self,
        queue: str,
        bindings: Sequence[tuple[str, str]],
        handler: Handler,
        *,
        shared: bool = False,
        ack: bool = False,
    ) -> None:
        """Have `handler` called with every delivery of a queue; to be said before `start`.

        `bindings`: exchange and routing key, where a message must come from to get into the queue.
        `shared`: others consume from it too, each message goes to one of them; else the queue is
        this node's alone. `ack`: the handler settles each delivery itself, and what it has not
        settled when the engine dies is delivered again. `reply_queue` may be listened to like any
        other; its binding to `targeted` is made anyway. The queue is declared as Kazoo does
        (transient, deleted after its last consumer), again at every reconnect. Raises `ValueError`
        for a name that no queue may have; `kapi.queue_name` makes good ones.
        """
        if queue == self.reply_queue:
            bindings = [*bindings, ("targeted", queue)]
        self._listeners.add(queue, bindings, handler, shared=shared, ack=ack)

    def bind(self, queue: str, bindings: Sequence[tuple[str, str]]) -> None:
        """Let more messages into a queue that is listened to, now and after a reconnect."""
        self._listeners.bind(queue, bindings)

    def stop_listening(self, queue: str) -> None:
        """Take no more deliveries of a queue, now and after a reconnect, so that others get them.

        What was delivered before may still be handed to its handler.
        """
        self._listeners.stop(queue)

    def listen_again(self, queue: str) -> None:
        """Take back `stop_listening`."""
        self._listeners.resume(queue)

    async def start(self) -> None:
        """Connect and listen; returns without the broker when it is away, and goes on trying."""
        self._task = asyncio.create_task(self._run())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), _START_S)

    async def stop(self) -> None:
        """Leave the broker. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})

    @property
    def connected(self) -> bool:
        """Whether the broker is there and takes messages; one that blocks counts as away."""
        return self._up is not None and self._up.ready

    @property
    def refused(self) -> int:
        """Deliveries that were too long or whose handler failed."""
        return self._listeners.refused

    @property
    def unconfirmed(self) -> int:
        """Messages given to `publish` that the broker has not confirmed."""
        return self._up.publisher.confirms.unconfirmed if self._up is not None else 0

    async def wait_connected(self) -> None:
        """Wait until the broker is there and takes messages."""
        while not self.connected:
            self._came_up.clear()
            await self._came_up.wait()

    # --- out --------------------------------------------------------------------------------------

    def send(
        self,
        exchange: str,
        routing_key: str,
        payload: Mapping[str, object],
        *,
        mandatory: bool = False,
        on_returned: Callable[[], None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """Send a reply, query or command and wait for nothing; true when it is on its way.

        The envelope is filled in (`kapi.prepare`). `mandatory`: it comes back, and `on_returned` is
        called, when nobody listens. False, and counted, when there is no broker or it is slow.
        """
        up = self._up
        if up is None or not up.ready or up.connection.waiting > MAX_WAITING:
            self.unsent += 1
            return False
        body = msgspec.json.encode(prepare(payload, self.node))
        now = microseconds(time.time())
        if not mandatory:
            message = Message(exchange, routing_key, body, "", now, headers or {})
            up.sender.publish([message])
            return True
        channel = up.returnable
        if channel.confirms.unconfirmed >= MAX_RETURNABLE:
            self.unsent += 1
            return False
        # The name under which the channel knows it when it comes back: its delivery tag.
        name = str(channel.confirms.sent(0) + 1)
        message = Message(exchange, routing_key, body, name, now, headers or {})
        channel.publish([message], mandatory=True, on_returned=self._counted(on_returned))
        return True

    def taken(self) -> asyncio.Future[None]:
        """Return what is done when the broker has taken all mandatory messages sent until now.

        It has the exception `LinkDown` when the broker goes away before, or is away.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._up is None:
            future.set_exception(LinkDown("no broker"))
        else:
            self._up.returnable.confirms.when_all(future)
        return future

    def reply(self, request: Mapping[str, object], payload: Mapping[str, object]) -> bool:
        """Answer a request at its `Server-ID`, with its `Msg-ID`; silent (false) without one."""
        to = reply_to(request)
        if to is None:
            return False
        answer = {**payload, "Msg-ID": request.get("Msg-ID", "")}
        return self.send("targeted", to.queue, answer, headers=to.headers)

    async def deliver(self, exchange: str, routing_key: str, payload: Mapping[str, object]) -> bool:
        """Send a message and wait until it is in a queue: true; false: nobody listens.

        Raises `LinkDown` when that cannot be known.
        """
        nobody: list[bool] = []
        sent = self.send(
            *(exchange, routing_key, payload),
            mandatory=True,
            on_returned=lambda: nobody.append(True),
        )
        up = self._up
        if not sent or up is None:
            raise LinkDown("no broker")
        # A message comes back before it is confirmed.
        await self._confirmed(up.returnable)
        return not nobody

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish messages in order and wait until the broker has confirmed all of them.

        Raises `LinkDown` when there is no broker, it blocks, or it goes away meanwhile: then some
        may have been published, and all are to be published again, with the same ids.
        """
        up = self._up
        if up is None or not up.ready:
            raise LinkDown("no broker" if up is None else "the broker takes no messages")
        up.publisher.publish(messages)
        await self._confirmed(up.publisher)
        self.published += len(messages)

    @staticmethod
    async def _confirmed(channel: Channel) -> None:
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        channel.confirms.when_all(confirmed)
        await confirmed

    def _counted(self, on_returned: Callable[[], None] | None) -> Callable[[], None]:
        def returned() -> None:
            self.returned += 1
            if on_returned is not None:
                on_returned()

        return returned

    # --- the connection ---------------------------------------------------------------------------

    async def _run(self) -> None:
        wait, told = _FIRST_RETRY_S, ""
        while True:
            try:
                connection = await AmqpConnection.opened(self._broker, self.node, self._came_up.set)
                try:
                    async with asyncio.timeout(_LAST_RETRY_S * 2):
                        up = await self._declare(connection)
                    self._up, wait = up, _FIRST_RETRY_S
                    _log.info("connected to the broker %s", self._broker.address)
                    self._came_up.set()
                    self._tried.set()
                    error = await asyncio.shield(connection.lost)
                finally:
                    self._up = None
                    await connection.close()
                self.reconnects += 1
                told = ""
            except (LinkDown, TimeoutError) as down:
                error = down
            except Exception as surprise:
                # A link that gave up would leave the engine deaf for the rest of its life.
                _log.exception("the link to the broker broke")
                error = surprise
            self._tried.set()
            # Said once, not at every attempt.
            if str(error) != told:
                told = str(error)
                _log.warning("no broker: %s", told or "it does not answer")
            # Half to all of the wait, so that engines do not come back in step.
            await asyncio.sleep(wait * (0.5 + secrets.randbelow(500) / 1000))
            wait = min(wait * 2, _LAST_RETRY_S)

    async def _declare(self, connection: AmqpConnection) -> _Up:
        """Open the channels and declare everything. Raises `LinkDown`."""
        up = _Up(connection)
        up.publisher = await connection.channel(self._listeners.receive, confirmed=True)
        up.sender = await connection.channel(self._listeners.receive)
        up.returnable = await connection.channel(self._listeners.receive, confirmed=True)
        for exchange, kind in EXCHANGES.items():
            await up.sender.call(commands.Exchange.Declare(exchange=exchange, exchange_type=kind))
        await self._listeners.declare(connection)
        return up
