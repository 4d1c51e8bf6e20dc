"""One library with one table in a process of its own, which times itself when it is told to.

    python -m benchmarks.routes.worker TABLE NAME ROWS MEMORY QUERIES...

TABLE and NAME say which contender; ROWS is a file of `table.save`, each of QUERIES one of numbers,
known by its stem. MEMORY is how many bytes the process may take. Then one order a line, and one
JSON object a line as the answer:

    answer QUERIES FILE      write the row numbers of all queries to FILE
    check QUERIES FILE       compare one's own row numbers with those
    round QUERIES            ask for the numbers once in batches and once one by one
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.routes.contender import Built
from benchmarks.routes.contenders import CONTENDERS
from benchmarks.routes.heap import bytes_in_use
from benchmarks.routes.table import load

ROUND_NS = 400_000_000
"""About how long a round may take: the slow are asked for fewer numbers, from the front."""
FEWEST, FEW = 5, 5_000
BATCH = 1_000
"""Numbers asked for at once, in bulk."""


class Queries:
    """Numbers to ask for, as many as a library can answer in a round."""

    def __init__(self, text: str, built: Built) -> None:
        self._text = text
        self.count = text.count("\n")
        few = self.fresh()[:FEWEST]
        cost = _ns(lambda: built.bulk(few)) / FEWEST
        if cost * FEW < ROUND_NS:
            few = self.fresh()[:FEW]
            cost = _ns(lambda: built.bulk(few)) / FEW
        self.count = max(FEWEST, min(self.count, int(ROUND_NS / cost)))

    def fresh(self) -> list[str]:
        """Return the numbers as strings nobody has hashed yet."""
        return self._text.split("\n")[: self.count]

    def batches(self) -> Iterator[list[str]]:
        """Return the numbers in parts, each made just before it is asked for.

        So the strings are near, as after reading them from somewhere, and the table is not.
        """
        numbers = self.fresh()
        parts = [",".join(numbers[at : at + BATCH]) for at in range(0, self.count, BATCH)]
        del numbers
        return (part.split(",") for part in parts)


def _ns(run: Callable[[], object]) -> int:
    began = time.process_time_ns()
    run()
    return time.process_time_ns() - began


def _each(call: Callable[[str], object], numbers: list[str]) -> None:
    for number in numbers:
        call(number)


def _round(built: Built, queries: Queries) -> dict[str, object]:
    bulk = sum(_ns(lambda: built.bulk(numbers)) for numbers in queries.batches())
    single = sum(_ns(lambda: _each(built.call, numbers)) for numbers in queries.batches())
    return {"bulk": bulk / queries.count, "call": single / queries.count}


def _check(built: Built, queries: Queries, path: Path) -> dict[str, object]:
    numbers = queries.fresh()
    wanted = array("i", path.read_bytes())[: len(numbers)]
    got = built.row_numbers(built.bulk(numbers))
    wrong = [at for at in range(len(numbers)) if got[at] != wanted[at]]
    first = {"number": numbers[wrong[0]], "row": got[wrong[0]]} if wrong else {}
    return {"checked": len(numbers), "wrong": len(wrong), **first}


def _answer(built: Built, queries: Queries, path: Path) -> dict[str, object]:
    answers = built.row_numbers(built.bulk(queries.fresh()))
    path.write_bytes(answers.tobytes())
    return {"missed": sum(row < 0 for row in answers) / len(answers)}


def _obey(built: Built, queries: dict[str, Queries], order: list[str]) -> dict[str, object]:
    asked = queries[order[1]]
    if order[0] == "round":
        return _round(built, asked)
    return (_check if order[0] == "check" else _answer)(built, asked, Path(order[2]))


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    """Build, say what it took, then obey until the input ends."""
    table, name, rows, memory, *paths = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    contender = next(each for each in CONTENDERS[table] if each.name == name)
    # Loads the library before memory is looked at.
    contender.build(list(load(Path(rows)))[:10])
    texts = {Path(path).stem: Path(path).read_text() for path in paths}
    before = bytes_in_use()
    began = time.process_time_ns()
    built = contender.build(load(Path(rows)))
    took = time.process_time_ns() - began
    queries = {stem: Queries(text, built) for stem, text in texts.items()}
    # With what a library only builds when it is asked, as RE2 does.
    grown = bytes_in_use() - before
    gc.disable()
    _say(
        {
            "build_s": took / 1e9,
            "heap_bytes": grown,
            "index_bytes": built.index_bytes,
            "total_bytes": built.total_bytes,
            "counts": {stem: asked.count for stem, asked in queries.items()},
        }
    )
    for line in sys.stdin:
        _say(_obey(built, queries, line.split()))


if __name__ == "__main__":
    main()
