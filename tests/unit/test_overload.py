"""The overload controller beside a simulated engine: one server, one queue, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.overload import BRAKE, FLOOR, Overload

START = 1.8e9
TARGET = 0.02


@dataclass
class Simulated:
    """An engine that can make `best` calls a second and is offered `offered`.

    It works in turns, as an event loop does: what came in during one is seen in the next.
    """

    best: float
    offered: float
    refusal_share: float = 0.05
    """What refusing costs, in calls."""
    later_s: float = 0.0
    """Seconds after which half the work of a call comes."""
    overload: Overload = field(default_factory=lambda: Overload(TARGET))
    now: float = START
    cpu_s: float = 0.0
    admitted: list[float] = field(default_factory=list)
    refused: int = 0
    waits: list[float] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end, arrived, due = self.now + seconds, self.now, self.now + 0.005
        later: list[float] = []
        began = self.now
        while self.now < end:
            came = began
            began = self.now
            if self.now >= due:
                self.overload.tick(self.now, self.now - due, self.cpu_s)
                due = self.now + 0.005
            work = 0.0002
            while later and later[0] <= self.now:
                later.pop(0)
                work += 0.5 / self.best
            while arrived <= began:
                at = self.now + work
                if self.overload.wait(at, at - due):
                    self.overload.refused(at)
                    self.refused += 1
                    work += self.refusal_share / self.best
                else:
                    self.overload.let_in(at)
                    self.admitted.append(at)
                    self.waits.append(at - max(arrived, came))
                    work += (0.5 if self.later_s else 1.0) / self.best
                    if self.later_s:
                        later.append(at + self.later_s)
                arrived += 1 / self.offered
            self.now += max(work, 0.001)
            self.cpu_s += work

    def rate(self, since: float) -> float:
        """Return the calls a second let in after so many seconds."""
        return sum(at >= START + since for at in self.admitted) / (self.now - START - since)


@pytest.mark.parametrize("best", [150.0, 400.0, 3000.0])
@pytest.mark.parametrize("times", [1.3, 2.0, 10.0])
def test_offered_too_much_it_does_what_it_can(best: float, times: float) -> None:
    # Refusing costs the same however many calls the engine can make: at ten times, a third.
    engine = Simulated(best, best * times, refusal_share=0.02)
    engine.run(20.0)
    possible = best * (1 - 0.02 * times) / (1 - 0.02)
    assert engine.rate(2.0) >= 0.9 * possible
    waits = sorted(engine.waits[int(best) :])
    assert waits[int(len(waits) * 0.99)] <= BRAKE * TARGET + 0.02


@pytest.mark.parametrize("later_s", [0.5, 2.0, 10.0])
def test_work_that_comes_when_phones_are_answered(later_s: float) -> None:
    engine = Simulated(400.0, 800.0, later_s=later_s)
    engine.run(40.0)
    assert engine.rate(20.0) >= 0.9 * 400


def test_what_can_be_done_is_never_refused() -> None:
    engine = Simulated(400.0, 340.0)
    engine.run(30.0)
    assert engine.refused == 0
    assert engine.overload.limit == math.inf


def test_the_limit_is_lifted_when_less_is_offered() -> None:
    engine = Simulated(200.0, 400.0)
    engine.run(5.0)
    assert engine.overload.limit < math.inf
    engine.offered = 100.0
    engine.run(12.0)
    assert engine.overload.limit == math.inf
    refused = engine.refused
    engine.run(10.0)
    assert engine.refused == refused


def test_a_late_machine_alone_refuses_nobody() -> None:
    overload, now = Overload(TARGET), START
    for _ in range(1000):
        now += 0.2
        overload.tick(now, 0.2, now - START)
        assert overload.wait(now, 0.2) == 0
        overload.let_in(now)
    assert overload.limit == math.inf


def test_lag_that_others_cause_is_borne() -> None:
    """The same lag, from work of one's own and from a machine that is used by others."""
    own, others = Overload(TARGET), Overload(TARGET)
    for window in range(100):
        now = START + window * 0.1
        for overload, share in ((own, 0.9), (others, 0.1)):
            for _ in range(10):
                overload.let_in(now)
            overload.tick(now, 2 * TARGET, share * (now - START))
    assert own.limit < others.limit == math.inf


def test_who_has_waited_too_long_is_not_let_in() -> None:
    engine = Simulated(200.0, 400.0)
    engine.run(5.0)
    now = engine.now + 60
    assert engine.overload.wait(now, BRAKE * TARGET * 1.01) > 0
    engine.overload.tick(now, 0.0, 0.0)
    assert engine.overload.wait(now, 0.0) == 0


@given(
    st.lists(
        st.tuples(st.floats(0, 0.3), st.floats(0, 5), st.integers(0, 50)), min_size=1, max_size=200
    )
)
def test_whatever_the_lag_some_are_let_in(measured: list[tuple[float, float, int]]) -> None:
    overload, now = Overload(TARGET), START
    for gap, lag, asked in measured:
        now += gap
        for _ in range(asked):
            if overload.wait(now):
                overload.refused(now)
            else:
                overload.let_in(now)
        overload.tick(now, lag, now - START)
        assert overload.limit >= FLOOR
        assert overload.wait(now) < math.inf
