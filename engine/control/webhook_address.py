"""Where webhooks may go: the addresses of the internet, unless private ones are allowed too. Pure.

The address that a socket is connected to is judged, not the name that was resolved: a name that
has another address the second time (DNS rebinding), or is a number in disguise (`0177.0.0.1`,
`2130706433`), gets no further than any other.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NUMBERS = re.compile(r"(?:(?:0x[0-9a-f]*|[0-9]+)(?:\.|$)){1,4}", re.ASCII | re.IGNORECASE)
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""IPv6 addresses that end in an IPv4 address (RFC 6052 2.1, RFC 8215)."""


def is_public(address: str) -> bool:
    """Tell whether a numeric address is one of the internet.

    It is not when it is private, shared (RFC 6598), loopback, link-local, multicast, reserved or
    not an address at all, nor when it is an IPv6 form of such an IPv4 address.

    >>> is_public("93.184.216.34"), is_public("::ffff:10.0.0.1"), is_public("0177.0.0.1")
    (True, False, False)
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        inner = _embedded(parsed)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not (
        parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified
    )


def is_literal(host: str) -> bool:
    """Tell whether the host of a URL is a number that the system takes for an address.

    That is what inet_aton(3) reads, `0x7f.1` and `2130706433` among them, or an IPv6 address.

    >>> is_literal("0x7f.1"), is_literal("[::1]".strip("[]")), is_literal("hooks.example.org")
    (True, True, False)
    """
    return ":" in host or _NUMBERS.fullmatch(host) is not None


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for or is tunnelled to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if int(address) >> 32 == 0:
        # IPv4-compatible (RFC 4291 2.5.5.1, deprecated), :: and ::1 among them.
        return IPv4Address(int(address))
    return None
