"""From the feed to many sockets: an event is made into a frame once for each binding that wants it.

Sessions that want the same share a topic. A topic has one line of frames, and each session a place
in it, so a thousand sessions that are behind cost no more memory than one. Publishing an event
costs one append however many listen: one task takes the events from there to the topics and the
topics' frames to the sockets, a few at a time, so that calls go on in between. A socket that is
full is left alone until it can take more; when `MAX_WAITING` frames wait for it, it is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

from engine.control.feed import EventFilter, Feed, FeedEvent, Subscription
from engine.control.websocket_frames import Binding, event_frame
from engine.control.websocket_link import text_frame

MAX_WAITING = 1024
"""Frames that may wait for one session."""

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Bytes of frames that may wait in one topic."""

QUEUE_SIZE = 65_536
"""Events that may wait for the task that takes them to the topics."""

ROUTED_AT_ONCE = 256
"""Events taken to the topics before the sockets get theirs."""

WRITTEN_AT_ONCE = 64
"""Frames in one write to a socket, and writes before other work of the loop has its turn."""


class Stream(Protocol):
    """Where the events come from: an engine."""

    node: str
    """`name@host`, part of the events' ids."""
    feed: Feed
    """Looked for when somebody listens: an engine that is not open has none."""


class Listener(Protocol):
    """A session, as the broadcast sees it."""

    @property
    def full(self) -> bool:
        """Whether nothing should be written to it now."""
        ...

    def write_frames(self, frames: bytes) -> None:
        """Take frames. Never waits."""
        ...

    def cut_off(self, waiting: int, last_sequence: int) -> None:
        """End: so many frames waited, and no event after this one was handed over."""
        ...


class _Topic:
    """What sessions with the same bindings are sent."""

    def __init__(self, bindings: tuple[Binding, ...]) -> None:
        self.wanted = [(binding, binding.filter) for binding in bindings]
        self.places: dict[Listener, int] = {}
        """Of each session the number of the next frame."""
        self.end = 0
        """Number of the frame to come."""
        self._line: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._joined: tuple[int, bytes] | None = None
        """What was written last and from which place: most sessions are at the same one."""

    @property
    def first(self) -> int:
        """Number of the oldest frame that is kept."""
        return self.end - len(self._line)

    @property
    def overfull(self) -> bool:
        return len(self._line) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES

    def handed_over(self, listener: Listener, newest: int) -> int:
        """Return the sequence up to which a session has had its events, at most `newest`."""
        place = self.places[listener]
        return newest if place == self.end else self._line[place - self.first][0] - 1

    def append(self, sequence: int, frame: bytes) -> None:
        self._line.append((sequence, frame))
        self._bytes += len(frame)
        self.end += 1
        self._joined = None

    def serve(self, listener: Listener) -> bool:
        """Write some frames to a session; tells whether it could take more that there are."""
        place = self.places[listener]
        if self._joined is None or self._joined[0] != place:
            start = place - self.first
            some = islice(self._line, start, start + WRITTEN_AT_ONCE)
            self._joined = place, b"".join(frame for _, frame in some)
        listener.write_frames(self._joined[1])
        self.places[listener] = min(place + WRITTEN_AT_ONCE, self.end)
        return self.places[listener] < self.end and not listener.full

    def serve_all(self, listener: Listener) -> None:
        """Write every frame that waits for a session, full or not."""
        while self.places[listener] < self.end:
            self.serve(listener)

    def trim(self) -> None:
        """Forget the frames that every session has."""
        taken = min(self.places.values(), default=self.end)
        while self.first < taken:
            _, frame = self._line.popleft()
            self._bytes -= len(frame)
            self._joined = None


class Broadcast:
    """The sessions of one engine."""

    def __init__(self, stream: Stream) -> None:
        """Take events from the feed of an engine while somebody listens."""
        self._stream = stream
        self._topics: dict[tuple[Binding, ...], _Topic] = {}
        self._index: dict[tuple[str | None, str | None], dict[_Topic, None]] = {}
        self._topic_of: dict[Listener, tuple[Binding, ...]] = {}
        self._behind: dict[_Topic, None] = {}
        self._awake: dict[Listener, None] = {}
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def sessions(self) -> int:
        """Sessions that want something."""
        return len(self._topic_of)

    def join(self, listener: Listener, bindings: Sequence[Binding]) -> int:
        """Let a session have the events of these bindings, and no others, from now on.

        What it wanted before and has not got yet is written first. Returns the sequence of the last
        event before that. Without bindings the session leaves.
        """
        self.settle(listener)
        self.leave(listener)
        if bindings:
            key = tuple(bindings)
            topic = self._topics.get(key)
            if topic is None:
                topic = self._topics[key] = _Topic(key)
                for place in _places(topic.wanted):
                    self._index.setdefault(place, {})[topic] = None
            topic.places[listener] = topic.end
            self._topic_of[listener] = key
            if self._task is None:
                self._start()
        return self._stream.feed.last_sequence

    def settle(self, listener: Listener) -> None:
        """Write to a session all that it is to have of what was published until now."""
        self._route(self._take())
        key = self._topic_of.get(listener)
        if key is not None:
            self._topics[key].serve_all(listener)

    def leave(self, listener: Listener) -> None:
        """Forget a session. Idempotent."""
        self._awake.pop(listener, None)
        key = self._topic_of.pop(listener, None)
        if key is None:
            return
        topic = self._topics[key]
        del topic.places[listener]
        if not topic.places:
            del self._topics[key]
            self._behind.pop(topic, None)
            for place in _places(topic.wanted):
                topics = self._index[place]
                del topics[topic]
                if not topics:
                    del self._index[place]
        if not self._topic_of:
            self._stop()

    def wake(self, listener: Listener) -> None:
        """Note that a session which was full can take more."""
        if listener in self._topic_of:
            self._awake[listener] = None
            if self._subscription is not None:
                self._subscription.wake()

    def finish(self) -> None:
        """Write what has been published to every session that can take it."""
        for listener in tuple(self._topic_of):
            if not listener.full:
                self.settle(listener)

    def _start(self) -> None:
        self._subscription = Subscription(self._stream.feed, QUEUE_SIZE)
        self._subscription.add(EventFilter())
        self._task = asyncio.get_running_loop().create_task(self._run(self._subscription))

    def _stop(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
        self._subscription = self._task = None

    async def _run(self, subscription: Subscription) -> None:
        """Take events to topics and frames to sockets until the last session has left."""
        while await subscription.ready():
            if subscription.slow:
                self._give_up()
                return
            self._route(subscription.take(ROUTED_AT_ONCE))
            await self._serve()
            await asyncio.sleep(0)

    def _take(self) -> list[FeedEvent]:
        subscription = self._subscription
        return [] if subscription is None else subscription.take(QUEUE_SIZE)

    def _route(self, events: Iterable[FeedEvent]) -> None:
        for event in events:
            frames: dict[Binding, bytes] = {}
            for topic, binding in self._wanting(event):
                frame = frames.get(binding)
                if frame is None:
                    frame = text_frame(event_frame(event, binding, self._stream.node))
                    frames[binding] = frame
                topic.append(event.sequence, frame)
                self._behind[topic] = None
                if topic.overfull:
                    self._relieve(topic)

    def _wanting(self, event: FeedEvent) -> list[tuple[_Topic, Binding]]:
        """Return the topics that want an event, each with the first of its bindings that does."""
        candidates: dict[_Topic, None] = {}
        for account_id in (event.account_id, None):
            for call_id in (event.call_id, None):
                candidates |= self._index.get((account_id, call_id), {})
        found = []
        for topic in candidates:
            for binding, wanted in topic.wanted:
                if wanted.matches(event):
                    found.append((topic, binding))
                    break
        return found

    def _relieve(self, topic: _Topic) -> None:
        """Serve those at the end of an overfull line, or cut them off when they cannot take it."""
        for listener, place in tuple(topic.places.items()):
            if place > topic.first:
                continue
            if listener.full:
                self._cut_off(listener, topic.end - place, self._stream.feed.last_sequence)
            else:
                topic.serve(listener)
        topic.trim()

    async def _serve(self) -> None:
        awake, self._awake = self._awake, {}
        behind, self._behind = self._behind, {}
        served: dict[_Topic, None] = {}
        for listener in awake:
            key = self._topic_of.get(listener)
            if key is not None:
                topic = self._topics[key]
                await self._serve_one(topic, listener)
                served[topic] = None
        for topic in behind:
            for turn, listener in enumerate(tuple(topic.places)):
                await self._serve_one(topic, listener)
                if turn % WRITTEN_AT_ONCE == WRITTEN_AT_ONCE - 1:
                    await asyncio.sleep(0)
        for topic in served | behind:
            topic.trim()

    @staticmethod
    async def _serve_one(topic: _Topic, listener: Listener) -> None:
        while not listener.full and topic.places.get(listener, topic.end) < topic.end:
            if topic.serve(listener):
                await asyncio.sleep(0)

    def _give_up(self) -> None:
        """Let every session come back: events were published faster than they can be sent."""
        newest = next((event.sequence - 1 for event in self._take()), 0)
        for listener in tuple(self._topic_of):
            self._cut_off(listener, QUEUE_SIZE, newest)

    def _cut_off(self, listener: Listener, waiting: int, newest: int) -> None:
        topic = self._topics[self._topic_of[listener]]
        last = topic.handed_over(listener, newest)
        self.leave(listener)
        listener.cut_off(waiting, last)


def _places(wanted: Iterable[tuple[Binding, EventFilter]]) -> set[tuple[str | None, str | None]]:
    return {(one.account_id, one.call_id) for _, one in wanted}
