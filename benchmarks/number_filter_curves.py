"""How the number filter's cost grows: with hostile patterns, and with the length of the number."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.bench_number_filter import SEPARATORS, Row, ns_per_call
from engine.numbers.number_filter import NumberFilter
from engine.numbers.text import NumberError

HOSTILE = ("(a*)*b", "(a|a)*b", "(.*)*x", "(a+)+b", "(.*)(.*)(.*)(.*)(.*)b")
"""A backtracking matcher tries every way of splitting a text of a's before it gives up."""

MATCHING = "((a|aa)+)!"
"""Matches, so that RE2 has to find the group too."""

LENGTHS = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64, 96, 128)
REFUSED = (129, 1024, 16 * 1024, 1024 * 1024)

STOP_SECONDS = 1.0
"""Python's `re` is not asked for longer texts once one took this long."""


def adversarial() -> list[Row]:
    """Measure hostile patterns over growing texts, and over texts that are refused unread."""
    rows: list[Row] = []
    for pattern in (*HOSTILE, MATCHING):
        chosen, case = NumberFilter.compile(pattern), f"hostile {pattern}"
        for length in LENGTHS:
            cost = ns_per_call(2_000, partial(chosen.apply, text_of(pattern, length)))
            rows.append({"case": case, "length": length, "ns_call": cost})
        for length in REFUSED:
            cost = ns_per_call(1_000, partial(refused, chosen, TEXTS[length]))
            rows.append({"case": case, "length": length, "ns_refused": cost})
        rows += backtracking(pattern, case)
    return rows


def text_of(pattern: str, length: int) -> str:
    """Return the text that costs a backtracking matcher most."""
    return "a" * (length - 1) + "!" if pattern == MATCHING else "a" * length


def backtracking(pattern: str, case: str) -> list[Row]:
    """Measure Python's `re` with a text longer by two each time, which may cost four times more."""
    rows: list[Row] = []
    cost = 0.0
    for length in range(2, 129, 2):
        if cost < STOP_SECONDS * 1e9:
            cost = once(partial(re.compile(pattern).search, text_of(pattern, length)))
            rows.append({"case": case, "length": length, "ns_re": cost})
    return rows


TEXTS = {length: "a" * length for length in REFUSED}


def refused(chosen: NumberFilter, number: str) -> None:
    """Apply a filter to a number that is too long."""
    try:
        chosen.apply(number)
    except NumberError:
        return
    raise AssertionError("a number that is too long was taken")


def once(run: Callable[[], object]) -> float:
    """Return the CPU time of one run in nanoseconds; of many when it is short."""
    began = time.process_time_ns()
    run()
    took = time.process_time_ns() - began
    return float(took) if took > 1_000_000 else ns_per_call(max(1, 1_000_000 // (took + 1)), run)


def by_length() -> list[Row]:
    """Measure every way over numbers from one character to the limit."""
    default, alphanumeric = NumberFilter.compile(None), NumberFilter.compile(True)
    regex = NumberFilter.compile(r"^\+?(\d+)$")
    rows: list[Row] = []
    for length in LENGTHS:
        clean = ("1234567890" * 13)[:length]
        separated = ("123-456 789.0" * 10)[:length]
        ways: dict[str, Callable[[], object]] = {
            "default, clean": lambda: default.apply(clean),
            "default, separated": lambda: default.apply(separated),
            "true, separated": lambda: alphanumeric.apply(separated),
            "regex ^\\+?(\\d+)$": lambda: regex.apply(clean),
            "str.translate, separated": lambda: separated.translate(SEPARATORS),
        }
        rows += [
            {"case": f"length, {name}", "length": length, "ns_call": ns_per_call(20_000, run)}
            for name, run in ways.items()
        ]
    return rows


def draw(folder: Path, hostile: list[Row], lengths: list[Row]) -> None:
    """Write both plots; needs matplotlib of the group `bench`."""
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("Agg")
    plot: Any = import_module("matplotlib.pyplot")
    draw_hostile(plot, hostile)
    plot.savefig(folder / "number_filter_adversarial.png", dpi=110)
    plot.close()
    draw_lengths(plot, lengths)
    plot.savefig(folder / "number_filter_length.png", dpi=110)
    plot.close()


def curve(rows: list[Row], case: str, figure: str) -> tuple[list[object], list[object]]:
    """Return lengths and costs of one case."""
    points = [row for row in rows if row["case"] == case and figure in row]
    return [row["length"] for row in points], [row[figure] for row in points]


def draw_hostile(plot: Any, rows: list[Row]) -> None:
    """Draw cost against length, both logarithmic: ours, Python's, and refused numbers."""
    plot.figure(figsize=(10, 6), layout="constrained")
    cases = list(dict.fromkeys(str(row["case"]) for row in rows))
    for index, case in enumerate(cases):
        name = case.removeprefix("hostile ")
        plot.plot(*curve(rows, case, "ns_call"), f"C{index}-o", label=f"{name}  number filter")
        plot.plot(*curve(rows, case, "ns_re"), f"C{index}--x", label=f"{name}  Python re")
    plot.plot(*curve(rows, cases[0], "ns_refused"), "k:s", label="any pattern, refused by length")
    plot.axvline(128, color="grey", linewidth=1)
    plot.text(140, 3e7, "longer numbers are\nrefused unread", color="grey")
    plot.xscale("log", base=2)
    plot.yscale("log")
    plot.xlabel("length of the number, characters")
    plot.ylabel("CPU time of one call, ns")
    plot.title("Hostile patterns: linear here; a backtracking matcher was stopped at 1 s")
    plot.legend(fontsize=8, ncols=2)
    plot.grid(alpha=0.3)


def draw_lengths(plot: Any, rows: list[Row]) -> None:
    """Draw cost against length, both linear."""
    plot.figure(figsize=(9, 5), layout="constrained")
    for case in dict.fromkeys(str(row["case"]) for row in rows):
        style = "--" if "translate" in case else "-"
        label = case.removeprefix("length, ")
        plot.plot(*curve(rows, case, "ns_call"), f"{style}o", markersize=3, label=label)
    plot.xlabel("length of the number, characters")
    plot.ylabel("CPU time of one call from Python, ns")
    plot.ylim(bottom=0)
    plot.title("Number filter: cost of one call against the length of the number")
    plot.legend()
    plot.grid(alpha=0.3)
