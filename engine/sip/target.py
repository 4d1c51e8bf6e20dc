"""Where a request is to be sent, as its URI says it, before any name is looked up (RFC 3263 4)."""

from __future__ import annotations

import re

import msgspec

from engine.core.commands import Dial
from engine.core.uri import parse_uri

TRANSPORTS = ("udp", "tcp", "tls")
"""Transports of the stack in the order they are tried when a domain says nothing about it."""

_STRAIGHT = re.compile(
    r"(?!.*;maddr=)<?sips?:(?:[^@<>]*@)?"
    r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\])(?=[:;?>]|$)",
    re.IGNORECASE,
)


class Target(msgspec.Struct, frozen=True):
    """What RFC 3263 needs to know of a URI."""

    scheme: str
    """`sip` or `sips`; the latter means TLS and nothing else."""
    host: str
    """Host name in lower case without a dot at its end; that of `maddr` when the URI has one."""
    port: int | None
    transport: str
    """The transport parameter in lower case, empty when there is none."""

    @property
    def transports(self) -> tuple[str, ...]:
        """Transports this URI allows, the preferred first; none when it contradicts itself."""
        asked = TRANSPORTS if not self.transport else (self.transport,)
        if self.scheme == "sips":
            # RFC 3261 26.2.2: `sips:...;transport=tcp` is TLS on TCP.
            return ("tls",) if {"tcp", "tls"} & set(asked) else ()
        return tuple(name for name in asked if name in TRANSPORTS)


def destination_of(dial: Dial) -> str:
    """Return the URI that says where the first packet of an INVITE goes."""
    return dial.next_hop or (dial.routes[0] if dial.routes else dial.request_uri)


def goes_straight(uri: str) -> bool:
    """Tell whether a URI names an address and no host name; may be wrong only by saying no.

    >>> goes_straight("sip:bob@192.0.2.1:5060;transport=tcp"), goes_straight("<sip:[::1];lr>")
    (True, True)
    >>> goes_straight("sip:bob@192.0.2.1.example.com"), goes_straight("sip:192.0.2.1;maddr=h.x")
    (False, False)
    """
    return _STRAIGHT.match(uri) is not None


def target_of(uri: str) -> Target:
    """Take the target out of a URI or a Route header value.

    Raises `engine.core.errors.RequestInvalid` when it is no SIP URI, `ValueError` when its port is
    not 1..65535.

    >>> target_of("<sip:proxy.Example.com;transport=TCP;lr>")
    Target(scheme='sip', host='proxy.example.com', port=None, transport='tcp')
    """
    _, opened, inside = uri.partition("<")
    uri = inside.partition(">")[0] if opened else uri
    parsed = parse_uri("next_hop", uri)
    pairs = (part.partition("=") for part in parsed.parameters.lower().split(";") if part)
    params = {name.strip(): value.strip() for name, _, value in pairs}
    host, _, port = parsed.address.rpartition(":")
    if not host or parsed.address.endswith("]"):
        host, port = parsed.address, ""
    number = int(port) if port else None
    if number is not None and not 1 <= number <= 65535:
        raise ValueError(f"next_hop: port {number} is not allowed; allowed: 1..65535")
    host = (params.get("maddr") or host).lower().rstrip(".")
    return Target(parsed.scheme, host, number, params.get("transport", ""))
