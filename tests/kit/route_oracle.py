"""A route table as plainly as it can be said: every row is tried, the rules are read off the lines.

Slow on purpose. Rows are named by their line, counted from 1, because an index of the compiled
table is its own affair.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.numbers.route_rows import RouteRow
from tests.kit import asterisk_oracle

KINDS = ("extension", "pattern", "prefix", "regex")
"""In the order in which they are asked."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A row to try: its line, what is dialled, and how much of the number the row's text is."""

    line: int
    number: str
    length: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a table says to a number: kind and line of the best row, and the rows to try."""

    kind: str
    line: int
    number: str
    hunt: tuple[Hop, ...]


def without_plus(text: str) -> str:
    """Return a text without one + at its beginning."""
    return text[1:] if text.startswith("+") else text


def same_text(row: RouteRow) -> object:
    """Return what is equal for two rows of a kind when they are meant for the same numbers."""
    if row.kind == "pattern":
        return asterisk_oracle.parse(row.match)
    return without_plus(row.match) if row.kind == "prefix" else row.match


def takes(row: RouteRow, number: str) -> bool:
    """Tell whether a row, seen alone, takes a number."""
    if row.kind == "extension":
        return row.match == number
    if row.kind == "pattern":
        return asterisk_oracle.parse(row.match).matches(number)
    if row.kind == "prefix":
        return without_plus(number).startswith(without_plus(row.match))
    return search(row.match, number) is not None


def search(regex: str, number: str) -> re.Match[str] | None:
    """Search as RE2 does: \\d is ASCII, and $ is the very end of the text."""
    return re.search(regex.replace("$", r"\Z"), number, re.ASCII)


def dialled(row: RouteRow, number: str) -> str:
    """Return what is dialled when a row that takes a number is chosen."""
    if row.kind == "regex":
        found = search(row.match, number)
        taking_part = [group for group in found.groups() if group is not None] if found else []
        number = taking_part[0] if taking_part else number
    if row.strip == 0 and row.prepend == "":
        return number
    return row.prepend + without_plus(number)[row.strip :]


class RouteOracle:
    """A table that is read from the first row to the last for every question."""

    def __init__(self, rows: Iterable[RouteRow]) -> None:
        self.rows = list(enumerate(rows, start=1))

    def row(self, line: int) -> RouteRow:
        """Return the row of a line."""
        return self.rows[line - 1][1]

    def group(self, line: int) -> list[int]:
        """Return the lines of a row's group, in the order they are tried."""
        one = self.row(line)
        lines = [
            other
            for other, row in self.rows
            if row.kind == one.kind and same_text(row) == same_text(one)
        ]
        return sorted(lines, key=self.place_in_group)

    def place_in_group(self, line: int) -> tuple[int, int, int]:
        """Sort by priority, then the heavier, then the earlier row."""
        row = self.row(line)
        return row.priority, -row.weight, line

    def winners(self, number: str, kind: str) -> list[int]:
        """Return the first row of every group of a kind that takes a number, best first."""
        taking = [line for line, row in self.rows if row.kind == kind and takes(row, number)]
        heads = list(dict.fromkeys(self.group(line)[0] for line in taking))
        if kind == "pattern":
            return sorted(heads, key=self.rank)
        if kind == "prefix":
            return sorted(heads, key=self.length, reverse=True)
        return heads

    def rank(self, line: int) -> asterisk_oracle.Rank:
        """Return what Asterisk sorts a pattern by."""
        return asterisk_oracle.parse(self.row(line).match).rank()

    def length(self, line: int) -> int:
        """Return how many characters of a number a prefix is."""
        return len(without_plus(self.row(line).match))

    def all(self, number: str) -> list[int]:
        """Return the first row of every group that takes a number, best first."""
        return [line for kind in KINDS for line in self.winners(number, kind)]

    def match(self, number: str) -> Answer | None:
        """Return what the table says to a number, or None when no row takes it."""
        taking = self.all(number)
        if not taking:
            return None
        best = self.row(taking[0])
        heads = self.winners(number, "prefix") if best.kind == "prefix" else taking[:1]
        lines = [line for head in heads for line in self.group(head)]
        hunt = tuple(self.hop(line, number) for line in lines)
        return Answer(best.kind, taking[0], hunt[0].number, hunt)

    def hop(self, line: int, number: str) -> Hop:
        """Return a row as one to try for a number."""
        row = self.row(line)
        length = self.length(line) if row.kind == "prefix" else len(number)
        return Hop(line, dialled(row, number), length)


def forbidden(before: Sequence[RouteRow], row: RouteRow) -> bool:
    """Tell whether rows before forbid a row: a group is one endpoint, or carriers only."""
    group = [one for one in before if one.kind == row.kind and same_text(one) == same_text(row)]
    return bool(group) and any(one.to != "resource" for one in [*group, row])


def consistent(rows: Iterable[RouteRow]) -> list[RouteRow]:
    """Leave out rows that those before forbid."""
    kept: list[RouteRow] = []
    for row in rows:
        if not forbidden(kept, row):
            kept.append(row)
    return kept
