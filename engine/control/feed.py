"""The live event stream: numbered once, kept for a while, fanned out to bounded queues.

One publisher, many readers, one thread (the event loop). Publishing never waits: a reader that does
not keep up is cut off with `SlowConsumer` and may come back with the last sequence it saw.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice

import msgspec

from engine.control.kazoo_keys import snake_case
from engine.core.errors import EngineError

RING_SIZE = 4096
"""Events kept for readers that resume."""

QUEUE_SIZE = 1024
"""Events that may wait for one reader."""


class SlowConsumer(EngineError):
    """A reader did not take its events in time and was cut off."""

    def __init__(self, limit: int, last_sequence: int) -> None:
        """Name the queue's bound and the last event that was queued."""
        super().__init__(
            f"slow consumer: {limit} events waited; resume from {last_sequence} at most"
        )
        self.limit = limit
        self.last_sequence = last_sequence


class ResumeTooOld(EngineError):
    """Events after the sequence asked for are no longer in memory; the journal may have them."""

    def __init__(self, resume_from: int, oldest: int) -> None:
        """Name the sequence asked for and the oldest one that is kept."""
        super().__init__(
            f"resume_from {resume_from} is too old: the oldest event in memory is {oldest}"
        )
        self.resume_from = resume_from
        self.oldest = oldest


class ResumeAhead(EngineError):
    """The sequence asked for has not happened yet: it is from another engine or another store."""

    def __init__(self, resume_from: int, last: int) -> None:
        """Name the sequence asked for and the newest one there is."""
        super().__init__(
            f"resume_from {resume_from} is ahead of the stream: the newest event is {last}"
        )
        self.resume_from = resume_from
        self.last = last


class FeedEvent(msgspec.Struct, frozen=True, eq=False):
    """One published event."""

    sequence: int
    """Position in the stream of this engine, counted over restarts."""
    name: str
    """Kazoo event name, or `QUICKCALL_END`."""
    account_id: str
    call_id: str
    """Call-ID of the leg; of the winning leg for `QUICKCALL_END`, empty when there was none."""
    at: float
    """Seconds since the Unix epoch."""
    payload: dict[str, object]
    """Kazoo's fields in Header-Case, as on its AMQP bus. Not to be changed."""
    _json: bytes = b""
    _public: bytes = b""

    def event_id(self, node: str) -> str:
        """Return the id that this event has on every feed, however often it is told.

        The two events that end something are named by what they end, so that they have one id
        whoever tells them: the engine, the engine after a crash, or another node for a dead one.
        """
        payload = self.payload
        if self.name == "CHANNEL_DESTROY":
            return f"{self.call_id}.{payload.get('Channel-Created-Time', 0)}.destroy"
        if self.name == "QUICKCALL_END":
            return f"{payload.get('Msg-ID', '')}.{node}.end"
        return f"{self.sequence}.{node}"

    def json(self) -> bytes:
        """Return the payload as JSON in Header-Case; encoded once."""
        if not self._json:
            msgspec.structs.force_setattr(self, "_json", msgspec.json.encode(self.payload))
        return self._json

    def public_json(self) -> bytes:
        """Return the payload as JSON in snake_case, as WebSocket clients get it; encoded once."""
        if not self._public:
            encoded = msgspec.json.encode(snake_case(self.payload))
            msgspec.structs.force_setattr(self, "_public", encoded)
        return self._public


class EventFilter(msgspec.Struct, frozen=True):
    """Which events a reader wants; None means any."""

    account_id: str | None = None
    events: frozenset[str] | None = None
    call_id: str | None = None

    def matches(self, event: FeedEvent) -> bool:
        """True when the event is wanted."""
        return (
            (self.account_id is None or self.account_id == event.account_id)
            and (self.events is None or event.name in self.events)
            and (self.call_id is None or self.call_id == event.call_id)
        )


class Feed:
    """The stream of one engine."""

    def __init__(self, last_sequence: int = 0, ring_size: int = RING_SIZE) -> None:
        """Continue after `last_sequence` (from the journal); keep `ring_size` events in memory."""
        self._sequence = last_sequence
        self._ring: deque[FeedEvent] = deque(maxlen=ring_size)
        self._readers: dict[str | None, dict[Subscription, None]] = {}

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest event, or what the stream started after."""
        return self._sequence

    @property
    def oldest(self) -> int:
        """Sequence of the oldest event in memory; the next one to come when there is none."""
        return self._ring[0].sequence if self._ring else self._sequence + 1

    @property
    def readers(self) -> int:
        """Number of open subscriptions."""
        return len({reader for group in self._readers.values() for reader in group})

    def publish(
        self, account_id: str, call_id: str, name: str, payload: dict[str, object], at: float
    ) -> FeedEvent:
        """Number an event, keep it and give it to every reader that wants it. Never waits."""
        self._sequence += 1
        event = FeedEvent(self._sequence, name, account_id, call_id, at, payload)
        self._ring.append(event)
        if self._readers:
            self._fan_out(event)
        return event

    def _fan_out(self, event: FeedEvent) -> None:
        own = self._readers.get(event.account_id, ())
        for reader in tuple(own):
            reader._offer(event)
        for reader in tuple(self._readers.get(None, ())):
            if reader not in own:
                reader._offer(event)

    def subscribe(
        self,
        account_id: str | None = None,
        events: frozenset[str] | None = None,
        call_id: str | None = None,
        resume_from: int | None = None,
        queue_size: int = QUEUE_SIZE,
    ) -> Subscription:
        """Open a subscription; iterate over it, and `close()` it or use it as a context manager.

        `resume_from`: the last sequence the reader has seen; later events that are still in memory
        come first. `queue_size`: events that may wait before the reader is cut off. Raises
        `ResumeTooOld`, `ResumeAhead`.
        """
        subscription = Subscription(self, queue_size)
        subscription.add(EventFilter(account_id, events, call_id), resume_from=resume_from)
        return subscription

    def since(self, resume_from: int) -> list[FeedEvent]:
        """Return the events after a sequence. Raises `ResumeTooOld`, `ResumeAhead`."""
        if resume_from > self._sequence:
            raise ResumeAhead(resume_from, self._sequence)
        if resume_from < self.oldest - 1:
            raise ResumeTooOld(resume_from, self.oldest)
        # From the new end: what a reader missed is short, what it has seen is the rest of the ring.
        missed = list(islice(reversed(self._ring), self._sequence - resume_from))
        missed.reverse()
        return missed

    def _watch(self, reader: Subscription, account_id: str | None) -> None:
        self._readers.setdefault(account_id, {})[reader] = None

    def _unwatch(self, reader: Subscription, account_id: str | None) -> None:
        group = self._readers.get(account_id, {})
        group.pop(reader, None)
        if not group:
            self._readers.pop(account_id, None)


class Subscription:
    """One reader's queue: an asynchronous iterator of `FeedEvent`, in the order of their sequence.

    Several filters may share it, so that a session with many bindings sees one ordered stream.
    """

    def __init__(self, feed: Feed, queue_size: int = QUEUE_SIZE) -> None:
        """Make a reader that wants nothing yet; at most `queue_size` events may wait for it."""
        self._feed = feed
        self._limit = queue_size
        self._queue: deque[FeedEvent] = deque()
        self._ready = asyncio.Event()
        self._over = asyncio.Event()
        self._filters: list[EventFilter] = []
        self._closed = False
        self._cut: SlowConsumer | None = None

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """What this reader wants now."""
        return tuple(self._filters)

    @property
    def slow(self) -> bool:
        """True when the reader was cut off."""
        return self._cut is not None

    @property
    def waiting(self) -> int:
        """Number of events that wait to be read."""
        return len(self._queue)

    def add(self, *filters: EventFilter, resume_from: int | None = None) -> None:
        """Want the events of these filters too; see `Feed.subscribe` for `resume_from`.

        Events already queued stay in front: to resume several filters in order, add them together.
        """
        if resume_from is not None:
            missed = [
                e for e in self._feed.since(resume_from) if any(f.matches(e) for f in filters)
            ]
            # A replay is bounded by the ring; the reader keeps its whole queue for what comes next.
            self._limit += len(missed)
            self._queue.extend(missed)
            self._ready.set()
        for wanted in filters:
            if wanted not in self._filters:
                self._filters.append(wanted)
                self._feed._watch(self, wanted.account_id)

    def remove(self, unwanted: EventFilter) -> None:
        """Stop wanting the events of a filter; unknown ones are ignored."""
        if unwanted in self._filters:
            self._filters.remove(unwanted)
            if all(f.account_id != unwanted.account_id for f in self._filters):
                self._feed._unwatch(self, unwanted.account_id)

    def close(self) -> None:
        """Stop the subscription; an iteration that waits ends. Idempotent."""
        self._closed = True
        self._leave()
        self._queue.clear()
        self._ready.set()
        self._over.set()

    async def wait_cut(self) -> SlowConsumer | None:
        """Wait until the reader is cut off (returns why) or closed (returns None)."""
        await self._over.wait()
        return self._cut

    async def ready(self) -> bool:
        """Wait until events wait, the reader was cut off, or `wake` was called; False when closed.

        For who takes many at once, with `take`, instead of iterating.
        """
        if not self._queue:
            await self._ready.wait()
        self._ready.clear()
        return not self._closed

    def wake(self) -> None:
        """Let `ready` return, events or not."""
        self._ready.set()

    def take(self, most: int) -> list[FeedEvent]:
        """Return the oldest events that wait, at most so many, and none that are still to come."""
        return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def _leave(self) -> None:
        for wanted in self._filters:
            self._feed._unwatch(self, wanted.account_id)
        self._filters.clear()

    def _offer(self, event: FeedEvent) -> None:
        for wanted in self._filters:
            if wanted.matches(event):
                break
        else:
            return
        if len(self._queue) >= self._limit:
            self._cut = SlowConsumer(self._limit, self._queue[-1].sequence)
            self._leave()
            self._over.set()
        else:
            self._queue.append(event)
        self._ready.set()

    def __aiter__(self) -> Subscription:
        """Iterate over the events."""
        return self

    async def __anext__(self) -> FeedEvent:
        """Return the next event; raise `SlowConsumer` after the last one before the cut."""
        while not self._queue:
            if self._cut is not None:
                raise self._cut
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._queue.popleft()

    def __enter__(self) -> Subscription:
        """Return the subscription."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
