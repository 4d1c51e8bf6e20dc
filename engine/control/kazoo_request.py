"""Quickcall options of a request into an `OriginateRequest`. Pure.

Kazoo reads most options from the body's `data` and then the query, some from the query only, and
casts what it does not understand to a default. Here every option may stand in either place (`data`
first), with hyphens or underscores, and a value that is not allowed is an error that says what is
(docs/kazoo.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from engine.control import option_values as values
from engine.control.request_bounds import number_text
from engine.core.errors import RequestInvalid
from engine.core.values import (
    BypassFlow,
    DialMethod,
    EndpointType,
    MediaMode,
    OriginateRequest,
)

MAX_CAVS = 64
"""Most custom application variables of one request."""

MAX_CAV_KEY = 128
MAX_CAV_VALUE = 4096
"""Longest value of a custom application variable, bytes of its JSON."""

RESERVED_CAVS = frozenset(
    {
        "Account-ID",
        "Account-Name",
        "Account-Realm",
        "Authorizing-ID",
        "Authorizing-Type",
        "Auto-Answer",
        "Call-Forward",
        "Call-Interaction-ID",
        "Call-Waiting-Disabled",
        "Confirm-Cancel-Timeout",
        "Confirm-File",
        "Confirm-Key",
        "Ecallmgr-Node",
        "Fax-Enabled",
        "Fetch-ID",
        "Loopback-Bowout",
        "Media-Encryption-Enforce-Security",
        "Media-Webrtc",
        "Owner-ID",
        "Presence-ID",
        "RTCP-MUX",
        "Realm",
        "Require-Ignore-Early-Media",
        "Retain-CID",
        "SIP-Invite-Domain",
        "Simplify-Loopback",
        "Username",
    }
)
"""Names Kazoo keeps for channel variables (`call_command.reserved_ccv_keys`); left out silently."""


def _spellings(*names: str) -> tuple[str, ...]:
    """Return every name with hyphens and with underscores, in this order."""
    both = [spelling for name in names for spelling in (name.replace("_", "-"), name)]
    return tuple(dict.fromkeys(both))


_ALIASES = {
    "call_id": ("call_id", "outbound_call_id"),
    "dial_method": ("dial_method", "dial_endpoint_method"),
    "progress_timeout": ("progress_timeout", "endpoint_progress_timeout"),
}
"""Options that Kazoo's originate requests call otherwise than we do."""

_NAMES = {
    option: _spellings(*_ALIASES.get(option, (option,)))
    for option in (
        *("answer_after", "auto_answer", "bypass_flow", "call_id", "cid_name", "cid_number"),
        *("custom_application_vars", "custom_sip_headers"),
        *("dial_method", "endpoint_delay", "endpoint_timeout", "fail_on_single_reject"),
        *("ignore_completed_elsewhere", "ignore_early_media", "max_duration", "media"),
        *("number_filter", "privacy", "progress_timeout", "target_call_id", "timeout"),
    )
}
"""Every option with the names it may be given under."""

_KNOWN = frozenset({"auth_token", *(name for names in _NAMES.values() for name in names)})

T = TypeVar("T")
D = TypeVar("D")


def parse_quickcall(
    account_id: str,
    endpoint_type: EndpointType,
    endpoint_id: str,
    number: str,
    query: Mapping[str, str],
    data: Mapping[str, object] | None = None,
    request_id: str = "",
) -> OriginateRequest:
    """Return the validated request.

    `number` is percent-decoded already (`decode_segment`), `query` the decoded query string, `data`
    the `data` object of the body. Raises `RequestInvalid` naming the option.
    """
    options = _Options(query, data or {})
    get = options.get
    hide_name, hide_number = get("privacy", values.privacy, (False, False))
    return OriginateRequest(
        account_id=account_id,
        endpoint_type=endpoint_type,
        endpoint_id=endpoint_id,
        number=number_text("number", number),
        auto_answer=get("auto_answer", values.auto_answer, False),
        cid_name=get("cid_name", values.text, None),
        cid_number=get("cid_number", values.text, None),
        custom_application_vars=_application_vars(options),
        ignore_early_media=get("ignore_early_media", values.early_media, True),
        media=get("media", values.media, MediaMode.PROCESS),
        bypass_flow=get("bypass_flow", values.bypass_flow, BypassFlow.AFTER_ANSWER),
        number_filter=get("number_filter", values.number_filter, None),
        target_call_id=get("target_call_id", values.text, None),
        timeout=get("timeout", values.timeout, 30),
        request_id=request_id,
        call_id=get("call_id", values.call_id, ""),
        dial_method=get("dial_method", values.dial_method, DialMethod.SIMULTANEOUS),
        fail_on_single_reject=get("fail_on_single_reject", values.single_reject, False),
        ignore_completed_elsewhere=get("ignore_completed_elsewhere", values.boolean, False),
        endpoint_delay=get("endpoint_delay", values.duration, 0.0),
        endpoint_timeout=get("endpoint_timeout", values.duration, 0.0),
        progress_timeout=get("progress_timeout", values.duration, 0.0),
        max_duration=get("max_duration", values.talk_time, 0.0),
        hide_name=hide_name,
        hide_number=hide_number,
        answer_after=get("answer_after", values.answer_after, 0),
        headers=get("custom_sip_headers", values.sip_headers, ()),
    )


def decode_segment(field: str, segment: bytes) -> str:
    """Return a segment of a raw URL path, percent-decoded exactly once; `+` stays `+`.

    Raises `RequestInvalid` naming `field` when it is not UTF-8.

    >>> decode_segment("number", b"%2B1415%2520")
    '+1415%20'
    """
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise RequestInvalid(field, repr(segment), "percent-encoded UTF-8") from None


class _Options:
    """Options of one request: the body's `data`, then the query."""

    def __init__(self, query: Mapping[str, str], data: Mapping[str, object]) -> None:
        self.query = query
        self.data = data

    def get(self, option: str, parse: Callable[[str, object], T], default: D) -> T | D:
        """Return the parsed value of an option, of the first of its names that is given."""
        for source in (self.data, self.query):
            for name in _NAMES[option]:
                if name in source:
                    value = source[name]
                    return default if value is None else parse(name, value)
        return default


def _application_vars(options: _Options) -> dict[str, object]:
    """Return the option's object, with every query key that is not an option laid over it."""
    given = options.get("custom_application_vars", values.json_object, None)
    merged: dict[str, object] = dict(given) if given else {}
    for key, text in options.query.items():
        if key not in _KNOWN:
            merged[key] = text
    return application_vars("custom_application_vars", merged)


def application_vars(field: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return custom application variables without those whose names Kazoo keeps for itself.

    Raises `RequestInvalid` naming `field` for too many of them, and for one that is too long.
    """
    kept = {key: value for key, value in given.items() if key not in RESERVED_CAVS}
    check_count(field, len(kept))
    for key, value in kept.items():
        check_variable(field, key, len(msgspec.json.encode(value)))
    return kept


def check_count(field: str, count: int) -> None:
    """Check the number of variables of a request. Raises `RequestInvalid`."""
    if count > MAX_CAVS:
        raise RequestInvalid(field, count, f"at most {MAX_CAVS} variables", "maxProperties")


def check_variable(field: str, name: str, size: int) -> None:
    """Check the name of a variable, and its size in bytes. Raises `RequestInvalid`."""
    if not 1 <= len(name) <= MAX_CAV_KEY or not name.isprintable():
        allowed = f"names of 1 to {MAX_CAV_KEY} printable characters"
        raise RequestInvalid(field, name[:32], allowed, "propertyNames")
    if size > MAX_CAV_VALUE:
        allowed = f"{MAX_CAV_VALUE} bytes"
        raise RequestInvalid(f"{field}.{name}", f"{size} bytes", allowed, "maxLength")
