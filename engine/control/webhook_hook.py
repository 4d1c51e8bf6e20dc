"""A webhook at work: its document, its queue, its timer; and up to where all events are done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from engine.control.webhook_queue import HookQueue, Item
from engine.store.deliveries import StoredDelivery
from engine.store.webhooks import Webhook

HookKey = tuple[str, str]
"""Account id and id of a webhook."""


class Hook:
    """One enabled webhook."""

    def __init__(self, key: HookKey, webhook: Webhook, max_waiting: int, since: int) -> None:
        """Make one that has nothing to deliver; it gets the events after the sequence `since`."""
        self.key = key
        self.webhook = webhook
        self.since = since
        self.queue = HookQueue(max_waiting)
        self.dead = 0
        """Deliveries that were given up and are kept."""
        self.overflowing = False
        """Whether the last delivery took the place of an older one."""
        self.unread: list[Item] = []
        """Deliveries to send as soon as their payload was read from the store."""
        self.reading = False
        """Whether a task reads them."""
        self.closed = False
        """Whether it was disabled or deleted, and its deliveries do not count any more."""
        self._timer: asyncio.TimerHandle | None = None

    def wake_in(self, seconds: float | None, wake: Callable[[Hook], None]) -> None:
        """Call `wake` after so many seconds, and not at the time set before; None: not at all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(seconds, 0.0), wake, self)

    def close(self) -> None:
        """Let nothing of it go on."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Watermark:
    """Up to which event every delivery is made or stored."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self.taken = 0
        """Sequence of the last event that was looked at."""
        self.moved = asyncio.Event()
        """Set when `reached` may have changed."""
        self._count: dict[int, int] = {}
        self._order: deque[int] = deque()

    @property
    def open(self) -> int:
        """Events with deliveries that are neither made nor stored."""
        return len(self._count)

    def begin(self, sequence: int) -> None:
        """Note one more delivery of an event, which is not older than those before."""
        if sequence not in self._count:
            self._order.append(sequence)
        self._count[sequence] = self._count.get(sequence, 0) + 1

    def end(self, sequence: int) -> None:
        """Note that a delivery of an event is made or stored."""
        self._count[sequence] -= 1
        if not self._count[sequence]:
            del self._count[sequence]

    def reached(self) -> int:
        """Return the last event up to which everything is made or stored."""
        while self._order and self._order[0] not in self._count:
            self._order.popleft()
        return self._order[0] - 1 if self._order else self.taken


def item_of(row: StoredDelivery) -> Item:
    """Return a stored delivery as the queue has it."""
    return Item(
        *(row.sequence, row.event_id, row.lane, row.name, row.at, row.since),
        stored=True,
        attempts=row.attempts,
        tried_at=row.tried_at,
        status=row.status,
        error=row.error,
    )


def row_of(key: HookKey, item: Item, *, dead: bool) -> StoredDelivery:
    """Return a delivery as the store has it; its payload must be in memory."""
    return StoredDelivery(
        *(*key, item.sequence, item.event_id, item.lane, item.name, item.at, item.since),
        *(item.attempts, item.tried_at, int(dead), item.status, item.error, item.payload),
    )
