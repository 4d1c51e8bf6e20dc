"""One value of the configuration: what is wrong with it, and how a compound one is read."""

from __future__ import annotations

import ipaddress
import re

from engine.core.errors import EngineError

HEP_PORT = 9060
"""Port of a capture server that names none."""

SECRETS = frozenset({"hep_key", "tokens", "database", "amqp_url"})
"""Fields whose values are never shown."""

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_LISTENER = re.compile(r"^(udp|tcp|tls):(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+):(\d{1,5})$")


class ConfigError(EngineError, ValueError):
    """A configuration value cannot be used. Says the field, the value and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str, source: str = "") -> None:
        """Name the field, the value (hidden for secrets), what is allowed, and where it was set."""
        shown = "(hidden)" if field in SECRETS else repr(value)
        place = f" (from {source})" if source else ""
        super().__init__(f"{field} = {shown}{place} is not allowed; allowed: {allowed}")
        self.field = field
        self.allowed = allowed
        self.source = source


def parse_listener(text: str) -> tuple[str, str, int]:
    """Split `TRANSPORT:HOST:PORT` into its three parts, brackets of IPv6 removed.

    Raises `ConfigError` for anything else.

    >>> parse_listener("udp:[::1]:5060")
    ('udp', '::1', 5060)
    """
    match = _LISTENER.match(text)
    if match is None or int(match[3]) > 65535:
        raise ConfigError(
            "sip_listeners",
            text,
            "TRANSPORT:HOST:PORT with udp, tcp or tls and a port of 0 to 65535",
        )
    return match[1], match[2].strip("[]"), int(match[3])


def parse_name_server(text: str) -> tuple[str, int]:
    """Split `ADDRESS[:PORT]` into its two parts, brackets of IPv6 removed; the default port is 53.

    Raises `ConfigError` for anything else, host names included.

    >>> parse_name_server("[::1]:5353"), parse_name_server("192.0.2.53")
    (('::1', 5353), ('192.0.2.53', 53))
    """
    return parse_address("dns_servers", text, 53)


def parse_address(field: str, text: str, port: int) -> tuple[str, int]:
    """Split `ADDRESS[:PORT]` as `parse_name_server`; `port` is the default."""
    match = _ADDRESS.fullmatch(text)
    try:
        if match is not None and 1 <= int(match["port"] or port) <= 65535:
            address = match["v6"] or match["v4"]
            return str(ipaddress.ip_address(address)), int(match["port"] or port)
    except ValueError:
        pass
    allowed = "ADDRESS or ADDRESS:PORT, an IPv6 address in brackets, a port of 1 to 65535"
    raise ConfigError(field, text, allowed)
