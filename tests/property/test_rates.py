"""Token buckets and the pacing of INVITEs, under any arrivals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.core.commands import Dial
from engine.core.errors import RateLimited
from engine.core.events import LegEnded
from engine.core.rates import Rate
from engine.core.values import DialLimit, LegId, Party
from engine.runtime.limits import Allowed, CallLimits
from engine.runtime.pacing import CONGESTED, TOO_FAST, Pacer

START = 1.8e9
"""Seconds since the epoch: what is tested must hold for numbers of this size."""

SLACK = 1e-6
"""Seconds that are lost in them."""

gaps = st.lists(st.floats(0, 2), min_size=1, max_size=60)
rates = st.floats(0.5, 200)


@given(rates, st.integers(1, 20), gaps)
def test_no_window_sees_more_than_rate_and_burst(
    rate: float, burst: int, between: list[float]
) -> None:
    bucket, now, taken = Rate(), START, list[float]()
    for gap in between:
        now += gap
        if bucket.wait(now, rate, burst) == 0:
            bucket.take(now, rate)
            taken.append(now)
    for first, since in enumerate(taken):
        for last, until in enumerate(taken[first:], first):
            assert last - first + 1 <= burst + (until - since + SLACK) * rate + SLACK


@given(rates, st.integers(1, 20), gaps)
def test_who_waits_as_long_as_told_is_let_in(rate: float, burst: int, between: list[float]) -> None:
    bucket, now = Rate(), START
    for gap in between:
        now += gap
        now += bucket.wait(now, rate, burst)
        assert bucket.wait(now + SLACK, rate, burst) == 0
        bucket.take(now, rate)


@given(rates, st.integers(1, 20))
def test_a_bucket_that_rests_is_full_again(rate: float, burst: int) -> None:
    bucket = Rate()
    for _ in range(2):
        now = START
        while bucket.wait(now, rate, burst) == 0:
            bucket.take(now, rate)
        assert not bucket.full(now)
        full = now + burst / rate + SLACK
        assert bucket.full(full)
        bucket = Rate()


def _wait(limits: CallLimits, now: float) -> float:
    """Ask for a call of an account; return how long to wait, 0 when it was let in."""
    try:
        limits.admit("a", None, now)
    except RateLimited as error:
        return error.retry_after
    return 0.0


@given(rates, st.integers(1, 10), gaps)
def test_who_asks_too_fast_is_let_in_at_the_rate_all_the_same(
    rate: float, burst: int, between: list[float]
) -> None:
    limits = CallLimits(Allowed(0, rate, burst))
    now, let_in = START, 0
    for gap in between:
        now += gap
        wait = _wait(limits, now)
        if wait:
            assert wait <= burst / rate + SLACK
            now += wait + SLACK
            assert _wait(limits, now) == 0
        let_in += 1
        limits.admit("b" + str(now), None, now)
    assert let_in == len(between)
    limits.forget(now + burst / rate + 1)
    assert not limits._uses


# --- pacing -----------------------------------------------------------------------------------


def dial(leg: int, *limits: DialLimit) -> Dial:
    """An INVITE to a carrier with these limits."""
    return Dial(LegId(leg), f"c{leg}", "sip:1@192.0.2.9", "<sip:1@a>", "<sip:2@a>", limits=limits)


steps = st.lists(
    st.tuples(
        st.floats(0, 0.2), st.integers(0, 3), st.sampled_from(["dial", "end", "drop", "tick"])
    ),
    max_size=120,
)
LANES = (
    (DialLimit("slow", 0, 5.0),),
    (DialLimit("gateway", 2, 20.0), DialLimit("carrier", 3, 10.0)),
    (DialLimit("other", 1, 0.0), DialLimit("carrier", 3, 10.0)),
    (),
)


class Played:
    """A pacer, and what must hold of it."""

    def __init__(self, own: float, wait_s: float) -> None:
        self.pacer = Pacer(own, wait_s)
        self.own, self.wait_s = own, wait_s
        self.now, self.legs = START, 0
        self.asked: dict[LegId, tuple[float, tuple[DialLimit, ...]]] = {}
        self.live: set[LegId] = set()
        self.sent: dict[str, list[float]] = {}

    def do(self, gap: float, lane: int, step: str) -> None:
        """Let time pass, timers included, and do something."""
        until = self.now + gap
        while (due := self.pacer.next_due(self.now)) is not None and due <= until:
            # As a timer: never early, and not exactly in time.
            self.now = max(self.now, due) + 1e-5
            self.tick()
        self.now = max(self.now, until)
        if step == "dial":
            self.dial(LANES[lane])
        elif step == "end" and self.live:
            leg = min(self.live)
            self.live.discard(leg)
            self.pacer.ended(leg)
        elif step == "drop" and self.pacer.waiting:
            leg = max(self.pacer.waiting)
            assert self.pacer.drop(leg)
            del self.asked[leg]
        self.check()

    def dial(self, limits: tuple[DialLimit, ...]) -> None:
        """Offer an INVITE."""
        self.legs += 1
        leg = LegId(self.legs)
        self.asked[leg] = (self.now, limits)
        decided = self.pacer.offer(dial(self.legs, *limits), self.now)
        if isinstance(decided, Dial):
            self.passed(decided)
        elif decided is not None:
            self.refused(decided)

    def tick(self) -> None:
        """Take what is due."""
        sent, ends = self.pacer.due(self.now)
        for one in sent:
            self.passed(one)
        for end in ends:
            assert end.q850 == TOO_FAST
            self.refused(end)

    def passed(self, one: Dial) -> None:
        """An INVITE went out."""
        since, _ = self.asked.pop(one.leg)
        assert self.now - since <= self.wait_s + 0.01
        self.live.add(one.leg)
        for name in [limit.name for limit in one.limits] + ["own"]:
            self.sent.setdefault(name, []).append(self.now)

    def refused(self, end: LegEnded) -> None:
        """An INVITE never goes out."""
        assert end.party is Party.POLICY
        assert end.q850 in (CONGESTED, TOO_FAST)
        assert end.warning
        del self.asked[end.leg]

    def check(self) -> None:
        """What must hold at any time."""
        assert set(self.asked) == set(self.pacer.waiting)
        for lane in LANES:
            for limit in lane:
                if limit.calls:
                    way = self.pacer._ways.get(limit.name)
                    assert way is None or 0 <= way.legs <= limit.calls

    def rates_held(self) -> None:
        """No window saw more than the rate, and what a late timer may let through."""
        limited = {limit.name: limit.calls_per_second for lane in LANES for limit in lane}
        for name, rate in (limited | {"own": self.own}).items():
            times = self.sent.get(name, []) if rate else []
            for first, since in enumerate(times):
                for last, until in enumerate(times[first:], first):
                    allowed = 1 + (until - since + 0.0101) * rate
                    assert last - first + 1 <= allowed + SLACK


@given(steps, st.sampled_from([0.0, 15.0]), st.sampled_from([0.0, 0.3, 2.0]))
def test_pacing(happens: list[tuple[float, int, str]], own: float, wait_s: float) -> None:
    played = Played(own, wait_s)
    for step in happens:
        played.do(*step)
    played.do(10.0, 0, "tick")
    played.do(10.0, 0, "tick")
    played.rates_held()
    assert not played.asked
    for leg in played.live:
        played.pacer.ended(leg)
    assert all(way.legs == 0 for way in played.pacer._ways.values())
    assert not played.pacer.legs
    played.pacer.forget((), played.now + 10)
    assert not played.pacer._ways
    assert not played.pacer._lanes


def test_an_invite_that_comes_again_passes_again_and_counts_once() -> None:
    """A stack that is busy has its commands offered again."""
    pacer = Pacer(0.0, 2.0)
    one = dial(1, DialLimit("c", 1, 1.0))
    assert pacer.offer(one, START) is one
    assert pacer.offer(one, START) is one
    pacer.ended(LegId(1))
    assert not pacer.legs
    second = dial(2, DialLimit("c", 1))
    assert pacer.offer(second, START) is second


def test_a_leg_that_nobody_knows_counts_no_more() -> None:
    pacer = Pacer(0.0, 2.0)
    limit = DialLimit("c", 1)
    pacer.offer(dial(1, limit), START)
    assert isinstance(pacer.offer(dial(2, limit), START), LegEnded)
    assert pacer.forget({LegId(1)}, START) == frozenset()
    assert pacer.forget((), START) == {LegId(1)}
    assert isinstance(pacer.offer(dial(3, limit), START), Dial)
