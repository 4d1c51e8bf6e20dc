"""One channel of a connection: calls answered in order, deliveries, returns, confirms."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from pamqp import commands
from pamqp.base import Frame as Method

from engine.control.amqp_confirms import Confirms, LinkDown
from engine.control.amqp_frames import (
    BODY,
    HEADER,
    Delivered,
    Message,
    Properties,
    is_return,
    read_ack,
    read_delivery,
    read_method,
    read_properties,
    write_ack,
    write_method,
    write_publish,
    write_reject,
)

MAX_BODY = 1024 * 1024
"""Longest body that is taken, bytes; of a longer one nothing is kept."""


class Wire(Protocol):
    """The connection that a channel is on."""

    frame_max: int

    def write(self, data: bytes) -> None:
        """Send bytes in a moment, behind what was written before."""
        ...


Receiver = Callable[["Channel", Delivered, Properties, bytes | None], None]
"""Takes a delivery; the body is None when it was longer than `MAX_BODY`."""


class Channel:
    """A channel that is open. A channel the broker closes takes its connection along."""

    def __init__(self, connection: Wire, number: int, receiver: Receiver) -> None:
        """Make it; `open` opens it."""
        self.number = number
        self.confirms = Confirms()
        self._connection = connection
        self._receiver = receiver
        self._calls: deque[asyncio.Future[Method]] = deque()
        self._returned: dict[str, Callable[[], None]] = {}
        self._delivered: Delivered | None = None
        self._properties = Properties(0)
        self._pieces: list[bytes] = []
        self._missing = 0

    async def open(self, *, confirmed: bool = False) -> None:
        """Open the channel, in confirm mode if wanted. Raises `LinkDown`."""
        await self.call(commands.Channel.Open())
        if confirmed:
            await self.call(commands.Confirm.Select())

    async def call(self, method: Method) -> Method:
        """Send a method and return its answer. Raises `LinkDown`."""
        waiting: asyncio.Future[Method] = asyncio.get_running_loop().create_future()
        self._calls.append(waiting)
        self._connection.write(write_method(method, self.number))
        return await waiting

    def publish(
        self,
        messages: Sequence[Message],
        *,
        mandatory: bool = False,
        on_returned: Callable[[], None] | None = None,
    ) -> None:
        """Send messages in order; `on_returned`: what to do when one comes back."""
        connection = self._connection
        for message in messages:
            frames = write_publish(message, self.number, connection.frame_max, mandatory=mandatory)
            connection.write(frames)
        self.confirms.sent(len(messages))
        if on_returned is not None:
            self._returned.update(dict.fromkeys((m.message_id for m in messages), on_returned))

    def ack(self, delivery_tag: int) -> None:
        """Acknowledge one delivery."""
        self._connection.write(write_ack(delivery_tag, self.number))

    def reject(self, delivery_tag: int, *, requeue: bool) -> None:
        """Reject one delivery: back into its queue, or away."""
        self._connection.write(write_reject(delivery_tag, self.number, requeue=requeue))

    def send(self, method: Method) -> None:
        """Send a method that has no answer, or none that anybody waits for."""
        self._connection.write(write_method(method, self.number))

    def fail(self, error: Exception) -> None:
        """Let everybody who waits for this channel have an error."""
        while self._calls:
            waiting = self._calls.popleft()
            if not waiting.done():
                waiting.set_exception(error)
        self.confirms.fail(error)

    # --- from the broker --------------------------------------------------------------------------

    def frame(self, kind: int, payload: bytes) -> None:
        """Take a frame. Raises `WireError`, and `LinkDown` when the broker closes the channel."""
        if kind == HEADER:
            self._properties = read_properties(payload)
            self._missing = self._properties.body_size
            if not self._missing:
                self._complete()
        elif kind == BODY:
            self._missing -= len(payload)
            if self._properties.body_size <= MAX_BODY:
                self._pieces.append(payload)
            if self._missing <= 0:
                self._complete()
        else:
            self._method(payload)

    def _method(self, payload: bytes) -> None:
        delivered = read_delivery(payload)
        if delivered is not None:
            self._delivered = delivered
            return
        ack = read_ack(payload)
        if ack is not None:
            self._confirmed(*ack)
            return
        if is_return(payload):
            self._delivered = None
            return
        method = read_method(payload)
        if isinstance(method, commands.Basic.Nack):
            # Whoever published it does so again, on a connection that works.
            raise LinkDown("the broker could not take a message")
        if isinstance(method, commands.Channel.Close):
            self.send(commands.Channel.CloseOk())
            raise LinkDown(f"the broker closed a channel: {method.reply_text}")
        if isinstance(method, commands.Basic.Cancel):
            raise LinkDown(f"the queue of {method.consumer_tag} is gone or was taken over")
        if isinstance(method, commands.Channel.Flow):
            self.send(commands.Channel.FlowOk(active=bool(method.active)))
        elif self._calls:
            waiting = self._calls.popleft()
            if not waiting.done():
                waiting.set_result(method)

    def _confirmed(self, tag: int, multiple: bool) -> None:
        confirmed = self.confirms.acked(tag, multiple=multiple)
        if self._returned:
            # A message comes back before it is confirmed.
            for taken in confirmed:
                self._returned.pop(str(taken), None)

    def _complete(self) -> None:
        properties, delivered = self._properties, self._delivered
        pieces, self._pieces = self._pieces, []
        if delivered is None:
            on_returned = self._returned.pop(properties.message_id, None)
            if on_returned is not None:
                on_returned()
            return
        body = b"".join(pieces) if properties.body_size <= MAX_BODY else None
        self._receiver(self, delivered, properties, body)
