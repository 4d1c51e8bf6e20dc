"""What a library is asked for: to take a table, and to answer numbers with row numbers."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.routes.table import Row

NO_ROW = -1
"""The answer for a number that no row takes."""


def _as_they_are(answers: Sequence[int]) -> array[int]:
    return array("i", answers)


@dataclass(frozen=True, slots=True)
class Built:
    """A table in a library's hands.

    Fields: `call`, asks for one number, and `bulk` for many at once; `row_numbers`, what the
    answers of `bulk` say as places in the table given; `index_bytes`, the library's own account
    of the memory that finding a row takes, `total_bytes`, with what the rows say; None when it
    keeps no account.
    """

    call: Callable[[str], object]
    bulk: Callable[[list[str]], Sequence[int]]
    row_numbers: Callable[[Sequence[int]], array[int]] = _as_they_are
    index_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to look numbers up: its name, how it is used, and what builds it from a table."""

    name: str
    how: str
    build: Callable[[Iterable[Row]], Built]


def from_call(call: Callable[[str], int], index_bytes: int | None = None) -> Built:
    """Return a library that answers with row numbers, one number at a time."""
    return Built(call, lambda numbers: list(map(call, numbers)), index_bytes=index_bytes)
