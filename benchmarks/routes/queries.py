"""Numbers to ask a table for: some it has, some it has not, some asked far more often."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random

from benchmarks.routes.patterns import elements
from benchmarks.routes.table import Row

HITS = 0.85
"""The share of numbers made from a row; the rest is drawn at random, and most of it misses."""


def uniform(rows: list[Row], count: int, seed: int = 5) -> list[str]:
    """Return numbers for rows drawn alike: what caches like least."""
    draw = Random(seed)
    return [_query(draw, draw.choice(rows)) for _ in range(count)]


def zipf(rows: list[Row], count: int, seed: int = 6) -> list[str]:
    """Return numbers for rows of which the n-th is drawn in proportion to 1/n: what calls do."""
    draw = Random(seed)
    weights = list(accumulate(1 / place for place in range(1, len(rows) + 1)))
    places = (bisect(weights, draw.random() * weights[-1]) for _ in range(count))
    return [_query(draw, rows[min(place, len(rows) - 1)]) for place in places]


def _query(draw: Random, row: Row) -> str:
    if draw.random() > HITS:
        # A number as long as those that hit.
        return str(draw.randrange(1, 10)) + _digits(draw, len(_filled(draw, row)) - 1)
    return _filled(draw, row)


def _filled(draw: Random, row: Row) -> str:
    """Return a number that the row takes."""
    if row.kind == "extension":
        return row.match
    if row.kind == "prefix":
        length = 11 if row.match[0] == "1" else draw.randrange(11, 14)
        return row.match + _digits(draw, max(1, length - len(row.match)))
    parts = elements(row.match)
    wild = parts[-1] in ".!"
    fixed = "".join(draw.choice(part) for part in (parts[:-1] if wild else parts))
    return fixed + (_digits(draw, draw.randrange(1, 8)) if wild else "")


def _digits(draw: Random, count: int) -> str:
    return f"{draw.randrange(10**count):0{count}}"
