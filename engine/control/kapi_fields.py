"""The keys of one JSON object of a bus message, each read as what it has to be. Pure.

Kazoo strips empty values before it publishes and takes `"true"` for a boolean, so an empty text
counts as an absent key and texts of numbers and booleans as such. Anything else of a wrong type is
an error that names the key by its path, as `Endpoints.0.To-Realm`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.control import option_values as values
from engine.control.kazoo_request import check_count, check_variable
from engine.core.errors import RequestInvalid
from engine.core.headers import Headers, check_request_headers
from engine.core.uri import MAX_TEXT, header_text

DIVERSIONS = "Diversions"
"""The one custom SIP header whose value is a list."""


class Fields:
    """One JSON object."""

    __slots__ = ("data", "path")

    def __init__(self, data: Mapping[str, object], path: str = "") -> None:
        """Read `data`; `path` is where it stands in the message, empty: it is the message."""
        self.data = data
        self.path = path

    def name(self, key: str) -> str:
        """Return the path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Return whether a key has a value; an empty text is none."""
        return self.data.get(key) not in (None, "")

    def text(self, *keys: str, limit: int = MAX_TEXT) -> str:
        """Return the first of the keys that has a value as text for a header, empty: none has.

        A number counts as its text. Raises `RequestInvalid`.
        """
        for key in keys:
            value = self.data.get(key)
            if value is None or value == "":
                continue
            if isinstance(value, str) and len(value) <= limit and value.isprintable():
                # Printable text has no control characters: nearly every value ends here.
                return value
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, str):
                raise RequestInvalid(self.name(key), str(value)[:32], "text", "type")
            return header_text(self.name(key), value, limit)
        return ""

    def one_of(self, key: str, allowed: frozenset[str], default: str = "") -> str:
        """Return a word out of a list, the default for none. Raises `RequestInvalid`."""
        word = self.text(key)
        if not word:
            return default
        if word not in allowed:
            raise RequestInvalid(self.name(key), word, ", ".join(sorted(allowed)), "enum")
        return word

    def flag(self, key: str) -> bool | None:
        """Return a boolean, None when the key has no value. Raises `RequestInvalid`."""
        value = self._value(key)
        return None if value is None else values.boolean(self.name(key), value)

    def true(self, key: str) -> bool:
        """Return whether a key is true, in Kazoo's sense: anything but that is false."""
        return self.data.get(key) in (True, "true")

    def seconds(self, key: str) -> float | None:
        """Return a time in seconds, None when the key has no value. Raises `RequestInvalid`."""
        value = self._value(key)
        return None if value is None else values.duration(self.name(key), value)

    def inner(self, key: str) -> Fields:
        """Return an object, an empty one when the key has no value. Raises `RequestInvalid`."""
        value = self._value(key)
        if value is None:
            value = {}
        elif not isinstance(value, dict):
            raise RequestInvalid(self.name(key), str(value)[:32], "an object", "type")
        return Fields(value, self.name(key))

    def items(self, key: str, most: int) -> list[object]:
        """Return a list of at most `most` items, an empty one when the key has no value.

        Raises `RequestInvalid`.
        """
        value = self._value(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise RequestInvalid(self.name(key), str(value)[:32], "a list", "type")
        if len(value) > most:
            raise RequestInvalid(self.name(key), len(value), f"at most {most} items", "maxItems")
        return value

    def texts(self, key: str, most: int) -> tuple[str, ...]:
        """Return a list of texts; empty ones are left out. Raises `RequestInvalid`."""
        items = self.items(key, most)
        if not items:
            return ()
        listed = Fields({str(n): item for n, item in enumerate(items)}, self.name(key))
        return tuple([text for n in listed.data if (text := listed.text(n))])

    def variables(self) -> dict[str, str]:
        """Return the object as channel variables: names and their texts.

        A switch holds nothing but texts there, so `true` becomes `"true"`, and an object or a list
        is left out. Raises `RequestInvalid` for more of them, or longer ones, than custom
        application variables may be.
        """
        check_count(self.path, len(self.data))
        found: dict[str, str] = {}
        for name, value in self.data.items():
            if isinstance(value, (str, int, float)):
                text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                check_variable(self.path, name, len(text.encode()))
                found[name] = text
        return found

    def headers(self) -> Headers:
        """Return the object as SIP headers, all but `Diversions`. Raises `RequestInvalid`."""
        names = [name for name in self.data if name != DIVERSIONS]
        headers = tuple([(name, text) for name in names if (text := self._header(name))])
        check_request_headers(self.path, headers)
        return headers

    def _header(self, name: str) -> str:
        value = self.data[name]
        return ("true" if value else "false") if isinstance(value, bool) else self.text(name)

    def _value(self, key: str) -> object:
        value = self.data.get(key)
        return None if value == "" else value
