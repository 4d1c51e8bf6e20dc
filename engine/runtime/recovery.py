"""After a crash: every call that lived when the process died gets the events it still owes.

A channel without CHANNEL_DESTROY is destroyed, with its call record; a request without its terminal
event ends. Cause CRASH, ended when the process last gave a sign of life: its last stored event or
its last audit. The rows are durable before new requests are taken, and a second crash meanwhile
finds those that are not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from engine.control.kazoo import QUICKCALL_END
from engine.control.kazoo_stored import (
    StoredChannel,
    origin_in,
    request_ended_by,
    request_of,
    terminal_event,
    waiting_request,
)
from engine.core.events import ChannelNotice, OriginateEnded
from engine.core.values import OriginateId, OriginateRequest
from engine.numbers.number_filter import FilterResult
from engine.runtime.calls import Call
from engine.runtime.publisher import Publisher
from engine.store.journal import Journal, StoredEvent

_log = logging.getLogger(__name__)


class _Unended:
    """The requests of a stream of stored events that are not over."""

    def __init__(self) -> None:
        self._channels: dict[str, StoredChannel] = {}
        self.requests: dict[str, list[StoredChannel]] = {}
        self.ended: set[str] = set()
        """Those of them that have their terminal event, but a channel that outlived it."""
        self.told: set[str] = set()
        """Requests that the events tell of."""

    def add(self, event: StoredEvent) -> None:
        """Take the next event."""
        if event.name == "CHANNEL_CREATE":
            origin = origin_in(event.payload)
            if origin is None:
                return
            channel = self._channels[event.call_id] = StoredChannel(origin, {})
            channel.add(event.name, event.at, event.payload)
            self.requests.setdefault(origin.request_id, []).append(channel)
            self.told.add(origin.request_id)
        elif event.name == QUICKCALL_END:
            request_id = request_ended_by(event.payload)
            self.ended.add(request_id)
            self.told.add(request_id)
            self._drop_if_over(request_id)
        elif (found := self._channels.get(event.call_id)) is not None:
            found.add(event.name, event.at, event.payload)
            if event.name == "CHANNEL_DESTROY":
                self._drop_if_over(found.origin.request_id)

    def _drop_if_over(self, request_id: str) -> None:
        channels = self.requests.get(request_id, ())
        if request_id not in self.ended or any(c.ended_at is None for c in channels):
            return
        self.ended.discard(request_id)
        self.requests.pop(request_id, None)
        for channel in channels:
            call_id = channel.fields["Call-ID"]
            # A Call-ID may be used again as soon as its channel is destroyed.
            if self._channels.get(call_id) is channel:
                del self._channels[call_id]


def _nothing_to_cancel(_originate_id: OriginateId) -> None:
    """The call of a dead process is over already."""


async def recover(journal: Journal, publisher: Publisher, now: float) -> frozenset[str]:
    """Tell what the calls of a dead process still owe; return the requests they belong to."""
    unended = _Unended()
    async for event in journal.unsettled():
        unended.add(event)
    died_at = min(journal.last_alive, now)
    found = set(unended.requests)
    for request_id, channels in unended.requests.items():
        destroyed = [c.destroyed(died_at, now) for c in channels if c.ended_at is None]
        if request_id in unended.ended:
            publisher.tell(destroyed)
            continue
        request = request_of(channels[0])
        _end(publisher, request, destroyed, terminal_event(request, channels, died_at, now))
    for request_id, document in await journal.waiting():
        if request_id not in unended.told:
            request = waiting_request(request_id, document)
            _end(publisher, request, (), terminal_event(request, (), died_at, now))
        found.add(request_id)
        journal.forget_waiting(request_id)
    publisher.checkpoint(now)
    await journal.settled()
    if found:
        _log.warning("%d calls of a process that died are ended", len(found))
    return frozenset(found)


def _end(
    publisher: Publisher,
    request: OriginateRequest,
    destroyed: Sequence[ChannelNotice],
    end: OriginateEnded,
) -> None:
    filtered = FilterResult(request.number, "", None)
    call = Call(OriginateId(request.request_id), request, filtered, (), _nothing_to_cancel)
    if end.outcome.answered:
        call.set_answered(end.outcome)
    publisher.calls[call.originate_id] = call
    publisher.tell([*destroyed, end])
