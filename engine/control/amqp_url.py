"""Where the broker is: `amqp://user:password@host:port/vhost`."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from engine.core.errors import RequestInvalid
from engine.core.passwords import HidesPassword

_ALLOWED = "amqp:// or amqps://, [USER:PASSWORD@]HOST[:PORT][/VHOST]"


class Broker(HidesPassword, frozen=True):
    """A broker and who talks to it."""

    host: str
    port: int
    user: str
    password: str
    vhost: str
    tls: bool

    @property
    def address(self) -> str:
        """`host:port`, without anything secret."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_url(url: str) -> Broker:
    """Return the broker of a URL, by the rules of RabbitMQ's URI specification.

    Raises `RequestInvalid` naming `amqp_url`, without its value, which holds a password.

    >>> broker = parse_url("amqp://kazoo:s3cret@bus.example.org/%2Fzone1")
    >>> broker.address, broker.user, broker.vhost
    ('bus.example.org:5672', 'kazoo', '/zone1')
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RequestInvalid("amqp_url", "(hidden)", _ALLOWED) from error
    tls = parts.scheme == "amqps"
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or parts.query:
        raise RequestInvalid("amqp_url", "(hidden)", _ALLOWED)
    user, password = parts.username, parts.password
    return Broker(
        parts.hostname,
        port or (5671 if tls else 5672),
        "guest" if user is None else unquote(user),
        "guest" if password is None else unquote(password),
        unquote(parts.path[1:]) if len(parts.path) > 1 else "/",
        tls,
    )
