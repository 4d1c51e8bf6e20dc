"""Contact header values of a REGISTER (RFC 3261 20.10), read strictly: they end up in INVITEs."""

from __future__ import annotations

import re

import msgspec

from engine.sip.uri import SipUri, parse_uri

CONTACT_LIMIT = 1024
"""Characters of one Contact header value; push tokens (RFC 8599) make long ones."""

# Printable ASCII: anything else in a value could break the header it is written into later.
_CLEAN = re.compile(r"[\x20-\x7e]*")
_NAME_ADDR = re.compile(
    r'(?:"(?:[^"\\]|\\.)*"\s*|[^"<>;,]*)<(?P<uri>[^<>]*)>\s*(?P<params>(?:;.*)?)'
)
_PARAM = re.compile(
    r'\s*;\s*(?P<name>[^\s=;"<>]+)\s*(?:=\s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s;"<>,]*))?\s*'
)
_HOP = re.compile(r"<[^<>]*>[^,<>]*")
_PATH = re.compile(rf"\s*{_HOP.pattern}(?:,\s*{_HOP.pattern})*")
_Q = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_MALFORMED_EXPIRES = 3600
_MAX_EXPIRES = 2**32 - 1


class ContactValue(msgspec.Struct, frozen=True):
    """One contact of a REGISTER."""

    text: str
    """The URI as it was sent."""
    uri: SipUri
    q: float
    expires: int | None
    instance: str
    """`+sip.instance` followed by `;reg-id` when both are there (RFC 5626), empty otherwise."""


def is_clean(text: str, limit: int) -> bool:
    """Tell whether a text is printable ASCII of at most `limit` characters."""
    return len(text) <= limit and _CLEAN.fullmatch(text) is not None


def parse_contact(header: str) -> ContactValue:
    """Take one Contact value apart (not `*`).

    A malformed `expires` counts as 3600 (RFC 3261 10.2.1.1). Raises `ValueError` for anything else
    that is broken, for control characters, and beyond 1024 characters.
    """
    if not is_clean(header, CONTACT_LIMIT):
        raise ValueError("Contact is too long or not printable ASCII")
    match = _NAME_ADDR.fullmatch(header.strip())
    if match:
        text, params = match["uri"].strip(), _parse_params(match["params"])
    else:
        # Without angle brackets every parameter belongs to the header (20).
        text, semicolon, rest = header.strip().partition(";")
        params = _parse_params(semicolon + rest)
    return ContactValue(
        text=text,
        uri=parse_uri(text),
        q=_parse_q(params.get("q")),
        expires=_parse_expires(params.get("expires")),
        instance=_instance(params),
    )


def _parse_params(text: str) -> dict[str, str]:
    params: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAM.match(text, at)
        if match is None:
            raise ValueError("broken parameters of a Contact")
        params.setdefault(match["name"].lower(), match["value"] or "")
        at = match.end()
    return params


def _parse_q(value: str | None) -> float:
    if value is None:
        return 1.0
    if _Q.fullmatch(value) is None:
        raise ValueError("q of a Contact is not 0 to 1")
    return float(value)


def _parse_expires(value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()):
        return _MALFORMED_EXPIRES
    return min(int(value), _MAX_EXPIRES) if len(value) <= 20 else _MAX_EXPIRES


def _instance(params: dict[str, str]) -> str:
    instance, reg_id = params.get("+sip.instance", ""), params.get("reg-id", "")
    return f"{instance};{reg_id}" if instance and reg_id else ""


def split_path(header: str) -> list[str]:
    """Return the hops of a Path header value (RFC 3327 4), first hop first.

    Raises `ValueError` for anything but SIP URIs in angle brackets, and beyond 1024 characters.
    """
    if not is_clean(header, CONTACT_LIMIT) or _PATH.fullmatch(header) is None:
        raise ValueError("broken Path")
    hops: list[str] = [hop.strip() for hop in _HOP.findall(header)]
    for hop in hops:
        parse_uri(hop[hop.index("<") + 1 : hop.index(">")])
    return hops
