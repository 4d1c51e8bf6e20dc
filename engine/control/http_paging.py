"""Pages of lists: Kazoo's `page_size`, `start_key`, `paginate`, and what an answer says of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import TypeVar

from engine.control.option_schemas import Schema
from engine.core.errors import RequestInvalid

_T = TypeVar("_T")

PAGE_SIZE = 50
"""Items of a page when nobody asks for another size, as in Kazoo."""

MAX_PAGE_SIZE = 1000
"""Most items of a page, also of one that is asked for with `paginate=false`."""

MAX_START_KEY = 1024
"""Longest start key, characters."""

page_options: dict[str, tuple[Schema, str]] = {
    "page_size": (
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
        f"Most items; {PAGE_SIZE}",
    ),
    "start_key": (
        {"type": "string", "minLength": 1, "maxLength": MAX_START_KEY},
        "`next_start_key` of the page before",
    ),
    "paginate": (
        {"type": "boolean"},
        f"false: as many as one answer may have, {MAX_PAGE_SIZE}",
    ),
}
"""What of a query is about pages, for the OpenAPI document."""


def page_size(query: Mapping[str, str]) -> int:
    """Return how many items a page is to have. Raises `RequestInvalid`."""
    size = integer(query, "page_size", 1, MAX_PAGE_SIZE)
    if size is not None:
        return size
    return PAGE_SIZE if flag(query, "paginate", usual=True) else MAX_PAGE_SIZE


def start_key(query: Mapping[str, str]) -> str | None:
    """Return where a page is to begin, None: at the beginning. Raises `RequestInvalid`."""
    key = query.get("start_key")
    if key is not None and not 1 <= len(key) <= MAX_START_KEY:
        allowed = "next_start_key of the page before"
        raise RequestInvalid("start_key", key[:32], allowed, "maxLength")
    return key


def page_words(count: int, start: str | None, following: str | None) -> dict[str, object]:
    """Return what an envelope says of a page: its size, where it and the next one begin."""
    words: dict[str, object] = {"page_size": count}
    if start is not None:
        words["start_key"] = start
    if following is not None:
        words["next_start_key"] = following
    return words


def page_of(
    items: Mapping[str, _T], query: Mapping[str, str]
) -> tuple[list[_T], dict[str, object]]:
    """Return a page of what is listed by its key, in the order of the keys, and its words.

    A page begins at the first key that is not below its start key, whether that is still there or
    not. Raises `RequestInvalid`.
    """
    start, size = start_key(query), page_size(query)
    keys = sorted(items)
    first = 0 if start is None else bisect_left(keys, start)
    shown, following = keys[first : first + size], keys[first + size : first + size + 1]
    words = page_words(len(shown), start, following[0] if following else None)
    return [items[key] for key in shown], words


def integer(query: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    """Return a whole number of a query, None when it is not there. Raises `RequestInvalid`."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 13 and least <= int(text) <= most):
        raise RequestInvalid(name, text[:32], f"an integer, {least} to {most}", "type")
    return int(text)


def flag(query: Mapping[str, str], name: str, *, usual: bool) -> bool:
    """Return a truth value of a query. Raises `RequestInvalid`."""
    text = query.get(name)
    if text is None:
        return usual
    if text not in ("true", "false"):
        raise RequestInvalid(name, text[:32], "true or false", "type")
    return text == "true"
