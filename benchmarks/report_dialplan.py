"""Draw the plots and write the tables of docs/dial_plan_performance.md.

    python benchmarks/bench_dialplan.py --json > build/dialplan.jsonl
    python benchmarks/report_dialplan.py build/dialplan.jsonl

A table stands between `<!-- NAME -->` and `<!-- end -->`; the rest of the page is left alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

try:
    from benchmarks.routes.contenders import CONTENDERS, OURS
    from benchmarks.routes.plots import Result, draw, of
except ImportError as error:
    raise SystemExit(f"{error}: install it with `make bench-setup`") from None

PAGE = ROOT / "docs" / "dial_plan_performance.md"


def table(heads: str, rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table, figures to the right; `heads` are separated by bars."""
    cells = [[str(cell) for cell in row] for row in rows]
    words = [
        any(re.search("[a-z]", cell) for cell in column) for column in zip(*cells, strict=True)
    ]
    columns = [head.strip() for head in heads.split("|")]
    lines = [columns, ["---" if is_word else "---:" for is_word in words], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: float | None) -> str:
    """Return a number with as many digits as it is worth."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def timed(row: Result, way: str) -> list[str]:
    """Return least and median time, and how many times ours the least is."""
    times = "" if row["contender"] == OURS else figure(row[f"{way}_times_ours"])
    return [figure(row[f"ns_{way}"]), figure(row[f"ns_{way}_median"]), times]


def machine(results: list[Result]) -> str:
    """Return the line that says where it was measured."""
    said, empty = results[0], of(results, "empty call")[0]
    return (
        f"Measured on: {said['machine']}, {said['cores']} cores, Python {said['python']}, where a "
        f"call of a compiled function that does nothing takes {figure(empty['ns_call'])} ns."
    )


def compared(results: list[Result], kind: str, queries: str) -> str:
    """Return the largest table each library managed, with why none larger."""
    rows = of(results, "look-up", table=kind, queries=queries)
    gone = {row["contender"]: row for row in of(results, "given up", table=kind)}
    lines = []
    for contender in CONTENDERS[kind]:
        measured = [row for row in rows if row["contender"] == contender.name]
        why = gone.get(contender.name)
        note = f"{why['rows']:,}: {why['why']}" if why else ""
        if not measured:
            lines.append([contender.name, *[""] * 9, note])
            continue
        row = measured[-1]
        memory = row["index_bytes_per_row" if contender.name == OURS else "heap_bytes_per_row"]
        lines.append(
            [
                *(contender.name, f"{row['rows']:,}", *timed(row, "bulk"), *timed(row, "call")),
                *(figure(memory), figure(row["build_s"]), note),
            ]
        )
    heads = "library | routes | bulk ns | median | x ours | call ns | median | x ours"
    return table(f"{heads} | bytes per route | build s | gave up at", lines)


def sizes(results: list[Result]) -> str:
    """Return ours by size, and how many times as long the fastest other takes."""
    lines = []
    for row in of(results, "look-up", table="deck", contender=OURS):
        others = [
            other
            for other in of(results, "look-up", table="deck", rows=row["rows"])
            if other["queries"] == row["queries"] and other["contender"] != OURS
        ]
        cells = [f"{row['rows']:,}", row["queries"]]
        for way in ("bulk", "call"):
            best = min(others, key=lambda other: other[f"ns_{way}"])
            said = f"{best['contender']}, {figure(best[f'{way}_times_ours'])} times"
            cells += [figure(row[f"ns_{way}"]), said]
        memory = (figure(row[f"{part}_bytes_per_row"]) for part in ("index", "total"))
        lines.append([*cells, *memory, figure(row["build_s"])])
    heads = "routes | numbers | bulk ns | fastest other | call ns | fastest other"
    return table(f"{heads} | bytes per route | with the rows | build s", lines)


def floors(results: list[Result]) -> str:
    """Return the floor of each deck and how far above it ours is."""
    lines = []
    for row in of(results, "floor"):
        same = {"rows": row["rows"], "queries": row["queries"]}
        ours = of(results, "look-up", table="deck", contender=OURS, **same)[0]
        cells = [
            f"{row['rows']:,}",
            row["queries"],
            row["loads"],
            row["lines"],
            figure(row["index_bytes"] / 1024),
        ]
        for way in ("call", "bulk"):
            floor, ns = row[f"ns_{way}"], ours[f"ns_{way}"]
            cells += [figure(floor), figure(ns), figure(ns / floor)]
        lines.append(cells)
    heads = "routes | numbers | loads | lines | index KB | call: floor ns | measured | times"
    return table(f"{heads} | bulk: floor ns | measured | times", lines)


def plans(results: list[Result]) -> str:
    """Return what a DialPlan takes, step by step."""
    lines = []
    for row in of(results, "plan"):
        kinds = ("extensions", "rewrites", "rows")
        told = ", ".join(f"{row[kind]:,} {kind}" for kind in kinds if kind in row)
        lines.append([row["step"], told, figure(row["ns_call"]), figure(row["ns_call_median"])])
    return table("what decides | of | ns per call | median", lines)


def used(_: list[Result]) -> str:
    """Return how each library is asked."""
    everyone = [(each.name, each.how) for kind in ("deck", "sparse") for each in CONTENDERS[kind]]
    return table("library | asked through", dict.fromkeys(everyone))


SECTIONS: dict[str, Callable[[list[Result]], str]] = {
    "machine": machine,
    "libraries": used,
    "deck": lambda results: compared(results, "deck", "uniform"),
    "deck zipf": lambda results: compared(results, "deck", "zipf"),
    "sizes": sizes,
    "sparse": lambda results: compared(results, "sparse", "uniform"),
    "sparse zipf": lambda results: compared(results, "sparse", "zipf"),
    "floors": floors,
    "plans": plans,
}


def main() -> None:
    """Read the results named on the command line; write the page and the plots beside it."""
    lines = Path(sys.argv[1]).read_text().splitlines()
    results: list[Result] = [json.loads(line) for line in lines]
    page = PAGE.read_text()
    for name, section in SECTIONS.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = section(results)
        page, count = mark.subn(rf"\g<1>{text}\n\g<2>", page)
        if count != 1:
            raise SystemExit(f"{PAGE.name} has {count} places for {name!r}, 1 is needed")
    PAGE.write_text(page)
    draw(results, PAGE.parent)


if __name__ == "__main__":
    main()
