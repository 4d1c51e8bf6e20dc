"""What routing one number costs, by the size of the table and by the step that decides.

python benchmarks/bench_dialplan.py [--json] [--count N] [--sizes 10,1000,100000]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_number_filter import machine, ns_per_call
from engine.numbers.dialplan import (
    CarrierRule,
    CarrierRules,
    DialPlan,
    ExtensionIndex,
    ExtensionRule,
    RewriteRule,
)

ASKED = 10_000
"""How many different numbers are asked for in turn, so that caches of one number do not help."""


def plan(size: int) -> DialPlan:
    """Return a plan of `size` extensions, one rewrite rule and two carriers."""
    return DialPlan.compile(
        extensions=ExtensionIndex.compile(
            ExtensionRule(str(200_000_000 + index), "device", "d") for index in range(size)
        ),
        rewrites=[RewriteRule(r"^(\d{7})$", prefix="1415")],
        carriers=CarrierRules.compile(
            [
                CarrierRule("first", "First", (r"^\+?1(\d{10})$",), 10, "+1"),
                CarrierRule("second", "Second", (r"^\+?(\d{8,15})$",), 20, "+"),
            ]
        ),
    )


def extensions(count: int, size: int) -> dict[str, object]:
    """Measure a hit in the table of extensions."""
    began = time.process_time_ns()
    compiled = plan(size)
    built = time.process_time_ns() - began
    step = max(1, size // ASKED)
    asked = cycle([str(200_000_000 + index) for index in range(0, size, step)])
    return {
        "case": "extension",
        "extensions": size,
        "ns_per_match": ns_per_call(count, lambda: compiled.match(next(asked))),
        "ns_compile_per_extension": round(built / size, 1),
    }


def rules(count: int) -> list[dict[str, object]]:
    """Measure the numbers that no extension takes."""
    compiled = plan(1000)
    cases = (
        ("two carriers", "+14154846048"),
        ("rewrite, then two carriers", "4846048"),
        ("no route", "12"),
    )
    return [
        {"case": case, "ns_per_match": ns_per_call(count, partial(compiled.match, number))}
        for case, number in cases
    ]


def rewrites(count: int) -> list[dict[str, object]]:
    """Measure rewrite rules of which only the last matches: the cost of trying each."""
    rows: list[dict[str, object]] = []
    for size in (1, 10, 100):
        tried = [RewriteRule(rf"^9{index}(\d+)$") for index in range(size - 1)]
        compiled = DialPlan.compile(
            rewrites=[*tried, RewriteRule(r"^1(\d+)$")],
            carriers=CarrierRules.compile([CarrierRule("any", "Any", (".",))]),
        )
        cost = ns_per_call(count // 10 or 1, partial(compiled.match, "14154846048"))
        rows.append({"case": "last rewrite", "rewrites": size, "ns_per_match": cost})
    return rows


def main() -> None:
    """Print a table, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=100_000, help="runs per round")
    parser.add_argument("--sizes", default="10,1000,100000", help="tables of extensions")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    rows = [machine(), *(extensions(arguments.count, size) for size in sizes)]
    for row in [*rows, *rules(arguments.count), *rewrites(arguments.count)]:
        if arguments.json:
            print(json.dumps(row))
        else:
            print("  ".join(f"{key}: {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
