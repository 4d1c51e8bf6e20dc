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


@dataclass(frozen=True, slots=True)
class Chains:
    """What each key says: a row number, or ~i for `checked[i]`: checks and the row otherwise."""

    values: dict[str, int]
    checked: list[tuple[tuple[Check, ...], int]]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Chains:
        """Gather a table's keys; a dictionary in sorted order."""
        prefixes, patterns = _gather(rows)
        values: dict[str, int] = {}
        checked: list[tuple[tuple[Check, ...], int]] = []
        # The keys that begin the present one, longest last, with what they say.
        open_keys: list[tuple[str, tuple[Check, ...], int]] = [("", (), NO_ROW)]
        for key in sorted(prefixes.keys() | patterns.keys()):
            while not key.startswith(open_keys[-1][0]):
                open_keys.pop()
            _, inherited, row = open_keys[-1]
            checks = (*patterns.get(key, ()), *inherited)
            row = prefixes.get(key, row)
            open_keys.append((key, checks, row))
            if checks:
                values[key] = ~len(checked)
                checked.append((checks, row))
            else:
                values[key] = row
        return cls(values, checked)

    def chooser(self) -> Callable[[str, int], int]:
        """Return a function from a number and its key's negative value to a row number."""
        checked = self.checked

        def choose(number: str, value: int) -> int:
            checks, row = checked[~value]
            for matches, start, wanted in checks:
                if matches(number, start):
                    return wanted
            return row

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
