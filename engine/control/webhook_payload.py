"""What a webhook sends: Kazoo's flat payload of an event, laid out and signed. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote_plus

import msgspec

from engine.control.feed import FeedEvent
from engine.control.kazoo_events import EVENT_NAMES
from engine.control.kazoo_keys import snake_case, snake_key
from engine.core.errors import RequestInvalid
from engine.store.webhooks import Webhook

ALL = "all"
"""The hook that takes every event."""

HOOKS: dict[str, frozenset[str]] = {
    ALL: EVENT_NAMES,
    **{name.lower(): frozenset({name}) for name in sorted(EVENT_NAMES)},
}
"""What `hook` may be, and the events it stands for."""

_KAZOO = frozenset({"CHANNEL_CREATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_DESTROY"})
"""Events that Kazoo sends too, with the fields it sends."""

_COMMON = (
    "Call-Direction",
    "Call-ID",
    "Callee-ID-Name",
    "Callee-ID-Number",
    "Caller-ID-Name",
    "Caller-ID-Number",
    "From",
    "Other-Leg-Call-ID",
    "Request",
    "Timestamp",
    "To",
)
_VARIABLES = {
    "authorizing_id": "Authorizing-ID",
    "authorizing_type": "Authorizing-Type",
    "inception": "Inception",
    "local_resource_id": "Resource-ID",
    "owner_id": "Owner-ID",
    "reseller_id": "Reseller-ID",
}
"""Fields that custom channel variables hold."""

_EXTRAS = {
    "CHANNEL_BRIDGE": ("Other-Leg-Destination-Number",),
    "CHANNEL_DESTROY": (
        "Hangup-Cause",
        "Hangup-Code",
        "Duration-Seconds",
        "Ringing-Seconds",
        "Billing-Seconds",
        # Kazoo has these in the event, and not in its webhooks.
        "Hangup-Reason",
        "Hangup-Party",
        "Disposition",
    ),
}
_UNSAID = frozenset(
    {
        *("App-Name", "App-Version", "Channel-Is-Loopback", "Channel-Name", "Custom-Channel-Vars"),
        *("Event-Category", "Event-Name", "From-Tag", "From-Uri", "Local-SDP", "Media-Server"),
        *("Msg-ID", "Node", "Presence-ID", "Remote-SDP", "Switch-Hostname", "Switch-Nodename"),
        *("Switch-URI", "Switch-URL", "To-Tag", "To-Uri", "User-Agent"),
    }
)
"""Fields of our own events that say nothing about the call, or too much."""


class Posting(msgspec.Struct, frozen=True):
    """One HTTP request to a webhook's target."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def check_hook(webhook: Mapping[str, object]) -> None:
    """Check that the events a document names exist. Raises `RequestInvalid` listing those there.

    Fields of another type are left to whoever reads the whole document.
    """
    hook, events = webhook.get("hook"), webhook.get("events")
    if isinstance(hook, str) and hook not in HOOKS:
        raise RequestInvalid("hook", hook[:64], ", ".join(HOOKS), "enum")
    for name in events if isinstance(events, list) else ():
        if isinstance(name, str) and name not in EVENT_NAMES:
            raise RequestInvalid("events", name[:64], ", ".join(sorted(EVENT_NAMES)), "enum")


def lane_of(event: FeedEvent) -> str:
    """Return the name under which deliveries keep their order: that of the call."""
    return event.call_id or str(event.payload.get("Msg-ID", ""))


def event_payload(event: FeedEvent) -> dict[str, object]:
    """Return what a webhook says about an event, before its `custom_data`: Kazoo's flat fields.

    Events that Kazoo has no webhook for have their own fields besides, in snake_case.
    """
    source = event.payload
    variables = source.get("Custom-Channel-Vars")
    ccvs: Mapping[str, Any] = variables if isinstance(variables, Mapping) else {}
    payload: dict[str, object] = {"hook_event": event.name.lower(), "account_id": event.account_id}
    payload |= _picked(source, _COMMON)
    payload |= {field: ccvs[name] for field, name in _VARIABLES.items() if ccvs.get(name)}
    payload["custom_application_vars"] = source.get("Custom-Application-Vars") or {}
    if event.name in EVENT_NAMES - {"QUICKCALL_END"}:
        payload["call_forwarded"] = ccvs.get("Call-Forward") == "true"
        payload["is_internal_leg"] = source.get("Channel-Is-Loopback") is True
        payload["local_resource_used"] = ccvs.get("Global-Resource") != "true"
        payload["emergency_resource_used"] = ccvs.get("Emergency-Resource") == "true"
    if event.name in _KAZOO:
        return payload | _picked(source, _EXTRAS.get(event.name, ()))
    if event.name == "QUICKCALL_END":
        payload["request_id"] = source.get("Msg-ID", "")
    own = {key: value for key, value in source.items() if key not in _UNSAID}
    return {**snake_case(own), **payload}


def _picked(source: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    return {snake_key(key): source[key] for key in keys if key in source}


def wants(webhook: Webhook, event: FeedEvent) -> bool:
    """Tell whether a webhook takes an event, its `modifiers` apart."""
    return (
        event.name in HOOKS.get(webhook.hook, ())
        and (not webhook.events or event.name in webhook.events)
        and (not webhook.call_id or event.call_id == webhook.call_id)
    )


def fits(webhook: Webhook, payload: Mapping[str, object]) -> bool:
    """Tell whether a payload has the values that the webhook's `modifiers` ask for."""
    for field, allowed in webhook.modifiers.items():
        values = allowed if isinstance(allowed, list) else [allowed]
        if payload.get(field) not in values:
            return False
    return True


def posting(
    webhook: Webhook,
    account_id: str,
    payload: bytes,
    *,
    event_id: str,
    attempt: int,
    cluster_id: str,
    at: float,
) -> Posting:
    """Return the request that tells a webhook's target of an event.

    `payload`: JSON of `event_payload`. `attempt` counts from 1, `at` is the Unix time of it, which
    the signature covers.
    """
    fields: dict[str, Any] = msgspec.json.decode(payload)
    custom = {k: v for k, v in webhook.custom_data.items() if k not in ("type", "action")}
    fields = {**fields, **custom, "cluster_id": cluster_id}
    url, headers, body = webhook.uri, {}, b""
    if webhook.http_verb == "get":
        url += ("&" if "?" in url else "?") + form(fields)
    elif webhook.format == "json":
        body = msgspec.json.format(msgspec.json.encode(fields), indent=2)
        headers["Content-Type"] = "application/json"
    else:
        body = form(fields).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    timestamp = str(int(at))
    headers |= {
        "X-Hook-ID": webhook.id,
        "X-Account-ID": account_id,
        "X-Event-ID": event_id,
        "X-Attempt": str(attempt),
        "X-Timestamp": timestamp,
    }
    if webhook.secret:
        signed = body if webhook.http_verb != "get" else url.partition("?")[2].encode()
        headers["X-Signature"] = signature(webhook.secret, timestamp, signed)
    return Posting(webhook.http_verb.upper(), url, headers, body)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return `sha256=` and the HMAC-SHA256 (RFC 2104) of timestamp, a dot and body, in hex.

    >>> signature("It's a secret", "1443672757", b"{}")[:23]
    'sha256=9cd4c370babb8747'
    """
    digest = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256")
    return f"sha256={digest.hex()}"


def form(fields: Mapping[str, Any]) -> str:
    """Return fields as a form or query string; what is nested has its path in brackets.

    >>> form({"a": True, "b": {"c": "d e"}, "f": [1, 2]})
    'a=true&b%5Bc%5D=d+e&f%5B0%5D=1&f%5B1%5D=2'
    """
    pairs: list[str] = []
    for key, value in fields.items():
        _add_pairs(pairs, key, value)
    return "&".join(pairs)


def _add_pairs(pairs: list[str], path: str, value: object) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _add_pairs(pairs, f"{path}[{key}]", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _add_pairs(pairs, f"{path}[{index}]", inner)
    else:
        text = str(value).lower() if isinstance(value, bool) else "" if value is None else value
        pairs.append(f"{quote_plus(path)}={quote_plus(str(text))}")
