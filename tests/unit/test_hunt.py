"""The order in which carriers are tried, and which classes are denied."""

from collections import Counter
from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.numbers.hunt import hunt_order
from engine.numbers.restrictions import RestrictionAction, denied_classes
from engine.numbers.rules import Hop


def hop(name: str, length: int = 0, priority: int = 0, weight: int = 0) -> Hop:
    return Hop(name, name, priority, weight, length)


def names(hops: tuple[Hop, ...]) -> str:
    return "".join(hop.resource_id for hop in hops)


def no_draw(total: int) -> int:
    raise AssertionError(f"nothing is to be drawn of {total}")


def test_length_then_priority_without_a_draw() -> None:
    hops = [hop("d", 1, 0, 9), hop("c", 4, 2, 1), hop("b", 4, 1, 1), hop("a", 5, 9, 1)]
    assert names(hunt_order(hops, no_draw)) == "abcd"


@pytest.mark.parametrize("order", [*permutations("abc")])
def test_equals_without_weight_keep_their_order(order: tuple[str, ...]) -> None:
    assert names(hunt_order([hop(name) for name in order], no_draw)) == "".join(order)


def test_every_draw_is_a_share_of_those_left() -> None:
    hops = [hop("a", weight=1), hop("b", weight=2), hop("c", weight=3), hop("z", weight=0)]
    asked: list[int] = []

    def drawing(*values: int) -> Callable[[int], int]:
        rest = iter(values)

        def draw(total: int) -> int:
            asked.append(total)
            return next(rest)

        return draw

    assert names(hunt_order(hops, drawing(3, 1, 0))) == "cbaz"
    assert asked == [6, 3, 1]
    assert [names(hunt_order(hops, drawing(value, 0, 0)))[0] for value in range(6)] == [*"abbccc"]


def test_shares_are_those_of_the_weights() -> None:
    hops = [hop("a", weight=1), hop("b", weight=2), hop("c", weight=5)]
    first = Counter(
        names(hunt_order(hops, lambda total, turn=turn: turn * total // 80))[0]  # type: ignore[misc]
        for turn in range(80)
    )
    assert first == {"a": 10, "b": 20, "c": 50}


@given(
    st.lists(st.builds(hop, st.sampled_from("abc"), *[st.integers(0, 3)] * 3), max_size=8),
    st.randoms(use_true_random=False),
)
def test_nothing_is_lost_and_ranks_hold(hops: list[Hop], chance: object) -> None:
    ordered = hunt_order(hops, chance.randrange)  # type: ignore[attr-defined]
    assert Counter(ordered) == Counter(hops)
    ranks = [(-each.length, each.priority) for each in ordered]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("levels", "denied"),
    [
        ([], {"emergency", "toll_us"}),
        ([{}, {}, {}], {"emergency", "toll_us"}),
        ([{"emergency": "allow"}], {"toll_us"}),
        ([{}, {}, {"emergency": "allow", "toll_us": "allow", "unknown": "deny"}], {"unknown"}),
        ([{"emergency": "inherit"}, {"emergency": "allow"}], {"toll_us"}),
        ([{"emergency": "deny"}, {"emergency": "allow"}], {"emergency", "toll_us"}),
        ([{"emergency": "allow"}, {"emergency": "deny"}], {"toll_us"}),
        ([{"caribbean": "inherit"}], {"emergency", "toll_us"}),
    ],
)
def test_the_nearest_level_that_decides(
    levels: list[dict[str, RestrictionAction]], denied: set[str]
) -> None:
    assert denied_classes(*levels) == denied


def test_a_default_of_ones_own() -> None:
    assert denied_classes({"a": "allow"}, default=frozenset("ab")) == {"b"}
