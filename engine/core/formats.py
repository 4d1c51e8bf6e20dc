"""Kazoo's invite formats that turn the dialled number into the user of a Request-URI.

The patterns are the defaults of Kazoo's number converters (knm_converter_regex).
"""

from __future__ import annotations

import re

_NANP = re.compile(r"(?:\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})", re.ASCII)
_ABROAD = re.compile(r"(?:011|00)([0-9]{5,})", re.ASCII)
_BARE = re.compile(r"[2-9][0-9]{7,}", re.ASCII)


def e164(number: str) -> str:
    """Return the number with `+` and country code where Kazoo's patterns know how, else unchanged.

    >>> e164("4155550100"), e164("0044123456"), e164("1001")
    ('+14155550100', '+44123456', '1001')
    """
    if number.startswith("+"):
        return number
    if match := _NANP.fullmatch(number):
        return f"+1{match[1]}"
    if match := _ABROAD.fullmatch(number):
        return f"+{match[1]}"
    return f"+{number}" if _BARE.fullmatch(number) else number


def npan(number: str) -> str:
    """Return the ten digits of a North American number, any other number unchanged."""
    match = _NANP.fullmatch(number)
    return match[1] if match else number


def one_npan(number: str) -> str:
    """Return `1` and the ten digits of a North American number, any other number unchanged."""
    match = _NANP.fullmatch(number)
    return f"1{match[1]}" if match else number


def strip_plus(number: str) -> str:
    """Return the number without a leading `+`."""
    return number.removeprefix("+")


NUMBER_FORMATS = {"e164": e164, "npan": npan, "1npan": one_npan, "strip_plus": strip_plus}
"""Invite formats that put a converted number into the Request-URI."""

AS_REACHED = frozenset({"contact", "route", "forward"})
"""Invite formats whose Request-URI is the contact itself."""

INVITE_FORMATS = frozenset({"username", *AS_REACHED, *NUMBER_FORMATS})
"""Every invite format there is (`sip.invite_format` of Kazoo's device schema)."""
