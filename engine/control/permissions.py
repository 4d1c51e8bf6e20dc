"""What a token may do: a short list of scopes, and the one table that says which a URL needs.

A URL is known here by its fixed words: `/v2/accounts/{ID}/devices/{ID}/quickcall/{NUMBER}` is
`accounts/devices/quickcall`. What the table does not have is refused to every token.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

ALL = "*"
"""Scope that stands for every one there is, also those of later versions."""

_READING = frozenset({"GET", "HEAD"})


class Permission(StrEnum):
    """A scope of a token."""

    CALLS_WRITE = "calls:write"
    """Place calls, act on channels, end them."""
    CALLS_READ = "calls:read"
    """Channels, call records, events."""
    DIRECTORY_READ = "directory:read"
    """Accounts and what is in them, dial plans, routes explained."""
    DIRECTORY_WRITE = "directory:write"
    """Change them."""
    WEBHOOKS = "webhooks"
    """Read and change webhooks."""
    METRICS = "metrics"
    """Read what the engine measures. For tokens of all accounts."""
    ADMIN = "admin"
    """Operate the engine: drain it. For tokens of all accounts."""


_CALLS = (Permission.CALLS_READ, Permission.CALLS_WRITE)
_PLACING = (Permission.CALLS_WRITE, Permission.CALLS_WRITE)
_DIRECTORY = (Permission.DIRECTORY_READ, Permission.DIRECTORY_WRITE)
_WEBHOOKS = (Permission.WEBHOOKS, Permission.WEBHOOKS)
_METRICS = (Permission.METRICS, Permission.METRICS)
_ADMIN = (Permission.ADMIN, Permission.ADMIN)

ROUTES: dict[str, tuple[Permission, Permission]] = {
    "accounts": _DIRECTORY,
    "accounts/users": _DIRECTORY,
    "accounts/devices": _DIRECTORY,
    "accounts/devices/status": _DIRECTORY,
    "accounts/resources": _DIRECTORY,
    "accounts/blocklists": _DIRECTORY,
    "accounts/blocklists/numbers": _DIRECTORY,
    "accounts/blacklists": _DIRECTORY,
    "accounts/blacklists/numbers": _DIRECTORY,
    "accounts/dialplans": _DIRECTORY,
    "accounts/routes": _DIRECTORY,
    "accounts/route": _DIRECTORY,
    "accounts/users/route": _DIRECTORY,
    "accounts/devices/route": _DIRECTORY,
    "dial_plans": _DIRECTORY,
    # GET places a call too.
    "accounts/users/quickcall": _PLACING,
    "accounts/devices/quickcall": _PLACING,
    "accounts/channels": _CALLS,
    "accounts/users/channels": _CALLS,
    "accounts/devices/channels": _CALLS,
    "accounts/cdrs": _CALLS,
    "accounts/limits": _CALLS,
    "accounts/traces": _CALLS,
    "accounts/cdrs.csv": _CALLS,
    "accounts/cdrs/interaction": _CALLS,
    "accounts/cdrs/legs": _CALLS,
    "accounts/users/cdrs": _CALLS,
    "accounts/devices/cdrs": _CALLS,
    "webhooks": _WEBHOOKS,
    "accounts/webhooks": _WEBHOOKS,
    "accounts/webhooks/attempts": _WEBHOOKS,
    "accounts/webhooks/replay": _WEBHOOKS,
    "metrics": _METRICS,
    "drain": _ADMIN,
    "websocket": _CALLS,
    "socket": _CALLS,
}
"""What a URL needs of a token: to read, and to do anything else."""

PUBLIC = frozenset({"healthz", "readyz", "openapi.json", "openapi.json/openapi.json", "api_auth"})
"""What needs no token: it tells nothing of any account, or checks the token it is given."""


def permission_for(method: str, template: str) -> Permission | None:
    """Return the scope that a method of a URL needs, None when no scope opens it.

    `template` is the URL as it was declared, with `{...}` for what varies.

    >>> permission_for("GET", "/v2/accounts/{account_id}/devices/{endpoint_id}/quickcall/{number}")
    <Permission.CALLS_WRITE: 'calls:write'>
    >>> permission_for("GET", "/v2/unheard/of")
    """
    needed = ROUTES.get(area_of(template))
    return None if needed is None else needed[method not in _READING]


@lru_cache(maxsize=1024)
def area_of(template: str) -> str:
    """Return the fixed words of a URL, without the version.

    >>> area_of("/v2/accounts/{account_id:str}/channels/{call_id:path}")
    'accounts/channels'
    """
    words = [word for word in template.split("/") if word and not word.startswith("{")]
    return "/".join(words[1:] if words[:1] == ["v2"] else words)
