"""Options of a quickcall as the OpenAPI document shows them, with the bounds that are checked."""

from __future__ import annotations

from typing import Any

from engine.control.envelope import REQUEST_ID
from engine.control.kazoo_request import MAX_CAVS
from engine.control.option_values import PRIVACY
from engine.control.request_bounds import MAX_DURATION, MAX_TIMEOUT, MIN_TIMEOUT
from engine.core.auto_answer import MAX_DELAY
from engine.core.headers import MAX_REQUEST_HEADERS
from engine.core.uri import MAX_CALL_ID, MAX_TEXT
from engine.core.values import DialMethod
from engine.store.idempotency import MAX_KEY

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}
_FLAG: Schema = {"type": "boolean"}
_SECONDS: Schema = {"type": "number", "minimum": 0, "maximum": MAX_TIMEOUT}

OPTIONS: dict[str, tuple[Schema, str]] = {
    "answer_after": (
        {"type": "integer", "minimum": 0, "maximum": MAX_DELAY},
        "Seconds a phone waits before it answers by itself; 0",
    ),
    "auto_answer": (
        {"anyOf": [_FLAG, {"type": "string", "enum": ["force"]}]},
        "Ask the phone to answer by itself, when one contact is rung; force: each of several",
    ),
    "bypass_flow": (
        {"type": "string", "enum": ["after_answer", "direct"]},
        "With media bypass: tell the two of each other when both have answered, or offer the "
        "dialled side the device's address (not while early media are ignored); after_answer",
    ),
    "call_id": (
        {"type": "string", "minLength": 1, "maxLength": MAX_CALL_ID},
        "Call-ID of the first leg, one that no live call has; the engine makes one",
    ),
    "cid-name": (_TEXT, 'Caller id name; "Device QuickCall" on the device, its own beyond'),
    "cid-number": (_TEXT, "Caller id number; the number on the device, its own beyond"),
    "custom_application_vars": (
        {"type": "object", "maxProperties": MAX_CAVS},
        "Data repeated on every event and CDR; unknown query keys join it",
    ),
    "custom_sip_headers": (
        {
            "type": "object",
            "maxProperties": MAX_REQUEST_HEADERS,
            "additionalProperties": _TEXT,
        },
        "Headers of the INVITEs to the device; the dialled party never gets them",
    ),
    "dial_method": (
        {"type": "string", "enum": [method.value for method in DialMethod]},
        "Ring all contacts at once, or one after the other; simultaneous",
    ),
    "endpoint_delay": (_SECONDS, "Seconds before the INVITEs; 0"),
    "endpoint_timeout": (_SECONDS, "Seconds from an INVITE to its answer, 0: until `timeout`; 0"),
    "fail_on_single_reject": (
        {"anyOf": [_FLAG, {"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "Whether the first refusal ends the ringing of all; cause names: only those do; false",
    ),
    "ignore-early-media": (
        {"anyOf": [_FLAG, {"type": "string", "enum": ["ring_ready", "consume"]}]},
        "What media of a ringing device are: false an answer, ring_ready ringing; true: nothing",
    ),
    "ignore_completed_elsewhere": (
        _FLAG,
        "Do not tell phones that lose that another one answered: they show a missed call; false",
    ),
    "max_duration": (
        {"type": "number", "minimum": 0, "maximum": MAX_DURATION},
        "Seconds the two may talk, 0: as long as the engine allows; 0",
    ),
    "media": ({"type": "string", "enum": ["process", "bypass"]}, "Who carries the RTP; process"),
    "number_filter": (
        {"anyOf": [_FLAG, {"type": "string", "format": "regex", "minLength": 1}]},
        "true: letters and digits only; a regular expression: its first group; false: as it is",
    ),
    "privacy": (
        {"type": "string", "enum": list(PRIVACY)},
        "What of the caller id is hidden from the dialled party; none",
    ),
    "progress_timeout": (_SECONDS, "Seconds from an INVITE to its first 18x, 0: no limit; 0"),
    "target_call_id": (_TEXT, "Call-ID of an existing call to be near to"),
    "timeout": (
        {"type": "integer", "minimum": MIN_TIMEOUT, "maximum": MAX_TIMEOUT},
        "Seconds to ring; 30",
    ),
}
"""Options of a quickcall: schema, and what they do with their default."""

_OBJECTS = ("custom_application_vars", "custom_sip_headers")

quickcall_options: dict[str, tuple[Schema, str]] = {
    name: option for name, option in OPTIONS.items() if name not in _OBJECTS
}
"""Options as query parameters."""

quickcall_body: Schema = {
    "type": "object",
    "properties": {
        name: {**schema, "description": text} for name, (schema, text) in OPTIONS.items()
    },
}
"""Options as the body's `data`."""

quickcall_headers: dict[str, tuple[Schema, str]] = {
    "Idempotency-Key": (
        {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
        "The same request with the same key is placed once; for 24 hours it gets the first answer",
    ),
    "X-Request-ID": (
        {"type": "string", "pattern": REQUEST_ID.pattern},
        "Id of the request, one that no live call has; the engine makes one",
    ),
}
"""Headers of a quickcall."""
