"""A table for libraries that find the longest stored key a number begins with, and no more.

That key alone decides: every other stored key that the number begins with is a beginning of it. So
each key carries what the keys along it say together: the row of the longest prefix, and the
patterns in their order, as compiled checks of what follows their literal beginnings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.routes.contender import NO_ROW
from benchmarks.routes.patterns import rank, split
from benchmarks.routes.table import Row

Check = tuple[Callable[[str, int], object], int, int]
"""Whether a number matches from a position on, that position, and the row it decides for."""


HIDDEN = 24
"""Bits of a key's value for the row; what is above them names a list of checks, 0 none."""
ROW = (1 << HIDDEN) - 1


@dataclass(frozen=True, slots=True)
class Chains:
    """What each key says, as one number, below `ROW` a row; and the lists of checks."""

    values: dict[str, int]
    lists: list[tuple[Check, ...]]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Chains:
        """Gather a table's keys; a dictionary in sorted order."""
        prefixes, patterns = _gather(rows)
        values: dict[str, int] = {}
        lists: list[tuple[Check, ...]] = [()]
        # The keys that begin the present one, longest last, with their list and row.
        open_keys: list[tuple[str, int, int]] = [("", 0, ROW)]
        for key in sorted(prefixes.keys() | patterns.keys()):
            while not key.startswith(open_keys[-1][0]):
                open_keys.pop()
            _, checks, row = open_keys[-1]
            if key in patterns:
                lists.append((*patterns[key], *lists[checks]))
                checks = len(lists) - 1
            row = prefixes.get(key, row)
            open_keys.append((key, checks, row))
            values[key] = checks << HIDDEN | row
        return cls(values, lists)

    def chooser(self) -> Callable[[str, int], int]:
        """Return a function from a number and its key's value, `ROW` or above, to a row number."""
        lists = self.lists

        def choose(number: str, value: int) -> int:
            for matches, start, wanted in lists[value >> HIDDEN]:
                if matches(number, start):
                    return wanted
            row = value & ROW
            return NO_ROW if row == ROW else row

        return choose


def _gather(rows: Iterable[Row]) -> tuple[dict[str, int], dict[str, list[Check]]]:
    prefixes: dict[str, int] = {}
    found: dict[str, list[tuple[object, Check]]] = {}
    tails: dict[str, Callable[[str, int], object]] = {}
    for index, row in enumerate(rows):
        if row.kind == "prefix":
            prefixes[row.match] = index
            continue
        literal, tail = split(row.match) if row.kind == "pattern" else (row.match, "")
        matches = tails.get(tail) or tails.setdefault(tail, re.compile(tail).fullmatch)
        order = rank(row.match) if row.kind == "pattern" else ()
        found.setdefault(literal, []).append((order, (matches, len(literal), index)))
    return prefixes, {key: _in_order(listed) for key, listed in found.items()}


def _in_order(listed: list[tuple[object, Check]]) -> list[Check]:
    return [check for _, check in sorted(listed, key=lambda pair: pair[0])]  # type: ignore[arg-type,return-value]


def lengths_by_head(keys: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return which key lengths to try, longest first, by the first three characters of a number.

    The entry "" serves numbers whose first three characters begin no key of three or more.
    """
    found: dict[str, set[int]] = {"": set()}
    for key in keys:
        found.setdefault(key[:3] if len(key) >= 3 else "", set()).add(len(key))
    return {
        head: tuple(sorted(lengths | found[""], reverse=True)) for head, lengths in found.items()
    }
