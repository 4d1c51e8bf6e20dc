"""One value of a quickcall option, from a query (text) or a body (JSON), into what it means. Pure.

Every function takes the name of the option as the caller wrote it, and raises `RequestInvalid` with
it for a value that is not allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from engine.control.request_bounds import MAX_DURATION, cause_names, ring_seconds, seconds
from engine.core.auto_answer import check_delay
from engine.core.errors import RequestInvalid
from engine.core.headers import Headers, check_request_headers
from engine.core.uri import call_id_text, header_text
from engine.core.values import BypassFlow, DialMethod, IgnoreEarlyMedia, MediaMode

_DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")

PRIVACY = {
    "none": (False, False),
    "name": (True, False),
    "number": (False, True),
    "full": (True, True),
    "yes": (True, True),
}
"""Kazoo's words of `privacy`: whether they hide the name, whether the number."""


def boolean(field: str, value: object) -> bool:
    """Return a boolean, also one in words."""
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise RequestInvalid(field, value, "true or false", "type")


def auto_answer(field: str, value: object) -> bool | Literal["force"]:
    """Return a boolean, also one in words, or `force`."""
    return "force" if value == "force" else boolean(field, value)


def answer_after(field: str, value: object) -> int:
    """Return whole seconds that a phone waits before it answers by itself."""
    if isinstance(value, str) and len(value) <= 2 and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestInvalid(field, value, "a whole number of seconds", "type")
    return check_delay(field, value)


def sip_headers(field: str, value: object) -> Headers:
    """Return custom headers out of an object of texts."""
    given = json_object(field, value)
    headers = tuple((name, text(f"{field}.{name[:32]}", item)) for name, item in given.items())
    check_request_headers(field, headers)
    return headers


def text(field: str, value: object) -> str:
    """Return a text that may stand in a header."""
    if not isinstance(value, str):
        raise RequestInvalid(field, value, "text", "type")
    return header_text(field, value)


def call_id(field: str, value: object) -> str:
    """Return a Call-ID (RFC 3261 25.1)."""
    return call_id_text(field, text(field, value))


def media(field: str, value: object) -> MediaMode:
    """Return who carries the RTP."""
    if value in ("process", "bypass"):
        return MediaMode(value)
    raise RequestInvalid(field, value, "process or bypass", "enum")


def bypass_flow(field: str, value: object) -> BypassFlow:
    """Return when the two sides of a bypassed call are told of each other."""
    if value in ("after_answer", "direct"):
        return BypassFlow(value)
    raise RequestInvalid(field, value, "after_answer or direct", "enum")


def dial_method(field: str, value: object) -> DialMethod:
    """Return in which order contacts are rung."""
    if value in ("simultaneous", "single"):
        return DialMethod(value)
    raise RequestInvalid(field, value, "simultaneous or single", "enum")


def early_media(field: str, value: object) -> IgnoreEarlyMedia:
    """Return what early media of the rung device counts for."""
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    if value == "ring_ready":
        return "ring_ready"
    if value == "consume":
        return "consume"
    raise RequestInvalid(field, value, "true, false, ring_ready or consume", "enum")


def single_reject(field: str, value: object) -> bool | frozenset[str]:
    """Return a boolean, or the causes in a list or in a text with commas."""
    if isinstance(value, bool) or value in ("true", "false"):
        return boolean(field, value)
    names: Iterable[object] = [value]
    if isinstance(value, str):
        names = [name.strip() for name in value.split(",")]
    elif isinstance(value, list):
        names = value
    return cause_names(field, names)


def privacy(field: str, value: object) -> tuple[bool, bool]:
    """Return whether the name and whether the number is hidden."""
    found = PRIVACY.get(value) if isinstance(value, str) else None
    if found is None:
        raise RequestInvalid(field, value, ", ".join(PRIVACY), "enum")
    return found


def number_filter(field: str, value: object) -> bool | str:
    """Return a boolean, or a regular expression that the number filter itself checks."""
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    if isinstance(value, str) and value:
        return value
    raise RequestInvalid(field, value, "true, false or a regular expression", "type")


def timeout(field: str, value: object) -> int:
    """Return whole seconds to ring."""
    if isinstance(value, str) and len(value) <= 9 and value.isascii() and value.isdigit():
        value = int(value)
    return ring_seconds(field, value)


def duration(field: str, value: object) -> float:
    """Return seconds of a delay or a timeout, fractions too."""
    return seconds(field, _number(value))


def talk_time(field: str, value: object) -> float:
    """Return seconds that two may talk."""
    return seconds(field, _number(value), MAX_DURATION)


def json_object(field: str, value: object) -> dict[str, object]:
    """Return a JSON object, also one in text."""
    found = value
    if isinstance(value, str):
        try:
            found = msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise RequestInvalid(field, value[:32], "a JSON object", "type") from None
    if isinstance(found, dict):
        return found
    raise RequestInvalid(field, str(found)[:32], "a JSON object", "type")


def _number(value: object) -> object:
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value
