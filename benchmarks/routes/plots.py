"""The plots of docs/dial_plan_performance.md, from rows of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.routes.contenders import CONTENDERS, OURS

mpl.use("Agg")
from matplotlib import pyplot as plt

Result = dict[str, Any]

# Okabe and Ito's colours, told apart by colour-blind eyes too; ours is the only black.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#8C8C8C", "#B8A000")
MARKERS = "osD^vPXh"
STYLE = {
    contender.name: {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.4}
    for contender, colour, marker in zip(CONTENDERS["deck"][1:], COLOURS, MARKERS, strict=True)
}
STYLE[OURS] = {"color": "black", "marker": "o", "markersize": 7, "linewidth": 2.8}
SIZE_NAMES = {10**power: f"$10^{power}$" for power in range(1, 8)}


def draw(results: list[Result], folder: Path) -> None:
    """Write all plots."""
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    _look_ups(results, folder / "dial_plan_look_ups.png")
    _memory(results, folder / "dial_plan_memory.png")
    _loads(results, folder / "dial_plan_loads.png")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def of(results: list[Result], case: str, **wanted: object) -> list[Result]:
    """Return the results of a case that have these values."""
    return [
        row
        for row in results
        if row.get("case") == case and all(row[key] == value for key, value in wanted.items())
    ]


def _look_ups(results: list[Result], path: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(11.5, 5.2), sharey=True)
    rows = of(results, "look-up", table="deck", queries="uniform")
    floors = of(results, "floor", queries="uniform")
    for panel, way, title in zip(
        panels, ("bulk", "call"), ("many numbers at once", "one number a call"), strict=True
    ):
        for name in (contender.name for contender in CONTENDERS["deck"]):
            points = [(row["rows"], row[f"ns_{way}"]) for row in rows if row["contender"] == name]
            if points:
                zorder = 5 if name == OURS else 2
                panel.plot(*zip(*points, strict=True), label=name, zorder=zorder, **STYLE[name])
        points = [(row["rows"], row[f"ns_{way}"]) for row in floors]
        label = "cache lines alone (floor)"
        panel.plot(*zip(*points, strict=True), "--", color="black", linewidth=1.2, label=label)
        panel.set(xscale="log", yscale="log", title=title, xlabel="routes in the table")
        panel.grid(True, which="major", alpha=0.3)
    panels[0].set_ylabel("nanoseconds per number")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="center left", bbox_to_anchor=(0.91, 0.5), frameon=False)
    _save(figure, path)


def _memory(results: list[Result], path: Path) -> None:
    largest: dict[str, Result] = {}
    for row in of(results, "look-up", table="deck", queries="uniform"):
        largest[row["contender"]] = row
    bars: list[tuple[str, Any, Any]] = [
        (f"{OURS}, what finds a row", largest[OURS]["index_bytes_per_row"], "black")
    ]
    bars.append((f"{OURS}, with the rows", largest[OURS]["total_bytes_per_row"], "#595959"))
    for name, row in largest.items():
        if name != OURS:
            label = f"{name} ({SIZE_NAMES.get(row['rows'], row['rows'])})"
            bars.append((label, row["heap_bytes_per_row"], STYLE[name]["color"]))
    bars.sort(key=lambda bar: -bar[1])
    figure, panel = plt.subplots(figsize=(8.5, 4.4))
    names, values, colours = zip(*bars, strict=True)
    drawn = panel.barh(names, values, color=colours, height=0.65)
    panel.bar_label(drawn, labels=[f"{value:,.1f}" for value in values], padding=4)
    panel.set(
        xscale="log", xlabel="bytes per route (in brackets: routes in the largest table held)"
    )
    panel.set_xlim(left=1, right=max(values) * 2.2)
    _save(figure, path)


def _loads(results: list[Result], path: Path) -> None:
    figure, panel = plt.subplots(figsize=(8.5, 4.4))
    for walks, style in ((1, "o-"), (16, "s--")):
        rows = of(results, "load", walks=walks)
        label = (
            "each load waits for the one before" if walks == 1 else f"{walks} such walks at once"
        )
        points = [(row["bytes"] / 2**20, row["ns_per_load"]) for row in rows]
        panel.plot(*zip(*points, strict=True), style, color="black", markersize=4, label=label)
    for row in of(results, "floor", queries="uniform"):
        panel.axvline(row["index_bytes"] / 2**20, color="#0072B2", linewidth=1, alpha=0.7)
        where = (row["index_bytes"] / 2**20, 0.98)
        text = f" {row['rows']:,} routes"
        transform = panel.get_xaxis_transform()
        panel.text(*where, text, transform=transform, rotation=90, va="top", color="#0072B2")
    panel.set(xscale="log", yscale="log", ylabel="nanoseconds per load")
    panel.set_xlabel("working set in MB; vertical: what finds a row in a deck of that many routes")
    panel.grid(True, alpha=0.3)
    panel.legend(loc="center left", framealpha=1, edgecolor="none")
    _save(figure, path)
