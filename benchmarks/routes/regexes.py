"""The libraries that match many regular expressions at once, and Python's own, one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import hyperscan
import re2

from benchmarks.routes.contender import NO_ROW, Built, Contender, from_call
from benchmarks.routes.patterns import expression, ordered
from benchmarks.routes.table import Row

MEMORY = 3 << 30
"""Bytes that RE2::Set may use for its automaton; its default refuses a hundred thousand rows."""


def _re2_set(table: Iterable[Row]) -> Built:
    rows = list(table)
    order = ordered(rows)
    options = re2.Options()
    options.max_mem = MEMORY
    options.never_capture = True
    options.encoding = re2.Options.Encoding.LATIN1
    expressions = re2.Set.MatchSet(options)
    for index in order:
        expressions.Add(expression(rows[index]))
    expressions.Compile()
    find = expressions.Match

    # Every expression that matches comes back; they were added in order of precedence.
    def call(number: str) -> int:
        found = find(number)
        return order[min(found)] if found else NO_ROW

    return from_call(call)


def _hyperscan(table: Iterable[Row]) -> Built:
    rows = list(table)
    order = ordered(rows)
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[b"^" + expression(rows[index]).encode() for index in order],
        ids=list(range(len(order))),
        elements=len(order),
        flags=hyperscan.HS_FLAG_SINGLEMATCH,
    )
    database.scratch = hyperscan.Scratch(database)
    scan = database.scan
    found: list[int] = []

    def note(which: int, *_: object) -> None:
        found.append(which)

    def call(number: str) -> int:
        found.clear()
        scan(number.encode(), match_event_handler=note)
        return order[min(found)] if found else NO_ROW

    return from_call(call, index_bytes=database.size())


def _loop(table: Iterable[Row]) -> Built:
    rows = list(table)
    order = ordered(rows)
    tests: list[tuple[Callable[[str], object], int]] = [
        (re.compile(expression(rows[index])).match, index) for index in order
    ]

    def call(number: str) -> int:
        for matches, index in tests:
            if matches(number):
                return index
        return NO_ROW

    return from_call(call)


def _alternation(table: Iterable[Row]) -> Built:
    rows = list(table)
    order = ordered(rows)
    # The first alternative that matches wins; a group around each says which it was.
    match = re.compile("|".join(f"({expression(rows[index])})" for index in order)).match

    def call(number: str) -> int:
        found = match(number)
        return NO_ROW if found is None else order[(found.lastindex or 0) - 1]

    return from_call(call)


REGEXES = (
    Contender(
        "RE2::Set", "`Set.MatchSet` of google-re2, the first in order of those that match", _re2_set
    ),
    Contender(
        "hyperscan", "block mode, single match, the first in order of those reported", _hyperscan
    ),
    Contender("re loop", "compiled expressions in order until one matches", _loop),
    Contender("re alternation", "one expression, a group a row, `lastindex`", _alternation),
)
"""For any table."""
