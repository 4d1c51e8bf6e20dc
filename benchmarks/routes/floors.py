"""How near a look-up is to what the machine allows."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.routes.limit import CHAINS, Curve, floor, reuse_distances
from benchmarks.routes.lines import LINE, Layout
from benchmarks.routes.table import Row
from engine.numbers.route_table import RouteTable, RouteTableBuilder

SAMPLE = 20_000
"""How many numbers are followed, after as many that only bring lines near."""

AUTOMATON = 512 << 10
"""At most what the automaton of patterns takes, in bytes."""


def curves(measured: dict[int, Curve]) -> Iterator[dict[str, object]]:
    """Return the machine's curves as rows of results."""
    for chains, curve in measured.items():
        for size, cost in zip(curve.sizes, curve.costs, strict=True):
            yield {"case": "load", "walks": chains, "bytes": size, "ns_per_load": round(cost, 2)}


def empty_call() -> dict[str, object]:
    """Return what calling a compiled function that does nothing costs, with the loop around."""
    numbers = [str(number) for number in range(SAMPLE)]
    costs = []
    for _ in range(50):
        began = time.process_time_ns()
        for number in numbers:
            callable(number)
        costs.append((time.process_time_ns() - began) / SAMPLE)
    return {"case": "empty call", "ns_call": round(min(costs), 1)}


def floors(
    rows: list[Row], queries: dict[str, list[str]], measured: dict[int, Curve]
) -> Iterator[dict[str, object]]:
    """Return loads, lines and floor of a look-up for each kind of queries.

    Raises AssertionError when lines.py no longer describes the layout of the compiled table.
    """
    layout, table = Layout(rows), _compiled(rows)
    assert 0 <= table.index_bytes - layout.bytes < AUTOMATON, (
        f"lines.py expects {layout.bytes} bytes, the table has {table.index_bytes}"
    )
    for name, numbers in queries.items():
        touched = []
        for number in numbers:
            found = table.match(number)
            touched.append(layout.touched(number, None if found is None else found.kind))
        footprint = len({line for lines in touched for line in lines})
        followed = reuse_distances(touched[: 2 * SAMPLE], footprint)[-SAMPLE:]
        yield {
            "case": "floor",
            "rows": len(rows),
            "queries": name,
            "loads": round(sum(map(len, touched)) / len(touched), 1),
            "lines": round(sum(len(set(lines)) for lines in touched) / len(touched), 1),
            "index_bytes": table.index_bytes,
            "touched_bytes": footprint * LINE,
            "ns_call": round(floor(measured[1], followed), 1),
            "ns_bulk": round(floor(measured[CHAINS], followed), 1),
        }


def _compiled(rows: list[Row]) -> RouteTable:
    builder = RouteTableBuilder()
    for line, row in enumerate(rows, start=1):
        builder.add(line, row.kind, row.match, "resource", "carrier")
    return builder.build()
