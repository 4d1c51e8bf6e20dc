"""Asterisk patterns for libraries that do not know them."""

from __future__ import annotations

import re

from benchmarks.routes.table import Row

CLASSES = {"X": "0123456789", "Z": "123456789", "N": "23456789"}

Rank = tuple[tuple[int, ...], ...]
"""Sorts patterns in the order Asterisk asks them."""


def elements(pattern: str) -> list[str]:
    """Return what each position of a pattern accepts: sorted characters, "." or "!"."""
    found = []
    rest = pattern[1:]
    while rest:
        if rest[0] == "[":
            inside, _, rest = rest[1:].partition("]")
            spans = re.sub(r"(.)-(.)", _span, inside)
            found.append("".join(sorted(set(spans))))
        else:
            found.append(CLASSES.get(rest[0], rest[0]))
            rest = rest[1:]
    return found


def _span(found: re.Match[str]) -> str:
    return "".join(map(chr, range(ord(found[1]), ord(found[2]) + 1)))


def rank(pattern: str) -> Rank:
    """Return the place of a pattern: position by position fewest characters first; . ! end."""
    wild = {".": (1,), "!": (2,)}
    listed = [wild.get(part) or (0, len(part), *map(ord, part)) for part in elements(pattern)]
    return (*listed, (3,))


def split(pattern: str) -> tuple[str, str]:
    """Return the literal beginning of a pattern and a regular expression of what follows it.

    Of patterns that take the same number, one with a longer literal beginning comes first: where
    the other's ends it accepts more than one character.
    """
    listed = elements(pattern)
    literal = ""
    while listed and len(listed[0]) == 1 and listed[0] not in ".!":
        literal += listed.pop(0)
    return literal, "".join(map(_expression, listed))


def _expression(part: str) -> str:
    if part in ".!":
        return ".+" if part == "." else ".*"
    return f"[{part}]" if len(part) > 1 else re.escape(part)


def ordered(rows: list[Row]) -> list[int]:
    """Return the row numbers of a table in the order of precedence, as if it were one long list."""
    order: dict[str, int] = {"extension": 0, "pattern": 1, "prefix": 2}

    def place(index: int) -> tuple[int, Rank | int]:
        row = rows[index]
        return order[row.kind], rank(row.match) if row.kind == "pattern" else -len(row.match)

    return sorted(range(len(rows)), key=place)


def expression(row: Row) -> str:
    """Return a row as a regular expression, to be anchored at the beginning of the number."""
    if row.kind == "prefix":
        return re.escape(row.match)
    if row.kind == "extension":
        return re.escape(row.match) + "$"
    literal, tail = split(row.match)
    return re.escape(literal) + tail + "$"
