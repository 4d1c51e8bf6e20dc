"""A connection to the broker: opening, heartbeats, frames to and from channels.

An `asyncio.Protocol`, so that what arrives is handled at once and without a task of its own. What
is written alone leaves at the end of the turn of the event loop; what a busy engine writes leaves
together, every few milliseconds, for a fraction of the CPU of as many writes.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import TypeVar, cast

from pamqp import commands
from pamqp.base import Frame as Method
from pamqp.common import FieldTable

from engine.control.amqp_channel import Channel, Receiver
from engine.control.amqp_confirms import LinkDown
from engine.control.amqp_frames import (
    HEARTBEAT,
    HEARTBEAT_FRAME,
    METHOD,
    WireError,
    read_method,
    split,
    write_method,
)
from engine.control.amqp_url import Broker

HEARTBEAT_S = 10
"""Seconds between signs of life; a broker silent for two and a half times that is gone."""

OPEN_S = 10.0
"""Seconds within which a connection must be open."""

FRAME_MAX = 131_072
"""Largest frame that is taken, bytes; RabbitMQ's default."""

GATHER_S = 0.002
"""Shortest time between two writes to the broker, seconds."""

_PROTOCOL = b"AMQP\x00\x00\x09\x01"
_CAPABILITIES = (
    "publisher_confirms",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "authentication_failure_close",
)

_log = logging.getLogger(__name__)

M = TypeVar("M", bound=Method)


class AmqpConnection(asyncio.Protocol):
    """One connection; `opened` makes it."""

    def __init__(self, on_unblocked: Callable[[], None]) -> None:
        """Make a connection that is not open; see `opened`."""
        self._on_unblocked = on_unblocked
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[Exception] = self._loop.create_future()
        """Has a result, the reason, when the connection is over."""
        self.frame_max = FRAME_MAX
        self.blocked = False
        """Whether the broker takes no messages now: it is out of memory or of disk."""
        self._transport: asyncio.Transport | None = None
        self._channels: dict[int, Channel] = {}
        self._answers: asyncio.Queue[Method | Exception] = asyncio.Queue()
        self._buffer = bytearray()
        self._out = bytearray()
        self._written = 0.0
        self._heard = self._loop.time()
        self._pulse: asyncio.TimerHandle | None = None
        self._closing = False

    @classmethod
    async def opened(
        cls, broker: Broker, name: str, on_unblocked: Callable[[], None]
    ) -> AmqpConnection:
        """Return a connection that is open. Raises `LinkDown`, also for a refused password.

        `name`: what the broker's operator sees. `on_unblocked`: called when the broker takes
        messages again.
        """
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context() if broker.tls else None
        try:
            async with asyncio.timeout(OPEN_S):
                _, connection = await loop.create_connection(
                    lambda: cls(on_unblocked), broker.host, broker.port, ssl=context
                )
                try:
                    await connection._shake_hands(broker, name)
                except BaseException:
                    connection.abort("not opened")
                    raise
        except (OSError, TimeoutError) as error:
            raise LinkDown(f"{broker.address}: {str(error) or 'no answer'}") from error
        return connection

    async def channel(self, receiver: Receiver, *, confirmed: bool = False) -> Channel:
        """Open another channel. Raises `LinkDown`."""
        number = len(self._channels) + 1
        channel = self._channels[number] = Channel(self, number, receiver)
        await channel.open(confirmed=confirmed)
        return channel

    def write(self, data: bytes) -> None:
        """Send bytes in a moment: after this turn of the loop, and `GATHER_S` after the last write.

        Nothing is sent once it is closed.
        """
        if not self._out:
            self._loop.call_at(self._written + GATHER_S, self._flush)
        self._out += data

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        transport = self._transport
        held = transport.get_write_buffer_size() if transport is not None else 0
        return held + len(self._out)

    async def close(self) -> None:
        """Say good-bye and wait a second for the answer. Idempotent."""
        if not self.lost.done():
            self._closing = True
            self.write(write_method(commands.Connection.Close(200, "bye", 0, 0), 0))
            await asyncio.wait({self.lost}, timeout=1.0)
            self.abort("closed")

    def abort(self, why: str) -> None:
        """End it at once. Idempotent."""
        self._end(LinkDown(why))

    # --- opening ----------------------------------------------------------------------------------

    async def _shake_hands(self, broker: Broker, name: str) -> None:
        self.write(_PROTOCOL)
        await self._answer(commands.Connection.Start)
        capabilities: FieldTable = dict.fromkeys(_CAPABILITIES, True)
        start = commands.Connection.StartOk(
            {"product": "quickcall", "connection_name": name, "capabilities": capabilities},
            "PLAIN",
            f"\0{broker.user}\0{broker.password}",
            "en_US",
        )
        self.write(write_method(start, 0))
        tune = await self._answer(commands.Connection.Tune)
        if tune.frame_max:
            self.frame_max = min(FRAME_MAX, tune.frame_max)
        answer = commands.Connection.TuneOk(tune.channel_max, self.frame_max, HEARTBEAT_S)
        self.write(write_method(answer, 0))
        self.write(write_method(commands.Connection.Open(broker.vhost), 0))
        await self._answer(commands.Connection.OpenOk)
        self._beat()

    async def _answer(self, kind: type[M]) -> M:
        method = await self._answers.get()
        if isinstance(method, Exception):
            raise method
        if not isinstance(method, kind):
            raise LinkDown(f"the broker said {method.name}, not {kind.name}")
        return method

    def _beat(self) -> None:
        if self._loop.time() - self._heard > 2.5 * HEARTBEAT_S:
            self.abort("the broker is silent")
            return
        self.write(HEARTBEAT_FRAME)
        self._pulse = self._loop.call_later(HEARTBEAT_S / 2, self._beat)

    # --- asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        # Made before its transport: what was written already waits.
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Handle every whole frame; what is not AMQP ends the connection."""
        self._heard = self._loop.time()
        self._buffer += data
        try:
            for kind, number, payload in split(self._buffer, self.frame_max):
                self._frame(kind, number, payload)
        except (WireError, LinkDown) as error:
            self._end(error)

    def connection_lost(self, error: Exception | None) -> None:
        """Let everybody know."""
        self._end(LinkDown(f"the connection to the broker is gone: {error or 'closed by it'}"))

    def _frame(self, kind: int, number: int, payload: bytes) -> None:
        if kind == HEARTBEAT:
            return
        if number:
            channel = self._channels.get(number)
            if channel is None:
                raise WireError(f"a frame for channel {number}, which is not open")
            channel.frame(kind, payload)
        elif kind == METHOD:
            self._connection_method(read_method(payload))

    def _connection_method(self, method: Method) -> None:
        if isinstance(method, commands.Connection.Close):
            self.write(write_method(commands.Connection.CloseOk(), 0))
            self._flush()
            raise LinkDown(f"the broker closed the connection: {method.reply_text}")
        if isinstance(method, commands.Connection.CloseOk):
            raise LinkDown("closed")
        if isinstance(method, commands.Connection.Blocked):
            self.blocked = True
            _log.warning("the broker takes no messages: %s", method.reason)
        elif isinstance(method, commands.Connection.Unblocked):
            self.blocked = False
            _log.info("the broker takes messages again")
            self._on_unblocked()
        else:
            self._answers.put_nowait(method)

    def _flush(self) -> None:
        out, self._out = self._out, bytearray()
        if out and self._transport is not None and not self._transport.is_closing():
            self._written = self._loop.time()
            self._transport.write(out)

    def _end(self, error: Exception) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
        if self._transport is not None:
            # What the broker has not taken until now is not waited for.
            if isinstance(error, LinkDown) and not self._closing:
                self._transport.abort()
            else:
                self._transport.close()
        if self.lost.done():
            return
        self.lost.set_result(error)
        down = error if isinstance(error, LinkDown) else LinkDown(str(error))
        self._answers.put_nowait(down)
        for channel in self._channels.values():
            channel.fail(down)
