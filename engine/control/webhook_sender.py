"""Sends what the queues of webhooks give out: so many at a time, payloads read ahead."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from engine.control.webhook_client import Answer, WebhookClient
from engine.control.webhook_hook import Hook
from engine.control.webhook_payload import Posting, posting
from engine.control.webhook_queue import Item
from engine.store.deliveries import Deliveries

MAX_ACTIVE = 256
"""Deliveries of all webhooks on their way at a time."""

_READ_AHEAD = 256

_log = logging.getLogger(__name__)


class Tasks:
    """Tasks that go on until they end by themselves or all are stopped."""

    def __init__(self) -> None:
        """Begin with none."""
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin one; a defect that ends it is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel all and wait until they are gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("webhooks: a task failed", exc_info=error)


class Sender:
    """Makes the attempts of all webhooks."""

    def __init__(
        self,
        node: str,
        deliveries: Deliveries,
        client: WebhookClient,
        tasks: Tasks,
        clock: Callable[[], float],
        ended: Callable[[Hook, Item, Answer, float], None],
    ) -> None:
        """Send as this node. `ended` is told of each attempt and how many seconds it took."""
        self._node = node
        self._deliveries = deliveries
        self._client = client
        self._tasks = tasks
        self._clock = clock
        self._ended = ended
        self._active = 0
        self._starved: dict[Hook, None] = {}

    def pump(self, hook: Hook) -> None:
        """Send what is due and may be sent; be back when something else is."""
        if hook.closed:
            return
        while self._active < MAX_ACTIVE:
            item = hook.queue.next(self._clock())
            if item is None:
                wake = hook.queue.wake_at()
                hook.wake_in(None if wake is None else wake - self._clock(), self.pump)
                break
            self._active += 1
            if item.payload:
                self._tasks.spawn(self._send(hook, item))
            else:
                hook.unread.append(item)
        else:
            self._starved[hook] = None
        if hook.unread and not hook.reading:
            hook.reading = True
            self._tasks.spawn(self._read_and_send(hook))

    async def _read_and_send(self, hook: Hook) -> None:
        """Fetch what the events say from the store, many at a time, then send."""
        while items := hook.unread:
            hook.unread = []
            # The oldest ones come next, most likely: one query for them all costs little more.
            oldest = islice(hook.queue.items.values(), _READ_AHEAD)
            wanted = [*items, *(item for item in oldest if item.stored and not item.payload)]
            sequences = {item.sequence for item in wanted}
            try:
                found = await self._deliveries.payloads(hook.key, sequences)
            except (SQLAlchemyError, OSError) as error:
                _log.error("webhook %s: deliveries not read, again in 1 s: %s", hook.key[1], error)
                found = None
            for item in wanted:
                item.payload = item.payload or (found or {}).get(item.sequence, b"")
            for item in items:
                self._go_on(hook, item, read=found is not None)
        hook.reading = False

    def _go_on(self, hook: Hook, item: Item, *, read: bool) -> None:
        """Send a delivery whose payload was asked for."""
        if item.payload and not hook.closed:
            self._tasks.spawn(self._send(hook, item))
            return
        if not hook.closed:
            if read:
                hook.queue.lost(item)
            else:
                hook.queue.postponed(item, self._clock())
        self._left(hook)

    async def _send(self, hook: Hook, item: Item) -> None:
        sent, began = self._posting(hook, item), time.monotonic()
        answer = await self._client.send(sent)
        self._ended(hook, item, answer, time.monotonic() - began)
        self._left(hook)

    def _posting(self, hook: Hook, item: Item) -> Posting:
        return posting(
            *(hook.webhook, hook.key[0], item.payload),
            event_id=item.event_id,
            attempt=item.attempts + 1,
            cluster_id=self._node,
            at=self._clock(),
        )

    def _left(self, hook: Hook) -> None:
        """Let others have the place of a delivery that is not on its way any more."""
        self._active -= 1
        self.pump(hook)
        while self._starved and self._active < MAX_ACTIVE:
            starved = next(iter(self._starved))
            del self._starved[starved]
            self.pump(starved)
