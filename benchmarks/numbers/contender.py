"""What a library is asked for: to take a table, and to answer numbers with row numbers."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.numbers.table import Row

NO_ROW = -1
"""The answer for a number that no row takes."""


@dataclass(frozen=True, slots=True)
class Built:
    """A table in a library's hands.

    Fields: `call`, asks for one number; `row_of`, what its answer says as a row number; `bulk`,
    asks for many at once, as row numbers; `own_bytes`, the library's own account of the memory
    needed to find a row, `payload_bytes`, of what the rows say besides; None when it keeps none.
    """

    call: Callable[[str], object]
    row_of: Callable[[object], int]
    bulk: Callable[[list[str]], Iterable[int]]
    own_bytes: int | None = None
    payload_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to look numbers up: its name, how it is used, and what builds it from a table."""

    name: str
    how: str
    build: Callable[[list[Row]], Built]


def from_call(call: Callable[[str], int]) -> Built:
    """Return a library that answers with row numbers, one number at a time."""

    def bulk(numbers: list[str]) -> Iterable[int]:
        return array("i", map(call, numbers))

    return Built(call, lambda answer: answer if isinstance(answer, int) else NO_ROW, bulk)
