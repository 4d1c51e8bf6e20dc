"""The audit: agreement finds nothing, and what one side alone has is found the second time."""

from __future__ import annotations

import logging

import pytest

from engine.core.commands import HangUp
from engine.core.events import StockTaken
from engine.core.values import LegId, OriginateId, Party
from engine.runtime.reaper import UNKNOWN_TO_STACK, Reaped, Reaper
from engine.store.unended import UnendedCalls
from tests.unit.core.rig import ORIGINATE, Rig, device


class Audit:
    """A reaper beside a call control that a rig drives."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.live = UnendedCalls()
        self.accepted: set[OriginateId] = set()
        self.slots = 0
        """Calls that count for accounts, beyond those accepted."""
        self.reaper = Reaper(
            self.rig.control, self.live, self.accepted, lambda: len(self.accepted) + self.slots
        )

    def look(
        self,
        *legs: int,
        ports: int | None = None,
        dialogs: int | None = None,
        transactions: int = 0,
        held: frozenset[LegId] = frozenset(),
    ) -> tuple[list[int], list[int]]:
        """Return the legs that one audit hangs up and those it ends."""
        stock = StockTaken(
            tuple(map(LegId, legs)),
            len(legs) if ports is None else ports,
            len(legs) if dialogs is None else dialogs,
            transactions,
        )
        hangups, ends = self.reaper.look(stock, held)
        assert all(isinstance(order, HangUp) for order in hangups)
        for end in ends:
            assert (end.party, end.warning) == (Party.TIMEOUT, UNKNOWN_TO_STACK)
        return [order.leg for order in hangups], [end.leg for end in ends]


NOTHING: tuple[list[int], list[int]] = ([], [])


def test_agreement_finds_nothing(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    audit.rig.talks()
    audit.accepted.add(ORIGINATE)
    for number, call_id in enumerate(audit.rig.control.call_ids()):
        audit.live.begin(ORIGINATE, call_id, number + 1)
    for _ in range(3):
        assert audit.look(1, 2, dialogs=7, transactions=5) == NOTHING
    assert audit.reaper.reaped == Reaped()
    assert not caplog.records


def test_a_leg_that_only_the_stack_has_is_hung_up_once(caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit()
    audit.rig.rings_and_answers()
    assert audit.look(1, 9) == NOTHING
    with caplog.at_level(logging.ERROR):
        assert audit.look(1, 9) == ([9], [])
    assert "hung up: 9" in caplog.text
    assert audit.look(1, 9) == NOTHING
    assert audit.look(1) == NOTHING
    assert audit.reaper.reaped == Reaped(stack_legs=1)


def test_a_leg_seen_once_is_of_a_moment_ago() -> None:
    audit = Audit()
    audit.rig.rings_and_answers()
    for stock in ((1, 9), (1,), (1, 9), (), (1,), (1, 8)):
        assert audit.look(*stock) == NOTHING
    assert audit.reaper.reaped.total == 0


def test_a_leg_that_only_call_control_has_is_ended() -> None:
    audit = Audit()
    audit.rig.talks()
    assert audit.look(1) == NOTHING
    assert audit.look(1) == ([], [2])
    audit.rig.ends(2, 0, party=Party.TIMEOUT)
    assert audit.rig.destroyed(2)[0] == "RECOVERY_ON_TIMER_EXPIRE"
    assert audit.look(1) == NOTHING
    assert audit.reaper.reaped == Reaped(control_legs=1)


def test_a_leg_whose_invite_is_held_back_is_not_lost() -> None:
    audit = Audit()
    audit.rig.originate(device("alice", "10.0.0.1"))
    for _ in range(3):
        assert audit.look(held=frozenset({LegId(1)})) == NOTHING
    assert audit.reaper.reaped.total == 0


def test_ports_and_dialogs_beyond_the_legs_are_counted_as_they_grow() -> None:
    audit = Audit()
    audit.rig.talks()
    looks = [(2, 0), (4, 3), (3, 5), (4, 5), (4, 2), (2, 0), (9, 9)]
    for ports, dialogs in looks:
        audit.look(1, 2, ports=ports, dialogs=dialogs)
    assert audit.reaper.reaped == Reaped(media_ports=2, dialogs=3)


def test_a_dialog_may_live_as_long_as_its_transaction() -> None:
    audit = Audit()
    for _ in range(3):
        audit.look(dialogs=5, transactions=5)
    assert audit.reaper.reaped.total == 0


def test_channels_and_requests_that_nobody_ends_are_counted() -> None:
    audit = Audit()
    audit.rig.talks()
    audit.live.begin("gone", "gone-1", 1)
    audit.live.begin("half", "half-1", 2)
    audit.live.destroy("half-1")
    audit.accepted.add(OriginateId("never dialled"))
    for _ in range(3):
        audit.look(1, 2)
    assert audit.reaper.reaped == Reaped(channels=1, requests=3)


def test_a_call_that_counts_and_is_not_there_is_counted_once() -> None:
    audit = Audit()
    audit.slots = 1
    audit.look()
    assert audit.reaper.reaped.slots == 0
    audit.look()
    audit.look()
    assert audit.reaper.reaped == Reaped(slots=1)
