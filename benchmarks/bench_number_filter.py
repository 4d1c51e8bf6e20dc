"""What filtering one number costs, against what Python and its libraries need for the same.

python benchmarks/bench_number_filter.py [--json] [--rounds N] [--plots DIR]

Every figure of a group comes from the same run over the same numbers, in turns: nanoseconds per
number, the best of all rounds. `re2` (google-re2) and the plots need the optional group `bench`;
without it they are left out, and a row says so. hyperscan is no competitor here: it reports no
capture groups.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from subprocess import PIPE
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.numbers.number_filter import NumberFilter

Row = dict[str, object]

ROOT = Path(__file__).resolve().parent.parent

COUNT = 5_000
"""Different numbers of one set: more than a branch predictor learns by heart."""

PATTERNS = {
    "NANP": r"^\+?1?(\d{10})$",
    "access code": r"^9(.*)",
    "search": r"(\d{7,})",
    "area code": r"^\+?1?\D*(\d{3})",
}
"""Regexes as users write them: one pass from the start, one that has to search."""

SEPARATORS = str.maketrans("", "", " ,.-()")
SEPARATOR = re.compile(r"[ ,.\-()]+")
NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


def machine() -> Row:
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


def compare(rounds: int, numbers: int, runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least CPU time per number of each run, all of them in turns."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time_ns()
            run()
            best[name] = min(best[name], (time.process_time_ns() - began) / numbers)
    return {name: round(cost, 1) for name, cost in best.items()}


def optional(name: str) -> ModuleType | None:
    """Import a module of the group `bench`, if it is installed."""
    try:
        return import_module(name)
    except ImportError:
        return None


def number_sets() -> dict[str, list[str]]:
    """Return `COUNT` different numbers of every kind that is typed, made from one seed."""
    chance = random.Random(20260101)

    def digits(count: int) -> str:
        return "".join(chance.choices("0123456789", k=count))

    def many(make: Callable[[], str]) -> list[str]:
        return [make() for _ in range(COUNT)]

    return {
        "clean": many(lambda: f"+1{digits(10)}"),
        "separated": many(lambda: f"+1 ({digits(3)}) {digits(3)}-{digits(4)}"),
        "extension": many(lambda: digits(4)),
        "beyond ASCII": many(lambda: f"+49\u00a0{digits(2)}\u2013{digits(7)}"),
        "tel: URI": many(lambda: f"tel:+1-{digits(3)}-{digits(3)}-{digits(4)}"),
        "sip: URI": many(lambda: f"sip:+1{digits(10)}@example.com;user=phone"),
    }


def in_python(way: str) -> dict[str, Callable[[str], str]]:
    """Return the best Python has for a way of filtering: ASCII only, and it knows no URI."""
    if way == "default":
        return {
            "str.translate": lambda number: number.translate(SEPARATORS),
            "re.sub": lambda number: SEPARATOR.sub("", number),
        }
    if way == "true":
        return {
            "str.isalnum": lambda number: "".join(filter(str.isalnum, number)),
            "re.sub": lambda number: NOT_ALPHANUMERIC.sub("", number),
        }
    return {}


def measured(
    case: str,
    numbers: list[str],
    chosen: NumberFilter,
    others: dict[str, Callable[[str], str]],
    rounds: int,
) -> Row:
    """Measure a filter and its competitors; the row names how many times slower each of them is."""
    apply, apply_many = chosen.apply, chosen.apply_many

    def calls() -> None:
        for number in numbers:
            apply(number)

    runs: dict[str, Callable[[], object]] = {"bulk": lambda: apply_many(numbers), "call": calls}
    for name, other in others.items():
        runs[name] = lambda other=other: [other(number) for number in numbers]  # type: ignore[misc]
    found = compare(rounds, len(numbers), runs)
    slower = {name: round(found[name] / found["bulk"], 1) for name in others}
    return {"case": case, **{f"ns_{name}": cost for name, cost in found.items()}, "slower": slower}


def plain(sets: dict[str, list[str]], rounds: int) -> list[Row]:
    """Measure the three ways without a regex on every kind of number."""
    ways: dict[str, bool | None] = {"default": None, "true": True, "false": False}
    return [
        measured(f"{way}, {kind}", numbers, NumberFilter.compile(spec), in_python(way), rounds)
        for way, spec in ways.items()
        for kind, numbers in sets.items()
    ]


def search_with(found: Callable[[str], re.Match[str] | None]) -> Callable[[str], str]:
    """Return the filter that a regex library's search makes."""

    def filtered(number: str) -> str:
        match = found(number)
        return number if match is None or match[1] is None else match[1]

    return filtered


def regexes(sets: dict[str, list[str]], rounds: int) -> list[Row]:
    """Measure regexes against Python's `re`, google-re2, and RE2 alone in C++."""
    google = optional("re2")
    rows: list[Row] = []
    if google is None:
        rows.append({"missing": "google-re2", "install": "pip install '.[bench]'"})
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "re2_match")
        source = [str(ROOT / "benchmarks" / "re2_match.cpp"), "-I", str(ROOT / "ext" / "numbers")]
        subprocess.run(["c++", "-std=c++20", "-O2", *source, "-lre2", "-o", program], check=True)
        for name, pattern in PATTERNS.items():
            others = {"re": search_with(re.compile(pattern).search)}
            if google is not None:
                others["re2"] = search_with(google.compile(pattern).search)
            for kind in ("clean", "separated"):
                numbers = sets[kind]
                case = f"regex {name} {pattern}, {kind}"
                row = measured(case, numbers, NumberFilter.compile(pattern), others, rounds)
                row["ns_RE2_alone"] = re2_alone(program, pattern, numbers, rounds)
                rows.append(row)
    return rows


def re2_alone(program: Path, pattern: str, numbers: list[str], rounds: int) -> float:
    """Run the C++ program over the same numbers."""
    command = [str(program), pattern, str(rounds)]
    typed = "\n".join(numbers).encode()
    return float(subprocess.run(command, input=typed, stdout=PIPE, check=True).stdout.split()[0])


def compiling(count: int) -> list[Row]:
    """Measure what `compile` adds to a request: kept values, a new pattern, a hostile one."""
    kept: dict[str, bool | str | None] = {"absent": None, "regex": PATTERNS["NANP"]}
    rows: list[Row] = [
        {
            "case": f"compile, {name}",
            "ns_call": ns_per_call(count, lambda: NumberFilter.compile(spec)),
        }
        for name, spec in kept.items()
    ]
    fresh = iter(range(1_000_000))
    for name, beginning in (
        ("new regex", PATTERNS["NANP"]),
        (
            "slow to read, refused at the end",
            "(?i)" + r"\pL\d{900}" * 32 + "[^a]{900}" * 60 + "(?=1)",
        ),
        ("slow to read, too large", "(?i)" + r"\pL{900}" * 32 + "[^a]{900}" * 60),
    ):
        cost = ns_per_call(max(1, count // 10_000), lambda: attempt(f"{beginning}|{next(fresh)}"))
        rows.append({"case": f"compile, {name}", "ns_call": cost})
    return rows


def attempt(pattern: str) -> None:
    """Compile a pattern that may be refused."""
    try:
        NumberFilter.compile(pattern)
    except ValueError:
        return


def main() -> None:
    """Print one row a line, or with --json one object a line."""
    from benchmarks.number_filter_curves import adversarial, by_length, draw  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=25, help="turns of every run")
    parser.add_argument("--plots", type=Path, help="folder to write the PNG plots to")
    arguments = parser.parse_args()
    sets = number_sets()

    def show(rows: list[Row]) -> list[Row]:
        for row in rows:
            line = (
                json.dumps(row)
                if arguments.json
                else "  ".join(f"{k}: {v}" for k, v in row.items())
            )
            print(line, flush=True)
        return rows

    show([machine()])
    show(plain(sets, arguments.rounds))
    show(regexes(sets, arguments.rounds))
    show(compiling(100_000))
    hostile, lengths = show(adversarial()), show(by_length())
    if arguments.plots is not None:
        draw(arguments.plots, hostile, lengths)


if __name__ == "__main__":
    main()
