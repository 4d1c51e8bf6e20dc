"""What the machine allows: the time of loads that wait for each other, and a look-up's share.

The floor of a look-up is the sum over its loads, each of which needs the one before, of what a
load costs from where its cache line is. Where that is follows from its reuse distance, how many
other lines were read since it was read last: walking in a circle through that many lines is what
the curve of load_latency.cpp measures. The floor of many look-ups at once takes the loads of
`CHAINS` independent walks instead.
"""

from __future__ import annotations

import subprocess
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.routes.lines import LINE, Line

SOURCE = Path(__file__).with_name("load_latency.cpp")
CHAINS = 16
SMALLEST, LARGEST = 4096, 64 << 20


@dataclass(frozen=True, slots=True)
class Curve:
    """Nanoseconds a load costs by working set: `sizes` in bytes, ascending, and `costs`."""

    sizes: tuple[int, ...]
    costs: tuple[float, ...]

    def at(self, size: float) -> float:
        """Return the cost for a working set between the measured ones."""
        right = bisect_left(self.sizes, size)
        if right == 0:
            return self.costs[0]
        if right == len(self.sizes):
            return self.costs[-1]
        low, high = self.sizes[right - 1], self.sizes[right]
        share = log(size / low) / log(high / low)
        return self.costs[right - 1] + share * (self.costs[right] - self.costs[right - 1])


def measure() -> dict[int, Curve]:
    """Compile and run load_latency.cpp; return the curve of one walk and of `CHAINS` at once.

    Raises CalledProcessError when there is no C++ compiler.
    """
    with TemporaryDirectory() as folder:
        program = str(Path(folder, "load_latency"))
        subprocess.run(["c++", "-std=c++20", "-O2", "-o", program, str(SOURCE)], check=True)
        command = [program, str(CHAINS), str(SMALLEST), str(LARGEST)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[int, list[tuple[int, float]]] = {}
    for line in printed.splitlines():
        size, chains, cost = line.split()
        found.setdefault(int(chains), []).append((int(size), float(cost)))
    return {
        chains: Curve(tuple(size for size, _ in points), tuple(cost for _, cost in points))
        for chains, points in found.items()
    }


def reuse_distances(looked_up: Iterable[list[Line]], footprint: int) -> list[list[int]]:
    """Return for each look-up how many different lines were read since each of its lines was.

    A line read for the first time counts as far as `footprint`, all lines that there are.
    """
    looked_up = list(looked_up)
    tree = _Counts(sum(map(len, looked_up)))
    last: dict[Line, int] = {}
    now = 0
    found = []
    for lines in looked_up:
        distances = []
        for line in lines:
            before = last.get(line)
            distances.append(footprint if before is None else tree.after(before))
            if before is not None:
                tree.add(before, -1)
            tree.add(now, 1)
            last[line] = now
            now += 1
        found.append(distances)
    return found


class _Counts:
    """Which moments are the last of some line; a Fenwick tree."""

    def __init__(self, size: int) -> None:
        self._sums = [0] * (size + 1)
        self._all = 0

    def add(self, at: int, change: int) -> None:
        self._all += change
        at += 1
        while at < len(self._sums):
            self._sums[at] += change
            at += at & -at

    def after(self, at: int) -> int:
        at += 1
        upto = 0
        while at:
            upto += self._sums[at]
            at &= at - 1
        return self._all - upto


def floor(curve: Curve, distances: list[list[int]]) -> float:
    """Return the nanoseconds that the loads of a look-up cost on average."""
    total = sum(curve.at((distance + 1) * LINE) for each in distances for distance in each)
    return total / len(distances)
