"""The outbox: every event to one consumer, in order, over its outages and the engine's restarts.

Events come from memory while the consumer keeps up, and from the journal when it was away or the
engine was; the consumer says up to which one it is done, and begins there the next time. So each
event is delivered, and after a crash some of the last ones are delivered again, with the same
`FeedEvent.event_id`.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from engine.control.feed import (
    Feed,
    FeedEvent,
    ResumeAhead,
    ResumeTooOld,
    Subscription,
)
from engine.core.errors import EngineUnavailable
from engine.store.journal import Journal, StoredEvent

RETRY_S = 1.0
"""Pause before a database that did not answer is asked again, seconds."""

_log = logging.getLogger(__name__)


class Outbox:
    """What one consumer has still to be told. For one task; `close` it in the end."""

    def __init__(self, feed: Feed, journal: Journal, name: str) -> None:
        """Continue where the consumer `name` was done; a new one begins now."""
        self._feed = feed
        self._journal = journal
        self._name = name
        self._given = journal.cursor(name)
        if self._given < journal.forgotten:
            _log.error("%s was away too long: some events for it are not kept any more", name)
        self._live: Subscription | None = None

    @property
    def lag(self) -> int:
        """Events that are not done."""
        return self._journal.cursor_lag(self._name)

    async def batch(self, limit: int = 256) -> list[FeedEvent]:
        """Wait until there are events after the last one given, and return at most `limit`.

        Cancelling the wait loses none. While the database is needed and away, waits for it.
        """
        while True:
            if self._live is None:
                found = await self._resume(limit)
            else:
                found = await self._read(self._live, limit)
            if found:
                self._given = found[-1].sequence
                return found

    def done(self, sequence: int) -> None:
        """Note that every event up to this one is delivered. Safe a moment later, costs little."""
        self._journal.move_cursor(self._name, sequence)

    def skip(self) -> int:
        """Leave out every event so far, as if it had been given; return the last one's sequence."""
        self.close()
        self._given = self._feed.last_sequence
        return self._given

    def close(self) -> None:
        """Stop reading. The consumer keeps its place, and the events after it are kept."""
        if self._live is not None:
            self._live.close()
            self._live = None

    async def _read(self, live: Subscription, limit: int) -> list[FeedEvent]:
        over = live.slow and not live.waiting
        if over or not await live.ready():
            # What it missed is in memory or in the journal.
            self.close()
            return []
        return live.take(limit)

    async def _resume(self, limit: int) -> list[FeedEvent]:
        """Return the next events from the journal, or begin to read from memory."""
        newest = self._feed.last_sequence
        try:
            self._live = self._feed.subscribe(resume_from=self._given)
            return []
        except ResumeAhead:
            self._given = newest
            return []
        except ResumeTooOld:
            pass
        try:
            rows = await self._journal.events(None, self._given, limit)
        except EngineUnavailable as error:
            _log.warning("%s waits for its events: %s", self._name, error)
            await asyncio.sleep(RETRY_S)
            return []
        if not rows:
            self._given = max(self._given, newest)
        return [_event(row) for row in rows]


def _event(row: StoredEvent) -> FeedEvent:
    payload = msgspec.json.decode(row.payload)
    return FeedEvent(
        *(row.sequence, row.name, row.account_id, row.call_id, row.at, payload), row.payload
    )
