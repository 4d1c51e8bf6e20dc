"""Quickcall options of a request into an `OriginateRequest`. Pure.

Kazoo reads most options from the body's `data` and then the query, some from the query only, and
casts what it does not understand to a default. Here every option may stand in either place (`data`
first) and a value that is not allowed is an error that says what is (docs/kazoo.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from engine.core.errors import RequestInvalid
from engine.core.uri import header_text
from engine.core.values import EndpointType, MediaMode, OriginateRequest

MIN_TIMEOUT = 3
"""Shortest time to ring, seconds (the quickcall document: integer(3..))."""

MAX_TIMEOUT = 86_400
"""Longest time to ring, seconds."""

MAX_NUMBER = 128
"""Longest number, characters, as for the number filter and the dial plan."""

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

_CID_NAME = ("cid-name", "cid_name")
_CID_NUMBER = ("cid-number", "cid_number")
_IGNORE_EARLY_MEDIA = ("ignore-early-media", "ignore_early_media")

_OPTIONS = frozenset(
    {
        "auto_answer",
        *_CID_NAME,
        *_CID_NUMBER,
        "custom_application_vars",
        *_IGNORE_EARLY_MEDIA,
        "media",
        "number_filter",
        "target_call_id",
        "timeout",
        "auth_token",
    }
)

T = TypeVar("T")


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

    `number` is percent-decoded already (`decode_number`), `query` the decoded query string, `data`
    the `data` object of the body. Raises `RequestInvalid` naming the option.
    """
    options = _Options(query, data or {})
    return OriginateRequest(
        account_id=account_id,
        endpoint_type=endpoint_type,
        endpoint_id=endpoint_id,
        number=_number(number),
        auto_answer=options.get(_boolean, False, "auto_answer"),
        cid_name=options.get(_text, None, *_CID_NAME),
        cid_number=options.get(_text, None, *_CID_NUMBER),
        custom_application_vars=_application_vars(options),
        ignore_early_media=options.get(_boolean, True, *_IGNORE_EARLY_MEDIA),
        media=options.get(_media, MediaMode.PROCESS, "media"),
        number_filter=options.get(_number_filter, None, "number_filter"),
        target_call_id=options.get(_text, None, "target_call_id"),
        timeout=options.get(_timeout, 30, "timeout"),
        request_id=request_id,
    )


def decode_number(segment: bytes) -> str:
    """Return the {NUMBER} of a raw URL path segment, percent-decoded exactly once; `+` stays `+`.

    Raises `RequestInvalid` when it is not UTF-8.

    >>> decode_number(b"%2B1415%2520")
    '+1415%20'
    """
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise RequestInvalid("number", repr(segment), "percent-encoded UTF-8") from None


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise RequestInvalid(field, value, "text", "type")
    return header_text(field, value)


def _number(value: str) -> str:
    if not value:
        raise RequestInvalid("number", value, f"1 to {MAX_NUMBER} characters", "minLength")
    return header_text("number", value, MAX_NUMBER)


class _Options:
    """Options of one request: the body's `data`, then the query."""

    def __init__(self, query: Mapping[str, str], data: Mapping[str, object]) -> None:
        self.query = query
        self.data = data

    def get(self, parse: Callable[[str, object], T], default: T, *names: str) -> T:
        """Return the parsed value under the first name that is given."""
        for source in (self.data, self.query):
            for name in names:
                if name in source:
                    value = source[name]
                    return default if value is None else parse(name, value)
        return default


def _boolean(field: str, value: object) -> bool:
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise RequestInvalid(field, value, "true or false", "type")


def _media(field: str, value: object) -> MediaMode:
    if value in ("process", "bypass"):
        return MediaMode(value)
    raise RequestInvalid(field, value, "process or bypass", "enum")


def _number_filter(field: str, value: object) -> bool | str:
    """A boolean, or a regular expression that the number filter itself checks."""
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    if isinstance(value, str) and value:
        return value
    raise RequestInvalid(field, value, "true, false or a regular expression", "type")


def _timeout(field: str, given: object) -> int:
    allowed = f"an integer of seconds, {MIN_TIMEOUT} to {MAX_TIMEOUT}"
    value: object = given
    if isinstance(given, str) and len(given) <= 9 and given.isascii() and given.isdigit():
        value = int(given)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestInvalid(field, given, allowed, "type")
    if value < MIN_TIMEOUT:
        raise RequestInvalid(field, given, allowed, "minimum")
    if value > MAX_TIMEOUT:
        raise RequestInvalid(field, given, allowed, "maximum")
    return value


def _application_vars(options: _Options) -> dict[str, object]:
    """Return the option's object, with every query key that is not an option laid over it."""
    given = options.get(_object, None, "custom_application_vars")
    merged: dict[str, object] = dict(given) if given else {}
    for key, text in options.query.items():
        if key not in _OPTIONS:
            merged[key] = text
    merged = {key: value for key, value in merged.items() if key not in RESERVED_CAVS}
    if len(merged) > MAX_CAVS:
        raise RequestInvalid(
            "custom_application_vars", len(merged), f"at most {MAX_CAVS} variables", "maxProperties"
        )
    for key, value in merged.items():
        _check_application_var(key, value)
    return merged


def _check_application_var(key: str, value: object) -> None:
    if not 1 <= len(key) <= MAX_CAV_KEY or not key.isprintable():
        raise RequestInvalid(
            "custom_application_vars",
            key[:32],
            f"names of 1 to {MAX_CAV_KEY} printable characters",
            "propertyNames",
        )
    size = len(msgspec.json.encode(value))
    if size > MAX_CAV_VALUE:
        raise RequestInvalid(
            f"custom_application_vars.{key}", f"{size} bytes", f"{MAX_CAV_VALUE} bytes", "maxLength"
        )


def _object(field: str, given: object) -> dict[str, object] | None:
    value: object = given
    if isinstance(given, str):
        try:
            value = msgspec.json.decode(given)
        except msgspec.DecodeError:
            raise RequestInvalid(field, given[:32], "a JSON object", "type") from None
    if isinstance(value, dict):
        return value
    raise RequestInvalid(field, str(value)[:32], "a JSON object", "type")
