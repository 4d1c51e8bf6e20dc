"""Every event of the engine to the bus: in order, confirmed, over outages of either side.

An event is done with when the broker has confirmed it. Until then it stays in the outbox, which
survives the engine; so with the broker away nothing is dropped, and what is published twice,
because broker or engine died between an event and its confirm, has the same message id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from engine.control.amqp_confirms import LinkDown
from engine.control.amqp_frames import Message
from engine.control.amqp_link import AmqpLink
from engine.control.kapi_events import messages_of
from engine.control.outbox import Outbox

FLUSH_S = 5.0
"""Longest wait for the broker to confirm the last events when the engine closes."""

_PAUSE_S = 1.0
_BATCH = 256

_GATHER_S = 0.005
"""Seconds from one confirmed batch to the next: an event alone goes at once, those of a busy engine
go together, for a fraction of the CPU."""

_log = logging.getLogger(__name__)


class AmqpEvents:
    """Publishes what an outbox holds."""

    def __init__(self, link: AmqpLink, outbox: Outbox, node: str) -> None:
        """Publish over `link`, as the events of `node`."""
        self.published = 0
        """Events that the broker has confirmed, those that were published twice counted twice."""
        self._link = link
        self._outbox = outbox
        self._node = node
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def lag(self) -> int:
        """Events that are not confirmed."""
        return self._outbox.lag

    def start(self) -> None:
        """Begin to publish."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Wait until the last event is confirmed, while the broker is there, and stop. Idempotent.

        What is left is published when the engine is started again.
        """
        task, self._task = self._task, None
        if task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                while self._outbox.lag and self._link.connected and not task.done():
                    self._moved.clear()
                    await self._moved.wait()
        task.cancel()
        await asyncio.wait({task})
        self._outbox.close()
        if self._outbox.lag:
            _log.warning("%d events wait for the broker", self._outbox.lag)

    async def _run(self) -> None:
        while True:
            try:
                events = await self._outbox.batch(_BATCH)
                await self._publish(messages_of(events, self._node))
            except Exception:
                # Events that cannot be published would keep back all others for ever.
                _log.exception("events could not be published")
                await asyncio.sleep(_PAUSE_S)
                continue
            self.published += len(events)
            self._outbox.done(events[-1].sequence)
            self._moved.set()
            if len(events) < _BATCH:
                await asyncio.sleep(_GATHER_S)

    async def _publish(self, messages: list[Message]) -> None:
        while True:
            try:
                await self._link.publish(messages)
            except LinkDown:
                self._moved.set()
                await self._link.wait_connected()
            else:
                return
