"""What routing one number costs, against other libraries and against what the machine allows.

    python benchmarks/bench_dialplan.py [--json] [--sizes 1000,10000,100000,1000000] [--rounds N]
        [--build-seconds N] [--memory-gb N] [--only look-up|plan|floor]

Look-ups: a RouteTable and the libraries of benchmarks/routes/contenders.py get the same table of
prefixes and patterns (`deck`) or of exact numbers (`sparse`, a million) and the same numbers. Every
library has its own process; they must give the same answers, then take turns, and the least and the
median of the rounds are shown, in CPU time. What cannot build a table and answer within
--build-seconds and --memory-gb is left out, and said so. Floors: see benchmarks/routes/limit.py.
Plans: DialPlan.match by the step that decides. `make bench-setup` installs the libraries;
benchmarks/report_dialplan.py draws and tabulates what --json printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from benchmarks.routes import race
except ImportError as error:
    raise SystemExit(f"{error}: install it with `make bench-setup`") from None
from benchmarks.bench_number_filter import machine
from benchmarks.routes import floors, limit, plans, queries, table

NUMBERS = 100_000
"""Numbers asked for in a round; more than caches can hold the answers of."""
SPARSE = 1_000_000
PARTS = ("look-up", "plan", "floor")


def look_ups(kind: str, sizes: list[int], rounds: int, limits: race.Limits) -> Iterator[object]:
    """Measure all libraries with tables of one kind, from the smallest to the largest."""
    out: set[str] = set()
    for size in sizes:
        rows = table.deck(size) if kind == "deck" else table.sparse(size)
        with TemporaryDirectory() as folder:
            table_file = Path(folder, "rows")
            table.save(rows, table_file)
            asked = []
            for name, numbers in asked_for(rows).items():
                asked.append(Path(folder, name))
                asked[-1].write_text("".join(f"{number}\n" for number in numbers))
            del rows
            run = race.gather(kind, table_file, asked, limits, out)
            try:
                race.run(run, asked, rounds)
            finally:
                race.stop(run)
        # What gave up with a table is not tried with a larger one.
        out |= run.given_up.keys()
        yield from race.figures(run, size, asked)


def asked_for(rows: list[table.Row]) -> dict[str, list[str]]:
    """Return the numbers to ask for, by how they are drawn."""
    return {"uniform": queries.uniform(rows, NUMBERS), "zipf": queries.zipf(rows, NUMBERS)}


def against_the_machine(sizes: list[int]) -> Iterator[object]:
    """Measure what loads cost here, and compute the floors of look-ups in decks."""
    measured = limit.measure()
    yield from floors.curves(measured)
    yield floors.empty_call()
    for size in sizes:
        rows = table.deck(size)
        yield from floors.floors(rows, asked_for(rows), measured)


def measure(arguments: argparse.Namespace) -> Iterator[object]:
    """Return all rows of results, each as soon as it is known."""
    sizes = sorted(int(size) for size in arguments.sizes.split(","))
    limits = race.Limits(arguments.build_seconds, int(arguments.memory_gb * 2**30))
    parts = PARTS if arguments.only is None else (arguments.only,)
    yield machine()
    if "floor" in parts:
        yield from against_the_machine(sizes)
    if "plan" in parts:
        yield from plans.measure()
    if "look-up" in parts:
        yield from look_ups("deck", sizes, arguments.rounds, limits)
        yield from look_ups("sparse", [SPARSE], arguments.rounds, limits)


def main() -> None:
    """Print a line for each result, or with --json one object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="rows of the decks")
    parser.add_argument("--rounds", type=int, default=9, help="turns each library gets")
    parser.add_argument("--build-seconds", type=float, default=60, help="to build and answer first")
    parser.add_argument("--memory-gb", type=float, default=4, help="address space of a library")
    parser.add_argument("--only", choices=PARTS, help="one part of the benchmark")
    for row in measure(parser.parse_args()):
        assert isinstance(row, dict)
        if parser.parse_args().json:
            print(json.dumps(row), flush=True)
        else:
            print("  ".join(f"{key}: {value}" for key, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
