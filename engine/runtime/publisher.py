"""From notices of call control to what is heard of them: events, call records, wakened waiters.

Nobody hears of an event before it is in the spool: readers and waiters are wakened through the
loop, so they run when the turn is over, and the turn ends with what it told written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from engine.control.feed import Feed
from engine.control.kazoo import (
    QUICKCALL_END,
    Switch,
    channel_event,
    quickcall_end,
)
from engine.control.kazoo_stored import origin_of, waiting_document
from engine.core.events import ChannelNotice, Notice, OriginateDecided, OriginateEnded
from engine.core.values import OriginateId
from engine.runtime.calls import Call
from engine.runtime.records import CallRecords
from engine.store.journal import Journal

_log = logging.getLogger(__name__)


class Publisher:
    """Tells every notice once: to the feed, to the journal, and to whoever waits for the call."""

    def __init__(self, feed: Feed, journal: Journal, switch: Switch) -> None:
        """Publish as this switch."""
        self._feed = feed
        self._journal = journal
        self._switch = switch
        self._records = CallRecords(journal, switch)
        self.calls: dict[OriginateId, Call] = {}
        """Accepted requests whose terminal event has not been told."""

    def tell(self, notices: Iterable[Notice]) -> None:
        """Publish notices in order, as one turn; when this returns, what they say is not lost.

        One that fails is logged and does not keep back the others.
        """
        for notice in notices:
            try:
                self._tell(notice)
            except Exception:
                _log.exception("a notice could not be published: %r", notice)
        self._records.end_turn()
        self._journal.persist()

    def accept(self, call: Call) -> None:
        """Let the journal know an accepted request of which no event has told yet."""
        request_id = call.originate_id
        if request_id not in self._journal.unended.requests and request_id in self.calls:
            self._journal.add_waiting(request_id, waiting_document(call.request, call.number))
            self._journal.persist()

    def checkpoint(self, now: float) -> None:
        """Let the journal note a sign of life."""
        self._journal.checkpoint(now)

    def _tell(self, notice: Notice) -> None:
        if isinstance(notice, ChannelNotice):
            self._channel(notice)
        elif isinstance(notice, OriginateDecided):
            self._decided(notice)
        else:
            self._ended(notice)

    def _channel(self, notice: ChannelNotice) -> None:
        leg = notice.leg
        ended = notice.name == "CHANNEL_DESTROY"
        if ended:
            # In the same turn: an event that is stored proves that the record is.
            at = notice.at if leg.ended_at is None else leg.ended_at
            self._records.add(leg, at, self.calls.get(leg.originate_id))
        payload = channel_event(notice, self._switch)
        created = notice.name == "CHANNEL_CREATE"
        if created:
            call = self.calls.get(leg.originate_id)
            if call is not None:
                payload["Originate"] = origin_of(leg, call.request, call.number)
        sequence = self._event(leg.account_id, leg.call_id, notice.name, payload, notice.at)
        if created:
            self._journal.begin_channel(leg.originate_id, leg.call_id, sequence)
        elif ended:
            self._journal.end_channel(leg.call_id)

    def _decided(self, notice: OriginateDecided) -> None:
        outcome = notice.outcome
        call = self.calls.get(outcome.originate_id)
        if call is not None:
            call.set_answered(outcome)
        if outcome.answered:
            self._records.answered(outcome.originate_id)

    def _ended(self, notice: OriginateEnded) -> None:
        outcome = notice.outcome
        call = self.calls.pop(outcome.originate_id)
        try:
            self._records.complete(outcome)
            payload = quickcall_end(outcome, call.request, notice.at, self._switch)
            self._event(outcome.account_id, outcome.call_id, QUICKCALL_END, payload, notice.at)
            self._journal.end_request(outcome.originate_id)
        finally:
            call.set_ended(outcome)

    def _event(
        self, account_id: str, call_id: str, name: str, payload: dict[str, object], at: float
    ) -> int:
        event = self._feed.publish(account_id, call_id, name, payload, at)
        self._journal.add_event(event.sequence, account_id, call_id, name, at, event.json())
        return event.sequence
