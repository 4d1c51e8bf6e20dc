"""Call records: one of each leg when it ends, one of them with every attempt of the request.

That is the record of the leg that answered or, when none did, of the first one rung. The attempts
are known when the request ends. Mostly that is in the same turn; when it is later, the record is
written at the end of the turn, and again then.
"""

from __future__ import annotations

import msgspec

from engine.control.kazoo import Switch, cdr, record_of_attempts
from engine.core.values import LegRole, LegSnapshot, OriginateId, Outcome
from engine.runtime.calls import Call
from engine.runtime.ids import is_made
from engine.store.journal import Journal


class _Record(msgspec.Struct, frozen=True):
    leg: LegSnapshot
    at: float
    document: dict[str, object]
    chosen: bool


class CallRecords:
    """Writes the records of legs that ended into a journal."""

    def __init__(self, journal: Journal, switch: Switch) -> None:
        """Write as this switch."""
        self._journal = journal
        self._switch = switch
        self._main: dict[OriginateId, _Record] = {}
        self._held: dict[OriginateId, _Record] = {}
        """Those of them that this turn has not written yet."""

    def add(self, leg: LegSnapshot, at: float, call: Call | None) -> None:
        """Write the record of a leg that ended at `at`; `call`: its request, while that lives."""
        record = _Record(leg, at, cdr(leg, self._switch), _is_chosen(leg, call))
        if call is None or not self._is_main(leg, call):
            self._write(record, {})
            return
        self._write_held(leg.originate_id)
        self._main[leg.originate_id] = self._held[leg.originate_id] = record

    def answered(self, originate_id: OriginateId) -> None:
        """Note that a leg has won: the record of no other gets the attempts."""
        self._write_held(originate_id)
        self._main.pop(originate_id, None)

    def complete(self, outcome: Outcome) -> None:
        """Write the attempts of a request that ended into the record that gets them, if any."""
        self._held.pop(outcome.originate_id, None)
        record = self._main.pop(outcome.originate_id, None)
        if record is not None:
            self._write(record, record_of_attempts(outcome))

    def end_turn(self) -> None:
        """Write the records of legs whose request goes on."""
        for originate_id in tuple(self._held):
            self._write_held(originate_id)

    def _is_main(self, leg: LegSnapshot, call: Call) -> bool:
        if leg.role is not LegRole.A:
            return False
        if call.winner:
            return leg.call_id == call.winner
        first = [attempt.call_id for attempt in call.planned[:1]]
        return leg.originate_id not in self._main or leg.call_id in first

    def _write_held(self, originate_id: OriginateId) -> None:
        record = self._held.pop(originate_id, None)
        if record is not None:
            self._write(record, {})

    def _write(self, record: _Record, more: dict[str, object]) -> None:
        leg, document = record.leg, {**record.document, **more}
        self._journal.add_cdr(
            *(leg.account_id, leg.call_id, leg.interaction_id, record.at, document),
            chosen=record.chosen,
        )


def _is_chosen(leg: LegSnapshot, call: Call | None) -> bool:
    """Return whether a caller chose this Call-ID, and may choose it again."""
    asked = call.request.call_id if call is not None else ""
    return not is_made(leg.call_id) or (bool(asked) and leg.call_id.startswith(asked))
