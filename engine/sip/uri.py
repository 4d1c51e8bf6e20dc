"""SIP URIs from the wire or a document (RFC 3261 19.1), strict: nothing can hide in one."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

# The grammar of 25.1, and two habits of the field: `#` in a user, `_` in a host name.
_USER = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|%[0-9A-Fa-f]{2})+"
_HOST = r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253}"
_PARAM = r";[A-Za-z0-9\-_.!~*'()\[\]/:&+$%]+(?:=[A-Za-z0-9\-_.!~*'()\[\]/:&+$%=,@]*)?"
_URI = re.compile(
    rf"(?P<scheme>sips?):(?:(?P<user>{_USER})(?::[^@\s\"<>]*)?@)?(?P<host>{_HOST})"
    rf"(?::(?P<port>[0-9]{{1,5}}))?(?P<params>(?:{_PARAM})*)(?:\?[^\s<>\"]*)?",
    re.ASCII | re.IGNORECASE,
)
_HOST_ONLY = re.compile(_HOST, re.ASCII)

# Parameters that make two URIs different when only one of them has it (19.1.4).
_TELLING = frozenset({"transport", "user", "ttl", "method", "maddr"})


class SipUri(msgspec.Struct, frozen=True):
    """A `sip:` or `sips:` URI taken apart. Scheme, host and parameter names are in lower case."""

    scheme: str
    user: str
    """User part without escapes, empty when there is none."""
    host: str
    """Host name, IPv4 address, or IPv6 address in brackets."""
    port: int | None
    params: tuple[tuple[str, str], ...]

    @property
    def transport(self) -> str:
        """The transport parameter in lower case; without one `tls` for `sips:`, else `udp`."""
        return dict(self.params).get("transport", "tls" if self.scheme == "sips" else "udp").lower()

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two URIs of the same contact (RFC 3261 19.1.4, other parameters left out)."""
        telling = sorted((name, value.lower()) for name, value in self.params if name in _TELLING)
        return self.scheme, self.user, self.host, self.port, *telling


def parse_uri(text: str) -> SipUri:
    """Take a SIP URI apart. Raises `ValueError` when it is not one, or its port is not 1..65535.

    >>> parse_uri("sip:%61lice@Example.com:5070;transport=TCP").key
    ('sip', 'alice', 'example.com', 5070, ('transport', 'tcp'))
    """
    match = _URI.fullmatch(text)
    if match is None:
        raise ValueError("not a SIP URI")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise ValueError("port of a SIP URI out of 1..65535")
    pairs = (part.partition("=") for part in match["params"].split(";") if part)
    return SipUri(
        scheme=match["scheme"].lower(),
        user=unquote(match["user"] or "", errors="replace"),
        host=match["host"].lower(),
        port=port,
        params=tuple((name.lower(), value) for name, _, value in pairs),
    )


def is_host(text: str) -> bool:
    """Tell whether a text can stand as the host of a SIP URI."""
    return _HOST_ONLY.fullmatch(text) is not None
