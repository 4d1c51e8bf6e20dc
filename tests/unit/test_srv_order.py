"""The order of servers by priority and weight (RFC 2782)."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.sip.srv_order import Choice, in_order


def _first(mark: int) -> str:
    plan = ((Choice(60, ("a",)), Choice(40, ("b",)), Choice(0, ("c",))), (Choice(99, ("d",)),))
    marks = iter([mark])
    return in_order(plan, lambda n: min(next(marks, 0), n - 1), 16)[0]


def test_a_server_of_more_weight_comes_first_more_often() -> None:
    # Every number that can be drawn, each once: 0 to the sum of the weights.
    assert Counter(_first(mark) for mark in range(101)) == {"a": 60, "b": 40, "c": 1}


def test_a_better_priority_comes_first_whatever_the_weights() -> None:
    plan = ((Choice(0, ("a",)),), (Choice(65535, ("b",)),), (Choice(1, ("c",)),))
    assert in_order(plan, lambda n: n - 1, 16) == ("a", "b", "c")


def test_a_hop_that_comes_twice_is_tried_once() -> None:
    plan = ((Choice(0, ("a", "b")),), (Choice(0, ("b", "c")),))
    assert in_order(plan, lambda _: 0, 16) == ("a", "b", "c")
    assert in_order(plan, lambda _: 0, 2) == ("a", "b")


@given(
    weights=st.lists(st.integers(0, 65535), min_size=1, max_size=16),
    marks=st.lists(st.integers(0, 2**32), min_size=16, max_size=16),
)
def test_every_server_comes_once(weights: list[int], marks: list[int]) -> None:
    choices = tuple(Choice(weight, (str(place),)) for place, weight in enumerate(weights))
    drawn = iter(marks)
    hops = in_order((choices,), lambda n: next(drawn) % n, 16)
    assert sorted(hops) == sorted(str(place) for place in range(len(weights)))
