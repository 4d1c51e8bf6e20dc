"""Kazoo's spelling of keys, times and addresses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

GREGORIAN_EPOCH = 62167219200
"""Seconds from year 0 to 1970: Kazoo's `Timestamp` counts from the former."""

CAV_KEYS = frozenset({"Custom-Application-Vars", "custom_application_vars"})
"""Keys whose values belong to the user: nothing inside them is renamed."""


@lru_cache(maxsize=4096)
def snake_key(key: str) -> str:
    """Return Kazoo's REST spelling of a key.

    >>> snake_key("X-KAZOO-AOR")
    'x_kazoo_aor'
    """
    return key.replace("-", "_").lower()


def snake_case(payload: Mapping[str, object]) -> dict[str, object]:
    """Return a payload with every key in snake_case, recursively.

    Custom application variables stay as the user gave them.
    """
    return {
        snake_key(key): value if key in CAV_KEYS else _snake_value(value)
        for key, value in payload.items()
    }


def _snake_value(value: object) -> object:
    if type(value) is str or value is None:
        return value
    if isinstance(value, Mapping):
        return snake_case(value)
    if isinstance(value, (list, tuple)):
        return [_snake_value(item) for item in value]
    return value


def gregorian(at: float) -> int:
    """Return Kazoo's `Timestamp` of an epoch time: Gregorian seconds, rounded up."""
    return math.ceil(at) + GREGORIAN_EPOCH


def microseconds(at: float) -> int:
    """Return an epoch time in microseconds, as `Channel-Created-Time` and `Msg-ID` have it."""
    return round(at * 1_000_000)


@lru_cache(maxsize=8192)
def address(uri: str) -> str:
    """Return `user@host` (or `host`) of a SIP URI or name-addr: Kazoo's `Request`, `To`, `From`.

    >>> address('"Device QuickCall" <sip:1001@example.org;transport=tcp>;tag=x')
    '1001@example.org'
    """
    # A display name may hold any character, "<" included, but not the URI itself (RFC 3261 25.1).
    start = uri.rfind("<")
    if start >= 0:
        uri = uri[start + 1 :].partition(">")[0]
    scheme, colon, rest = uri.partition(":")
    if colon and scheme.lower() in ("sip", "sips"):
        uri = rest
    return uri.partition(";")[0].partition("?")[0]
