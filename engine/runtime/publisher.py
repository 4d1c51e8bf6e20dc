"""From notices of call control to what is heard of them: events, call records, wakened waiters."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from engine.control.feed import Feed
from engine.control.kazoo import (
    QUICKCALL_END,
    Switch,
    cdr,
    channel_event,
    quickcall_end,
    record_of_attempts,
)
from engine.control.kazoo_stored import origin_of, waiting_document
from engine.core.events import ChannelNotice, Notice, OriginateDecided, OriginateEnded
from engine.core.values import LegRole, LegSnapshot, OriginateId
from engine.runtime.calls import Call
from engine.store.journal import Journal

_log = logging.getLogger(__name__)


class Publisher:
    """Tells every notice once: to the feed, to the journal, and to whoever waits for the call."""

    def __init__(self, feed: Feed, journal: Journal, switch: Switch) -> None:
        """Publish as this switch."""
        self._feed = feed
        self._journal = journal
        self._switch = switch
        self._main_legs: dict[OriginateId, LegSnapshot] = {}
        """Ended legs whose records get the attempts: that of the winner, else of the first."""
        self.calls: dict[OriginateId, Call] = {}
        """Accepted requests whose terminal event has not been told."""

    def tell(self, notices: Iterable[Notice]) -> None:
        """Publish notices in order. One that fails is logged and does not keep back the others."""
        for notice in notices:
            try:
                if isinstance(notice, ChannelNotice):
                    self._channel(notice)
                elif isinstance(notice, OriginateDecided):
                    self._decided(notice)
                else:
                    self._ended(notice)
            except Exception:
                _log.exception("a notice could not be published: %r", notice)

    def accept(self, call: Call) -> None:
        """Let the journal know an accepted request of which no event has told yet."""
        request_id = call.originate_id
        if request_id not in self._journal.unended.requests and request_id in self.calls:
            self._journal.add_waiting(request_id, waiting_document(call.request, call.number))

    def checkpoint(self, now: float) -> None:
        """Let the journal note a sign of life."""
        self._journal.checkpoint(now)

    def _channel(self, notice: ChannelNotice) -> None:
        leg = notice.leg
        ended = notice.name == "CHANNEL_DESTROY"
        if ended:
            # Before its event: an event that is stored proves that the record is.
            self._record(leg, notice.at if leg.ended_at is None else leg.ended_at)
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
            self._main_legs.pop(outcome.originate_id, None)

    def _ended(self, notice: OriginateEnded) -> None:
        outcome = notice.outcome
        leg = self._main_legs.pop(outcome.originate_id, None)
        call = self.calls.pop(outcome.originate_id)
        try:
            if leg is not None:
                at = notice.at if leg.ended_at is None else leg.ended_at
                self._add_cdr(leg, at, call, record_of_attempts(outcome))
            payload = quickcall_end(outcome, call.request, notice.at, self._switch)
            self._event(outcome.account_id, outcome.call_id, QUICKCALL_END, payload, notice.at)
            self._journal.end_request(outcome.originate_id)
        finally:
            call.set_ended(outcome)

    def _record(self, leg: LegSnapshot, at: float) -> None:
        """Write the record of a leg; that of the call gets its attempts when all are known."""
        call = self.calls.get(leg.originate_id)
        self._add_cdr(leg, at, call, {})
        if call is None or leg.role is not LegRole.A:
            return
        if call.winner:
            is_main = leg.call_id == call.winner
        else:
            known = leg.originate_id in self._main_legs
            is_main = not known or leg.call_id in [first.call_id for first in call.planned[:1]]
        if is_main:
            self._main_legs[leg.originate_id] = leg

    def _add_cdr(
        self, leg: LegSnapshot, at: float, call: Call | None, more: dict[str, object]
    ) -> None:
        chosen = call is not None and bool(call.request.call_id)
        record = {**cdr(leg, self._switch), **more}
        self._journal.add_cdr(
            leg.account_id, leg.call_id, leg.interaction_id, at, record, chosen=chosen
        )

    def _event(
        self, account_id: str, call_id: str, name: str, payload: dict[str, object], at: float
    ) -> int:
        event = self._feed.publish(account_id, call_id, name, payload, at)
        self._journal.add_event(event.sequence, account_id, call_id, name, at, event.json())
        return event.sequence
