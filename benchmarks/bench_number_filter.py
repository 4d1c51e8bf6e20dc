"""What filtering one number costs, through the public class and in the compiled module alone.

python benchmarks/bench_number_filter.py [--json] [--count N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.numbers._number_filter import Regex, keep_alphanumeric, remove_separators
from engine.numbers.number_filter import NumberFilter

NUMBERS = ("+1 (415) 484-6048", "+14154846048", "1001", "+49\u00a030\u2013123456")
"""Typed with separators, already clean, an extension, and beyond ASCII."""

NANP = r"^\+?1?\D*(\d{3})"

# The first three find no match, and no end anchor lets RE2 look at the last character first. The
# last one matches, which costs a second pass for the groups.
ADVERSARIAL = ("(a+)+b", "(a|aa)+b", "(.*)(.*)(.*)(.*)(.*)b", "((a|aa)+)!")


def machine() -> dict[str, object]:
    """Return what the figures depend on: processor, cores and Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "machine": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def ns_per_call(count: int, run: Callable[[], object]) -> float:
    """Return the least CPU time of one run in nanoseconds, of five rounds of `count`."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(count):
            run()
        best = min(best, (time.process_time_ns() - began) / count)
    return round(best, 1)


def filters(count: int) -> list[dict[str, object]]:
    """Measure every way of filtering on every kind of number."""
    regex = Regex(NANP)
    ways: list[tuple[str, NumberFilter, Callable[[str], object]]] = [
        ("default", NumberFilter.compile(None), remove_separators),
        ("alphanumeric", NumberFilter.compile(True), keep_alphanumeric),
        ("regex", NumberFilter.compile(NANP), regex.first_group),
    ]
    return [
        {
            "case": name,
            "number": number,
            "ns_per_apply": ns_per_call(count, partial(chosen.apply, number)),
            "ns_compiled_part": ns_per_call(count, partial(part, number)),
        }
        for name, chosen, part in ways
        for number in NUMBERS
    ]


def adversarial(count: int) -> list[dict[str, object]]:
    """Measure patterns that make backtracking exponential, over numbers that grow."""
    rows: list[dict[str, object]] = []
    for pattern in ADVERSARIAL:
        chosen = NumberFilter.compile(pattern)
        for length in (16, 32, 64, 127):
            number = "a" * length + "!"
            cost = ns_per_call(count, partial(chosen.apply, number))
            rows.append({"case": f"adversarial {pattern}", "length": length, "ns_per_apply": cost})
    return rows


def main() -> None:
    """Print a table, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=100_000, help="runs per round")
    arguments = parser.parse_args()
    for row in [machine(), *filters(arguments.count), *adversarial(arguments.count // 20 or 1)]:
        if arguments.json:
            print(json.dumps(row))
        else:
            print("  ".join(f"{key}: {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
