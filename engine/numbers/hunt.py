"""The order in which carriers are tried: prefix length, then priority, then chance by weight."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

from engine.numbers.rules import Hop


def hunt_order(hops: Sequence[Hop], draw: Callable[[int], int]) -> tuple[Hop, ...]:
    """Return hops in the order to try them: longest prefix, lowest priority, then drawn by weight.

    Among equals each is next with a chance proportional to its weight, as RFC 2782 (SRV records)
    shares load. Its inclusive draw favours the first by one; ours does not: `draw(n)` must return
    0 <= value < n, evenly (random.randrange does). Those of weight 0 come after the others, in
    the order given, without a draw.
    """
    ordered = sorted(hops, key=_rank)
    return tuple(hop for _, equals in groupby(ordered, _rank) for hop in _drawn([*equals], draw))


def _rank(hop: Hop) -> tuple[int, int]:
    return -hop.length, hop.priority


def _drawn(equals: list[Hop], draw: Callable[[int], int]) -> list[Hop]:
    drawn: list[Hop] = []
    while len(equals) > 1:
        shares = list(accumulate(hop.weight for hop in equals))
        if shares[-1] == 0:
            break
        drawn.append(equals.pop(bisect_right(shares, draw(shares[-1]))))
    return drawn + equals
