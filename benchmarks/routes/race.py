"""All contenders with one table, each in its process, asked in turn: noise hits all alike."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

from benchmarks.routes.contenders import CONTENDERS, OURS

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a library may take: `build_s` to build and check, `memory` in bytes, of all it maps."""

    build_s: float
    memory: int


class GivenUp(Exception):
    """A library could not do it within the limits."""


class Entrant:
    """A contender's process."""

    def __init__(
        self, table: str, name: str, rows: Path, queries: list[Path], limits: Limits
    ) -> None:
        self.name = name
        self._limits = limits
        self._complaints = TemporaryFile()  # noqa: SIM115 - read when the process has ended
        command = [sys.executable, "-m", "benchmarks.routes.worker", table, name, str(rows)]
        self._process = subprocess.Popen(
            [*command, str(limits.memory), *map(str, queries)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        self.facts: dict[str, object] = {}
        self.times: dict[tuple[str, str], list[float]] = {}

    def read(self) -> dict[str, object]:
        """Return the next answer; raises GivenUp when it takes too long or the process ended."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], self._limits.build_s)[0]:
            self.stop()
            raise GivenUp(f"not within {self._limits.build_s:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise GivenUp(self._last_words())
        answer: dict[str, object] = json.loads(line)
        return answer

    def ask(self, *order: str) -> dict[str, object]:
        """Give an order and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(order) + "\n")
        self._process.stdin.flush()
        return self.read()

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").splitlines()
        said = lines[-1][:200] if lines else f"status {self._process.returncode}"
        return f"{said} (with {self._limits.memory / 2**30:.0f} GB)"

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@dataclass(slots=True)
class Race:
    """The contenders that are still in, and the reasons of those that are not."""

    table: str
    entrants: list[Entrant] = field(default_factory=list)
    given_up: dict[str, str] = field(default_factory=dict)


def gather(table: str, rows: Path, queries: list[Path], limits: Limits, out: set[str]) -> Race:
    """Build every contender but those of `out`, one after the other, and compare the answers.

    Raises AssertionError when two libraries disagree about one number.
    """
    race = Race(table)
    for contender in CONTENDERS[table]:
        if contender.name in out:
            continue
        entrant = Entrant(table, contender.name, rows, queries, limits)
        try:
            entrant.facts = entrant.read()
            for path in queries:
                _agree(entrant, path)
        except GivenUp as reason:
            race.given_up[contender.name] = str(reason)
            continue
        race.entrants.append(entrant)
    return race


def _agree(entrant: Entrant, path: Path) -> None:
    answers = str(path.with_suffix(".answers"))
    if entrant.name == OURS:
        entrant.facts |= entrant.ask("answer", path.stem, answers)
        return
    found = entrant.ask("check", path.stem, answers)
    assert not found["wrong"], f"{entrant.name} and {OURS} disagree: {found}"


def run(race: Race, queries: list[Path], rounds: int) -> None:
    """Ask every entrant in turn, `rounds` times."""
    for _ in range(rounds):
        for path in queries:
            for entrant in race.entrants:
                for way, cost in entrant.ask("round", path.stem).items():
                    assert isinstance(cost, float)
                    entrant.times.setdefault((path.stem, way), []).append(cost)


def figures(race: Race, size: int, queries: list[Path]) -> list[dict[str, object]]:
    """Return a row of results for each contender and kind of queries."""
    ours = next(entrant for entrant in race.entrants if entrant.name == OURS)
    found: list[dict[str, object]] = []
    for entrant in race.entrants:
        for path in queries:
            row: dict[str, object] = {
                "case": "look-up",
                "table": race.table,
                "rows": size,
                "queries": path.stem,
                "contender": entrant.name,
            }
            for way in ("bulk", "call"):
                times, least = entrant.times[path.stem, way], min(ours.times[path.stem, way])
                row[f"ns_{way}"] = round(min(times), 1)
                row[f"ns_{way}_median"] = round(median(times), 1)
                row[f"{way}_times_ours"] = round(min(times) / least, 2)
            found.append(row | _facts(entrant, size, path.stem))
    found += [
        {"case": "given up", "table": race.table, "rows": size, "contender": name, "why": why}
        for name, why in race.given_up.items()
    ]
    return found


def _facts(entrant: Entrant, size: int, queries: str) -> dict[str, object]:
    facts = entrant.facts
    shown: dict[str, object] = {"build_s": facts["build_s"]}
    for name in ("heap", "index", "total"):
        value = facts[f"{name}_bytes"]
        if isinstance(value, int):
            shown[f"{name}_bytes_per_row"] = round(value / size, 2)
    counts = facts["counts"]
    assert isinstance(counts, dict)
    return shown | {"numbers_a_round": counts[queries]}


def stop(race: Race) -> None:
    """End all processes."""
    for entrant in race.entrants:
        entrant.stop()
