"""Texts of SIP headers: URIs taken apart and put together, names quoted, values checked.

Everything here is strict, because a line break in one value would let it add headers (RFC 3261
25.1).
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

import msgspec

from engine.core.errors import RequestInvalid

MAX_TEXT = 256
"""Longest text that may reach a header, characters."""

MAX_URI = 1024
"""Longest URI that may reach a header, characters: contacts of mobile phones carry their push
tokens."""

MAX_CALL_ID = 128
"""Longest Call-ID that a caller may choose, characters."""

_USER_SAFE = "-_.!~*'()&=+$,;?/"
"""`unreserved` and `user-unreserved` of RFC 3261 25.1 that stand for themselves in a user part."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[^@\s<>\"]+)@)?"
    r"(?P<address>(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::[0-9]{1,5})?)"
    r"(?P<parameters>(?:;[^\s<>\"?]*)?)(?P<headers>(?:\?[^\s<>\"]*)?)",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::[0-9]{1,5})?")
_WORD = r"[\w\-.!%*+`'~()<>:\\\"/\[\]?{}]+"
_CALL_ID = re.compile(f"{_WORD}(?:@{_WORD})?", re.ASCII)
_TRANSPORT = re.compile(r";transport=([A-Za-z]+)", re.IGNORECASE)
_LOOSE = re.compile(r";lr(?:[;=]|$)", re.IGNORECASE)


class SipUri(msgspec.Struct, frozen=True):
    """A SIP URI in parts, each as it was written."""

    scheme: str
    user: str
    """User part as escaped on the wire, password included, empty when there is none."""
    address: str
    """`host` or `host:port`, IPv6 in brackets."""
    parameters: str
    """`;name=value...`, empty when there are none."""


def header_text(field: str, value: str, limit: int = MAX_TEXT) -> str:
    """Return `value` when it may stand in a header.

    Raises `RequestInvalid` naming `field` for control characters (CR, LF and NUL among them), for
    what UTF-8 cannot hold, and for more than `limit` characters.
    """
    if len(value) > limit:
        raise RequestInvalid(field, value[:32] + "...", f"at most {limit} characters", "maxLength")
    if _CONTROL.search(value):
        raise RequestInvalid(field, value, "text without control characters", "pattern")
    return value


def call_id_text(field: str, value: str) -> str:
    """Return `value` when it may be the Call-ID of a call: `word ["@" word]` of RFC 3261 25.1.

    Raises `RequestInvalid` naming `field`, also for more than `MAX_CALL_ID` characters.
    """
    allowed = f"1 to {MAX_CALL_ID} characters of a Call-ID: word [@word] (RFC 3261 25.1)"
    if len(value) > MAX_CALL_ID:
        raise RequestInvalid(field, value[:32] + "...", allowed, "maxLength")
    if _CALL_ID.fullmatch(value) is None:
        raise RequestInvalid(field, value, allowed, "pattern")
    return value


@lru_cache(maxsize=4096)
def parse_uri(field: str, value: str) -> SipUri:
    """Return a `sip:` or `sips:` URI in parts.

    Headers behind `?` are left out, they have no place in a request. Raises `RequestInvalid` naming
    `field` for anything else (RFC 3261 19.1.1).
    """
    match = _URI.fullmatch(header_text(field, value, MAX_URI))
    if match is None:
        raise RequestInvalid(field, value, "sip:[user@]host[:port][;parameter]", "format")
    return SipUri(
        match["scheme"].lower(), match["user"] or "", match["address"], match["parameters"]
    )


def host_text(field: str, value: str) -> str:
    """Return a host name or address with an optional port. Raises `RequestInvalid`."""
    if _HOST.fullmatch(header_text(field, value)) is None:
        raise RequestInvalid(field, value, "a host name or address with an optional port", "format")
    return value


def escape_user(value: str) -> str:
    """Return text as the user part of a SIP URI, percent-escaped where RFC 3261 25.1 asks for it.

    >>> escape_user("+1415#2")
    '+1415%232'
    """
    return value if value.isascii() and value.isalnum() else quote(value, safe=_USER_SAFE)


def sip_uri(user: str, address: str, parameters: str = "") -> str:
    """Return `sip:user@address` with the user part escaped; without a user when it is empty."""
    at = f"{escape_user(user)}@" if user else ""
    return f"sip:{at}{address}{parameters}"


def name_addr(name: str, uri: str) -> str:
    r"""Return `"name" <uri>`, quote and backslash escaped (RFC 3261 25.1); `<uri>` if unnamed.

    >>> name_addr('Bob "B"', "sip:1@a")
    '"Bob \\"B\\"" <sip:1@a>'
    """
    if not name:
        return f"<{uri}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{uri}>'


def proxy_uri(field: str, value: str) -> str:
    """Return the SIP URI of an outbound proxy, written as one or as `host[:port]` (Kazoo's way).

    Raises `RequestInvalid` naming `field` for anything else.
    """
    written = value if value.lower().startswith(("sip:", "sips:")) else f"sip:{value}"
    if "?" not in written:
        try:
            parse_uri(field, written)
        except RequestInvalid:
            pass
        else:
            return written
    raise RequestInvalid(field, value, "a SIP URI without headers, or host[:port]", "format")


def is_loose(uri: SipUri) -> bool:
    """Return whether a proxy wants to see itself in Route (`;lr`, RFC 3261 16.12)."""
    return _LOOSE.search(uri.parameters) is not None


def next_hop_of(uri: SipUri) -> str:
    """Return where a request for this contact is sent: its address and transport alone."""
    transport = _TRANSPORT.search(uri.parameters)
    suffix = f";transport={transport[1].lower()}" if transport else ""
    return f"{uri.scheme}:{uri.address}{suffix}"
