"""The document of a webhook: where events of an account are sent to, in Kazoo's shape."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from engine.core.errors import RequestInvalid

MAX_WEBHOOKS = 100
"""Webhooks of one account."""

NAME_LIMIT = 128
"""Characters in the name of a webhook."""

URI_LIMIT = 2048
"""Characters in the URI of a webhook."""

SECRET_LENGTHS = (8, 256)
"""Fewest and most characters of a secret."""

_URI = re.compile(r"[\x21-\x7e]+", re.ASCII)
_SECRET = re.compile(r"[\x21-\x7e]+", re.ASCII)


class Webhook(msgspec.Struct, frozen=True):
    """Where to send which events of an account."""

    id: str
    name: str
    """1 to 128 characters."""
    hook: str
    """Which events: `channel_destroy`, `quickcall_end`, ..., `all` (docs/webhooks.md)."""
    uri: str
    """`http` or `https` URL, without user, password and fragment."""
    http_verb: Literal["get", "post", "put"] = "post"
    format: Literal["form-data", "json"] = "form-data"
    """How the body is written; a `get` has a query string instead."""
    retries: int = 2
    """Kazoo's count of attempts, 0 to 4. Kept, and not looked at: a delivery is tried for a day."""
    custom_data: dict[str, Any] = {}
    """Fields laid over every payload, in place of those of the same name."""
    enabled: bool = True
    """False: nothing is sent, and what waited to be sent is dropped."""
    include_internal_legs: bool = True
    """Whether loopback legs count. Kept, and not looked at: there are none here."""
    modifiers: dict[str, str | int | bool | list[str | int | bool]] = {}
    """Fields of the payload and the value, or the values, that each must have for it to be sent."""
    secret: str = ""
    """Key of the signature, 8 to 256 visible ASCII characters; empty: nothing is signed."""
    events: tuple[str, ...] = ()
    """Names of events (`CHANNEL_ANSWER`) of those that `hook` takes; empty: all of them."""
    call_id: str = ""
    """Only events of this Call-ID; empty: of every call."""

    def __repr__(self) -> str:
        """Show what it is called; its secret, and tokens in its URI, are not shown."""
        return f"Webhook(id={self.id!r}, name={self.name!r}, hook={self.hook!r})"


def check_webhook(webhook: Webhook) -> None:
    """Check the fields of a webhook one by one. Raises `RequestInvalid`."""
    if not 1 <= len(webhook.name) <= NAME_LIMIT or not webhook.name.isprintable():
        allowed = f"1 to {NAME_LIMIT} printable characters"
        raise RequestInvalid("name", webhook.name[:32], allowed, "maxLength")
    if not 0 <= webhook.retries <= 4:
        raise RequestInvalid("retries", webhook.retries, "0 to 4", "maximum")
    fewest, most = SECRET_LENGTHS
    right = fewest <= len(webhook.secret) <= most and _SECRET.fullmatch(webhook.secret)
    if webhook.secret and not right:
        allowed = f"{fewest} to {most} visible ASCII characters"
        raise RequestInvalid("secret", "***", allowed, "pattern")
    if len(webhook.call_id) > NAME_LIMIT:
        allowed = f"at most {NAME_LIMIT} characters"
        raise RequestInvalid("call_id", webhook.call_id[:32], allowed, "maxLength")
    check_uri(webhook.uri)


def check_uri(uri: str) -> None:
    """Check that a URI can be a webhook's. Raises `RequestInvalid` naming `uri`.

    Whether its host may be spoken to is known only when it is connected to.
    """
    if len(uri) > URI_LIMIT:
        raise RequestInvalid("uri", uri[:32], f"at most {URI_LIMIT} characters", "maxLength")
    allowed = "an http or https URL of visible ASCII characters, with a host and without a fragment"
    try:
        parts = urlsplit(uri)
        right = parts.scheme in ("http", "https") and bool(parts.hostname)
        right = right and parts.port != 0 and not parts.fragment
    except ValueError:
        raise RequestInvalid("uri", _shown(uri), allowed, "format") from None
    if not right or _URI.fullmatch(uri) is None or "\\" in uri:
        raise RequestInvalid("uri", _shown(uri), allowed, "format")
    if "@" in parts.netloc:
        raise RequestInvalid("uri", _shown(uri), "a URL without user and password", "format")


def _shown(uri: str) -> str:
    """Return so much of a URI that it is known again, and no password that may be in it."""
    return uri.rpartition("@")[2][:64]
