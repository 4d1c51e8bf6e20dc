"""Everyone who is measured, by table."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from benchmarks.routes.contender import NO_ROW, Built, Contender
from benchmarks.routes.regexes import REGEXES
from benchmarks.routes.table import Row
from benchmarks.routes.tries import DECK, EXACT
from engine.numbers.route_table import RouteTableBuilder

CARRIERS = 200
"""How many resources the rows of a table lead to."""


def _route_table(rows: Iterable[Row]) -> Built:
    builder = RouteTableBuilder()
    for line, row in enumerate(rows, start=1):
        builder.add(line, row.kind, row.match, "resource", f"carrier{line % CARRIERS}")
    table = builder.build()

    def row_numbers(answers: Sequence[int]) -> array[int]:
        return array("i", (NO_ROW if at < 0 else table.line(at) - 1 for at in answers))

    return Built(table.match, table.match_many, row_numbers, table.index_bytes, table.total_bytes)


OURS = "RouteTable"

CONTENDERS = {
    "deck": (
        Contender(OURS, "`match` and `match_many`", _route_table),
        *DECK,
        *REGEXES,
    ),
    "sparse": (Contender(OURS, "`match` and `match_many`", _route_table), *EXACT),
}
"""Who looks up what: in a rate deck of prefixes and patterns, in sparse exact numbers."""
