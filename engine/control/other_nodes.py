"""What this engine knows of the others on its bus: who lives, and which calls they have. Pure.

Theory. Every engine says on the bus that it lives; one that has not for `gone_s` seconds is gone.
Its events came over the bus before, and those that tell how its calls stand are kept here until the
calls are over. So when it is gone the others know what it still owes: for each channel its end, for
each request its terminal event. The one with the lowest name tells, and what it tells reaches the
others as events, so they forget it; if it dies too before it has told, the next one does.

Names of the events make that safe: the two that end something are named by what they end
(`FeedEvent.event_id`), so an engine that comes back and tells the same ends has said nothing new.
"""

from __future__ import annotations

import logging

import msgspec

from engine.control.feed import FeedEvent
from engine.control.kazoo_events import QUICKCALL_END, Switch, channel_event, quickcall_end
from engine.control.kazoo_stored import (
    Origin,
    StoredChannel,
    origin_in,
    request_of,
    terminal_event,
)

KEPT = (
    "CHANNEL_CREATE",
    "CHANNEL_PROGRESS",
    "CHANNEL_PROGRESS_MEDIA",
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_DESTROY",
    QUICKCALL_END,
)
"""Events that tell how a call stands."""

MAX_NODES = 256
"""Other engines that are known at once."""

MAX_CHANNELS = 10_000
"""Channels of all of them that are remembered; what comes beyond is told by its engine alone."""

_MAX_EVENTS = 16
"""Events of one channel that are kept: those of a call that is bridged again and again."""

_log = logging.getLogger(__name__)


class _Channel(msgspec.Struct):
    call_id: str
    origin: Origin
    events: list[tuple[str, float, bytes]]
    over: bool = False


class _Node(msgspec.Struct):
    seen_at: float
    channels: dict[str, _Channel] = msgspec.field(default_factory=dict)
    requests: dict[str, list[_Channel]] = msgspec.field(default_factory=dict)
    ended: set[str] = msgspec.field(default_factory=set)
    """Requests that have their terminal event, but a channel that outlived it."""


class OtherNodes:
    """The other engines of a bus. `now` is in seconds of a clock that never jumps."""

    def __init__(self, own: str, gone_s: float) -> None:
        """Begin to know others. `own`: this engine's name, which is none of them."""
        self.passed_over = 0
        """Channels that were not remembered, because there were too many."""
        self._own = own
        self._gone_s = gone_s
        self._nodes: dict[str, _Node] = {}
        self._owners: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The others that live, or lived until a moment ago."""
        return sorted(self._nodes)

    @property
    def channels(self) -> int:
        """Channels of others that are remembered."""
        return len(self._owners)

    def owner(self, call_id: str) -> str | None:
        """Return which other engine has this channel, as far as its events tell."""
        return self._owners.get(call_id)

    def lives(self, node: str, now: float) -> bool:
        """Note a sign of life; true when this engine was not known before."""
        if node == self._own:
            return False
        known = self._nodes.get(node)
        if known is not None:
            known.seen_at = now
            return False
        if len(self._nodes) >= MAX_NODES:
            return False
        self._nodes[node] = _Node(now)
        return True

    def leaves(self, node: str) -> None:
        """Note that an engine has closed: it has told the end of all its calls."""
        self._forget(node)

    def all_live(self, now: float) -> None:
        """Let everybody's silence begin now: this engine could not have heard them."""
        for node in self._nodes.values():
            node.seen_at = now

    def begin_again(self, now: float) -> None:
        """Remember no calls after an outage of the link, in which their ends may have been told."""
        for name in list(self._nodes):
            self._forget(name)
            self._nodes[name] = _Node(now)

    def _forget(self, node: str) -> None:
        known = self._nodes.pop(node, None)
        for call_id in known.channels if known is not None else ():
            self._owners.pop(call_id, None)

    # --- events -----------------------------------------------------------------------------------

    def event(self, name: str, call_id: str, message_id: str, at: float, body: bytes) -> None:
        """Take an event from the bus, by whoever tells it.

        `message_id`: its event id, which names its engine or what it ends.
        """
        if name == "CHANNEL_CREATE":
            self._created(call_id, message_id.partition(".")[2], at, body)
        elif name == QUICKCALL_END:
            self._ended(message_id.removesuffix(".end"))
        else:
            node = self._nodes.get(self._owners.get(call_id, ""))
            channel = node.channels.get(call_id) if node is not None else None
            if node is None or channel is None:
                return
            if name == "CHANNEL_DESTROY" or len(channel.events) < _MAX_EVENTS:
                channel.events.append((name, at, body))
            if name == "CHANNEL_DESTROY":
                channel.over = True
                self._drop_if_over(node, channel.origin.request_id)

    def _created(self, call_id: str, name: str, at: float, body: bytes) -> None:
        node = self._nodes.get(name)
        if node is None:
            return
        try:
            origin = origin_in(body)
        except msgspec.DecodeError:
            return
        if origin is None:
            return
        if len(self._owners) >= MAX_CHANNELS:
            self.passed_over += 1
            return
        channel = _Channel(call_id, origin, [("CHANNEL_CREATE", at, body)])
        node.channels[call_id] = channel
        node.requests.setdefault(origin.request_id, []).append(channel)
        self._owners[call_id] = name

    def _ended(self, request_and_node: str) -> None:
        for name, node in self._nodes.items():
            # Both may have dots in them.
            request_id = request_and_node.removesuffix(f".{name}")
            if request_id != request_and_node and request_id in node.requests:
                node.ended.add(request_id)
                self._drop_if_over(node, request_id)
                return

    def _drop_if_over(self, node: _Node, request_id: str) -> None:
        channels = node.requests[request_id]
        if request_id not in node.ended or not all(channel.over for channel in channels):
            return
        node.ended.discard(request_id)
        del node.requests[request_id]
        for channel in channels:
            # A Call-ID may be used again as soon as its channel is destroyed.
            if node.channels.get(channel.call_id) is channel:
                del node.channels[channel.call_id]
                self._owners.pop(channel.call_id, None)

    # --- the end of an engine ---------------------------------------------------------------------

    def gone(self, now: float) -> list[str]:
        """Return the engines that are gone, for which this engine is to tell the rest.

        Empty when another engine that lives is to. Those without anything left to tell are
        forgotten.
        """
        silent = [n for n, node in self._nodes.items() if now - node.seen_at > self._gone_s]
        for name in silent:
            if not self._nodes[name].requests:
                self._forget(name)
        alive = [name for name in self._nodes if name not in silent]
        if any(name < self._own for name in alive):
            return []
        return [name for name in silent if name in self._nodes]

    def owed(self, name: str, now: float, clock: float) -> list[FeedEvent]:
        """Return the events that an engine that is gone still owes: ends of channels, of requests.

        They stay owed until they come back from the bus. Their `sequence` is 0. `clock`: what is
        `now` in seconds since the Unix epoch.
        """
        node = self._nodes[name]
        died_at = clock - (now - node.seen_at)
        told: list[FeedEvent] = []
        for request_id, channels in list(node.requests.items()):
            try:
                told += _ends(name, channels, died_at, clock, over=request_id in node.ended)
            except (msgspec.DecodeError, KeyError, TypeError, ValueError):
                _log.exception("the end of request %s of %s cannot be told", request_id, name)
                del node.requests[request_id]
        return told


def _ends(
    name: str, kept: list[_Channel], died_at: float, now: float, *, over: bool
) -> list[FeedEvent]:
    switch = Switch(name)
    channels: list[StoredChannel] = []
    for channel in kept:
        stored = StoredChannel(channel.origin, {})
        for event in channel.events:
            stored.add(*event)
        channels.append(stored)
    told: list[FeedEvent] = []
    for stored in channels:
        if stored.ended_at is None:
            notice = stored.destroyed(died_at, now)
            payload, leg = channel_event(notice, switch), notice.leg
            told.append(FeedEvent(0, notice.name, leg.account_id, leg.call_id, now, payload))
    if not over:
        request = request_of(channels[0])
        outcome = terminal_event(request, channels, died_at, now).outcome
        payload = quickcall_end(outcome, request, now, switch)
        told.append(FeedEvent(0, QUICKCALL_END, request.account_id, outcome.call_id, now, payload))
    return told
