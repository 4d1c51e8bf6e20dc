"""Which call records a reader wants, by any of their fields: Kazoo's `filter_KEY` and more. Pure.

A key names a field of the record, with dots a field inside it: `custom_channel_vars.owner_id`.
Values are compared as text; numbers and truth values as JSON writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

_ABSENT = object()


class CdrFilter(msgspec.Struct, frozen=True):
    """One condition."""

    rule: Literal["is", "is_not", "has", "lacks"]
    """`is_not` holds for a record without the field too, as in Kazoo."""
    key: str
    value: str = ""
    """What is compared with; `has` and `lacks` do not look at it."""

    def matches(self, record: Mapping[str, object]) -> bool:
        """Tell whether a record fulfils the condition."""
        found = _field(record, self.key)
        match self.rule:
            case "has":
                return found is not _ABSENT
            case "lacks":
                return found is _ABSENT
            case "is":
                return _text(found) == self.value
            case "is_not":
                return _text(found) != self.value


def _field(record: object, key: str) -> object:
    """Return the field of a key. Keys of custom variables may have dots of their own."""
    if not isinstance(record, Mapping):
        return _ABSENT
    if key in record:
        return record[key]
    head, dot, rest = key.partition(".")
    return _field(record[head], rest) if dot and head in record else _ABSENT


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None
