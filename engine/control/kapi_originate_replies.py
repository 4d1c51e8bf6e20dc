"""Kazoo's replies to an originate_req, as ecallmgr words them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from engine.control.kapi import error_message
from engine.control.kapi_originate import UNSUPPORTED
from engine.core.errors import (
    Conflict,
    EngineError,
    LimitExceeded,
    NotFound,
    Overloaded,
    RequestInvalid,
)

NOT_VALID = "originate failed to execute as JObj did not validate"
"""`Error-Message` of a request that cannot be carried out as it is."""

NOT_EXECUTED = "Failed to receive valid originate_execute in time"
"""`Error-Message` of a request whose sender did not ask for its execution."""

NOBODY = "DESTINATION_OUT_OF_ORDER"
"""`Error-Message` of a request none of whose endpoints can be rung."""

NOT_IMPLEMENTED = "FACILITY_NOT_IMPLEMENTED"
"""`Error-Message` of a request for an application that does not exist here."""

BUSY = "SWITCH_CONGESTION"
"""`Error-Message` of a request that cannot be carried out now."""

CRASHED = "CRASH"
"""`Error-Message` of a request that was accepted by this engine before it died."""

FAULT = "unspecified"
"""`Error-Message` of a fault of ours (ecallmgr's word)."""

MAX_VALUE = 128
"""Characters of a value that is not allowed that are told back."""

_ANSWERED = frozenset(
    {
        "Account-ID",
        "Application-Data",
        "Application-Name",
        "Callee-ID-Name",
        "Callee-ID-Number",
        "Caller-ID-Name",
        "Caller-ID-Number",
        "Custom-Application-Vars",
        "Custom-Channel-Vars",
        "Custom-SIP-Headers",
        "Origination-Call-ID",
        "Server-ID",
        "System-Log-ID",
    }
)
"""Keys of a request that its originate_resp repeats: those that kapi_call lets into an event."""


def uuid_reply(call_id: str, queue: str) -> dict[str, object]:
    """Return originate_uuid: a Call-ID there will be, and the queue that takes its commands."""
    return {
        **_named("resource", "originate_uuid"),
        "Outbound-Call-ID": call_id,
        "Outbound-Call-Control-Queue": queue,
    }


def ready_reply(call_id: str, queue: str, server_id: str) -> dict[str, object]:
    """Return originate_ready: the request is carried out once `server_id` gets its execute."""
    return {
        **_named("dialplan", "originate_ready"),
        "Call-ID": call_id,
        "Control-Queue": queue,
        "Server-ID": server_id,
    }


def started_reply(call_id: str, queue: str) -> dict[str, object]:
    """Return originate_started: this channel answered and does what was asked."""
    return {
        **_named("resource", "originate_started"),
        "Call-ID": call_id,
        "Control-Queue": queue,
    }


def success_reply(message: Mapping[str, object], call_id: str, queue: str) -> dict[str, object]:
    """Return originate_resp: what an event may tell of the request, and the channel that won."""
    return {
        **{key: value for key, value in message.items() if key in _ANSWERED},
        **_named("resource", "originate_resp"),
        "Application-Response": "SUCCESS",
        "Call-ID": call_id,
        "Control-Queue": queue,
    }


def error_reply(
    message: Mapping[str, object],
    text: str,
    call_id: str = "",
    detail: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the error: its text, the whole request, and as `Error-Detail` what else is known."""
    reply = error_message("originate_resp", text, message, call_id)
    return {**reply, "Error-Detail": detail} if detail else reply


def refusal_of(error: EngineError) -> tuple[str, dict[str, object]]:
    """Return `Error-Message` and `Error-Detail` of a request that is not carried out."""
    match error:
        case RequestInvalid():
            text = NOT_IMPLEMENTED if error.code == UNSUPPORTED else NOT_VALID
            return text, _detail(error, error.code)
        case LimitExceeded():
            return error.code, {**_detail(error, error.code), "Retry-After": error.retry_after}
        case Overloaded():
            return BUSY, {"Reason": str(error), "Retry-After": error.retry_after}
        case Conflict() | NotFound():
            return NOT_VALID, {"Reason": str(error)}
    return BUSY, {"Reason": str(error)}


def _detail(error: RequestInvalid | LimitExceeded, code: str) -> dict[str, object]:
    value = str(error.value)[:MAX_VALUE]
    return {"Field": error.field, "Value": value, "Allowed": error.allowed, "Code": code}


def _named(category: str, name: str) -> dict[str, object]:
    return {"Event-Category": category, "Event-Name": name}
