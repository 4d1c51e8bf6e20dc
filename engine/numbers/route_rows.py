"""What a route table is made of, and why one is refused."""

from dataclasses import dataclass
from typing import Literal

RowKind = Literal["extension", "pattern", "prefix", "regex"]
"""How a row matches, in the order in which rows are asked."""

TargetKind = Literal["device", "user", "resource"]
"""What a row can lead to; a resource is a carrier."""


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One row of a route table.

    Fields: `kind`; `match`, the text of that kind: a whole number (`extension`), an Asterisk
    pattern that begins with `_` (`pattern`), what a number begins with, a leading + left out
    (`prefix`), 1 to 128 characters each, or an RE2 regex searched anywhere, at most 1024 (`regex`,
    at most 1000 rows of a table); `to` and `id`, what it leads to; `priority`, 0 to 65535, lower is
    hunted first; `weight`, 1 to 65535, the share among rows of equal priority; `strip`, 0 to 128
    characters taken off the front of the number, a leading + not counted; `prepend`, at most 64
    characters put in front of what is left; `description`, for people, at most 256 characters.
    """

    kind: RowKind
    match: str
    to: TargetKind
    id: str
    priority: int = 0
    weight: int = 1
    strip: int = 0
    prepend: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class RouteHop:
    """One row to try for a number.

    Fields: `row`, its index in the table; `to` and `id`, where it leads; `number`, what is dialled
    there; `priority`; `weight`; `length`, how many characters of the number a prefix matched, for
    the other kinds all of them.
    """

    row: int
    to: TargetKind
    id: str
    number: str
    priority: int
    weight: int
    length: int


class RouteTableError(ValueError):
    """A route table is refused whole because of one row.

    Attributes: `line`, the number of the row as it was given; `field`, the column at fault;
    `value`, what stands there, cut after 64 characters; `position`, offset of the fault in it in
    characters, None when it is the value as a whole; `reason`, what is wrong and what is allowed.
    """

    def __init__(
        self, line: int, field: str, value: str, position: int | None, reason: str
    ) -> None:
        at = "" if position is None else f" at position {position}"
        super().__init__(f"line {line}: {field} {value[:64]!r}{at}: {reason}")
        self.line = line
        self.field = field
        self.value = value[:64]
        self.position = position
        self.reason = reason
