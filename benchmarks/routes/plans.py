"""What DialPlan.match costs, by the step that decides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle, islice
from statistics import median

from benchmarks.routes import queries, table
from engine.numbers.dialplan import (
    BlockedNumbers,
    CarrierRule,
    CarrierRules,
    DialPlan,
    ExtensionIndex,
    ExtensionRule,
    RewriteRule,
)
from engine.numbers.route_table import RouteTable, RouteTableBuilder

COUNT, ROUNDS = 50_000, 9
"""Calls in a round, and rounds: the least and the median are shown."""
ASKED = 10_000
"""How many different numbers are asked for in turn, so that caches of one number do not help."""
EXTENSIONS = 200_000_000
TABLES = (1_000, 1_000_000)

Figures = Iterator[dict[str, object]]

REWRITE = RewriteRule(r"^(\d{7})$", prefix="1415")
CARRIERS = CarrierRules.compile(
    [
        CarrierRule("first", "First", (r"^\+?1(\d{10})$",), 10, "+1"),
        CarrierRule("second", "Second", (r"^\+?(\d{8,15})$",), 20, "+"),
    ]
)


def measure() -> Figures:
    """Return a row of results for each kind of number."""
    yield from _extensions()
    yield from _rules()
    yield from _rewrites()
    yield from _tables()


def _extensions() -> Figures:
    for size in (10, 1_000, 100_000, 1_000_000):
        index = ExtensionIndex.compile(
            ExtensionRule(str(EXTENSIONS + number), "device", "d") for number in range(size)
        )
        plan = DialPlan.compile(extensions=index, rewrites=[REWRITE], carriers=CARRIERS)
        step = max(1, size // ASKED)
        asked = [str(EXTENSIONS + number) for number in range(0, size, step)]
        yield _row("extension", plan, asked, extensions=size)


def _rules() -> Figures:
    index = ExtensionIndex.compile(
        ExtensionRule(str(EXTENSIONS + number), "device", "d") for number in range(1_000)
    )
    blocked = BlockedNumbers.compile({"nuisance": ["+14154846099"]})
    plan = DialPlan.compile(
        extensions=index, rewrites=[REWRITE], carriers=CARRIERS, blocked=blocked
    )
    for step, number in (
        ("two carriers", "+14154846048"),
        ("rewrite, then two carriers", "4846048"),
        ("refused: blocked", "+14154846099"),
        ("refused: restricted", "19005551234"),
        ("no route", "12"),
    ):
        yield _row(step, plan, [number])


def _rewrites() -> Figures:
    """Only the last rewrite matches: the cost of asking all."""
    any_number = CarrierRules.compile([CarrierRule("any", "Any", (".",))])
    for size in (1, 10, 100):
        asked = [RewriteRule(rf"^9{number}(\d+)$") for number in range(size - 1)]
        last = RewriteRule(r"^1(\d+)$")
        plan = DialPlan.compile(rewrites=[*asked, last], carriers=any_number)
        yield _row("last rewrite", plan, ["14154846048"], rewrites=size)


def _tables() -> Figures:
    """Every number goes by the table; queries that hit, by what they hit."""
    for size in TABLES:
        rows = table.deck(size)
        compiled = _compiled(rows)
        plan = DialPlan.compile(table=compiled)
        asked: dict[str, list[str]] = {}
        for number in queries.uniform(rows, ASKED * 4):
            found = compiled.match(number)
            asked.setdefault("no route" if found is None else found.kind, []).append(number)
        for kind, numbers in sorted(asked.items()):
            yield _row(kind, plan, numbers, rows=size)


def _compiled(rows: list[table.Row]) -> RouteTable:
    builder = RouteTableBuilder()
    for line, row in enumerate(rows, start=1):
        builder.add(line, row.kind, row.match, "resource", f"carrier{line % 200}")
    return builder.build()


def _row(step: str, plan: DialPlan, asked: list[str], **sizes: int) -> dict[str, object]:
    numbers, match = list(islice(cycle(asked), COUNT)), plan.match
    costs = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for number in numbers:
            match(number)
        costs.append((time.process_time_ns() - began) / COUNT)
    found = {"ns_call": round(min(costs), 1), "ns_call_median": round(median(costs), 1)}
    return {"case": "plan", "step": step, **sizes, **found}
