"""Which cache lines a look-up in a RouteTable reads, by the layout of ext/numbers/literal_set.hpp.

A set of texts is a trie whose nodes are numbered level by level, twelve to a line of 64 bytes. A
look-up walks the literal beginnings of patterns, reads the lists of those it found, and walks the
prefixes. What it reads besides (the automaton of what follows the beginnings, a few kilobytes)
stays in the nearest cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.routes.patterns import split
from benchmarks.routes.table import Row

NODES = 12
LINE = 64
LIST = 8
"""Bytes that say which patterns follow a beginning."""

Line = tuple[int, int]
"""Which set, and which of its lines."""


class Trie:
    """One set of texts: the number of every node, known by the text that leads there."""

    def __init__(self, which: int, texts: Iterable[str]) -> None:
        inner = {text[:length] for text in texts for length in range(len(text))}
        ordered = sorted(inner, key=lambda text: (len(text), text))
        self._nodes = {text: number for number, text in enumerate(ordered)}
        self._which = which
        self.lines = -(-len(ordered) // NODES)

    def walk(self, number: str) -> Iterator[Line]:
        """Name the line of every node on the way of a number."""
        for length in range(len(number)):
            node = self._nodes.get(number[:length])
            if node is None:
                return
            yield self._which, node // NODES


class Layout:
    """The sets of one table of prefixes and patterns, and the lists of patterns by beginning."""

    def __init__(self, rows: Iterable[Row]) -> None:
        rows = list(rows)
        beginnings = {split(row.match)[0] for row in rows if row.kind == "pattern"}
        exact = [row.match for row in rows if row.kind == "extension"]
        prefixes = [row.match for row in rows if row.kind == "prefix"]
        self._tries = [Trie(0, exact), Trie(1, beginnings), Trie(2, prefixes)]
        ordered = sorted(beginnings, key=lambda text: (len(text), text))
        self._lists = {text: place for place, text in enumerate(ordered)}

    @property
    def bytes(self) -> int:
        """What this takes; `RouteTable.index_bytes` counts the automaton besides."""
        return sum(trie.lines for trie in self._tries) * LINE + len(self._lists) * LIST

    def touched(self, number: str, kind: str | None) -> list[Line]:
        """Return the line of every load for a number, in order; `kind` is that of its row.

        The set that decides is the last to be asked.
        """
        asked = {"extension": 1, "pattern": 2}.get(kind or "", len(self._tries))
        return [line for part in self._read(number, asked) for line in part]

    def _read(self, number: str, asked: int) -> Iterator[Iterable[Line]]:
        for which, trie in enumerate(self._tries[:asked]):
            yield trie.walk(number)
            if which == 1:
                yield self._lists_read(number)

    def _lists_read(self, number: str) -> Iterator[Line]:
        for length in range(len(number), -1, -1):
            place = self._lists.get(number[:length])
            if place is not None:
                yield len(self._tries), place * LIST // LINE
