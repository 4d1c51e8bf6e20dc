"""The trace keeps recent calls and forgets the rest; the clock never steps back."""

from __future__ import annotations

import pytest

from engine.core.events import SipMessageSeen
from engine.runtime.clock import Clock
from engine.runtime.trace import MESSAGES_PER_CALL, SipTrace


def seen(call_id: str, text: str = "") -> SipMessageSeen:
    return SipMessageSeen(0.0, True, "a", "b", "udp", call_id, text)


def test_messages_are_kept_by_call_in_order() -> None:
    trace = SipTrace(2)
    for message in (seen("1", "INVITE"), seen("2", "INVITE"), seen("1", "ACK")):
        trace.add(message)
    assert [message.text for message in trace.of("1")] == ["INVITE", "ACK"]
    assert trace.of("3") == ()


def test_the_call_unheard_of_for_the_longest_goes_first() -> None:
    trace = SipTrace(2)
    for call_id in ("1", "2", "1", "3"):
        trace.add(seen(call_id))
    assert [len(trace.of(call_id)) for call_id in ("1", "2", "3")] == [2, 0, 1]


def test_one_call_is_bounded() -> None:
    trace = SipTrace(1)
    for place in range(MESSAGES_PER_CALL + 5):
        trace.add(seen("1", str(place)))
    assert len(trace.of("1")) == MESSAGES_PER_CALL
    assert trace.of("1")[-1].text == str(MESSAGES_PER_CALL + 4)


def test_a_step_of_the_wall_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    before = clock.now()
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert 0 <= clock.now() - before < 60
