"""In which order the servers of a service are tried (RFC 2782)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec


class Choice(msgspec.Struct, frozen=True):
    """One server, with the addresses to reach it."""

    weight: int
    hops: tuple[str, ...]


Plan = tuple[tuple[Choice, ...], ...]
"""Servers of one priority each, the best priority first."""


def in_order(plan: Plan, pick: Callable[[int], int], limit: int) -> tuple[str, ...]:
    """Return at most `limit` hops of a plan, each once; anew for every call, as weights ask for.

    `pick(n)` returns a random number of 0..n-1.
    """
    hops: dict[str, None] = {}
    for choices in plan:
        for choice in _by_weight(choices, pick):
            hops.update(dict.fromkeys(choice.hops))
    return tuple(hops)[:limit]


def _by_weight(choices: Iterable[Choice], pick: Callable[[int], int]) -> Iterable[Choice]:
    """Yield the choices of one priority; one of twice the weight comes first twice as often."""
    # Those without a weight stand in front, so that they too are picked now and then.
    left = sorted(choices, key=lambda choice: choice.weight)
    while len(left) > 1:
        mark = pick(sum(choice.weight for choice in left) + 1)
        for place, choice in enumerate(left):
            mark -= choice.weight
            if mark <= 0:
                yield left.pop(place)
                break
    yield from left
