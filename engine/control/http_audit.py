"""Audit lines of HTTP requests: one for each that would change something, whatever came of it.

What only reads is not told, and neither is a request without a good token: nobody did it.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.control.audit import AuditLog
from engine.control.permissions import ROUTES, area_of

_VERBS = {"PUT": "create", "POST": "replace", "PATCH": "change", "DELETE": "delete"}

_TOLD = ("target", "media_name", "sound")
"""Values of an action on a channel that are told. Digits are not: they may be a PIN."""


class AuditEntry:
    """The line of one request, written when its answer is known, or before by `write`."""

    def __init__(self, log: AuditLog | None, action: str, fields: Mapping[str, object]) -> None:
        """Take where the line goes (None: nowhere), what is asked for, and by whom."""
        self._log = log
        self._action = action
        self._fields = dict(fields)
        self._written = False

    def note(self, **fields: object) -> None:
        """Add to the line."""
        self._fields |= fields

    def write(self, status: int) -> None:
        """Write the line with the HTTP status, once."""
        if self._log is not None and not self._written:
            self._written = True
            self._log.record(self._action, "http", **self._fields, status=status)


def action_of(method: str, template: str, data: object) -> str:
    """Return what a request asks for, empty when it only reads.

    >>> action_of("GET", "/v2/accounts/{account_id}/devices/{endpoint_id}/quickcall/{number}", None)
    'originate'
    >>> action_of("POST", "/v2/accounts/{account_id}/channels/{call_id}", {"action": "transfer"})
    'transfer'
    >>> action_of("PUT", "/v2/accounts/{account_id}/devices", None)
    'create accounts/devices'

    An action on a channel has Kazoo's name or ours; a body that names none is refused later on.
    """
    area = area_of(template)
    if area.endswith("/quickcall"):
        return "originate"
    if method in ("GET", "HEAD") or area not in ROUTES:
        return ""
    if area == "drain":
        return "cancel drain" if method == "DELETE" else "drain"
    if area == "accounts/channels":
        asked = data.get("action", data.get("module")) if isinstance(data, dict) else None
        return asked if isinstance(asked, str) else "hangup" if method == "DELETE" else "act"
    return f"{_VERBS.get(method, method)} {area}"


def told_of(action: str, data: object) -> dict[str, object]:
    """Return what of an action's values is told; of a document nothing: it may hold passwords."""
    if " " in action or not isinstance(data, dict):
        return {}
    inner = data.get("data")
    # A metaflow has its values one level below.
    values = inner if isinstance(inner, dict) else data
    return {key: values[key] for key in _TOLD if isinstance(values.get(key), str)}
