"""Kazoo's answer envelopes and its table of errors. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from engine.control.auth import Forbidden, InvalidCredentials
from engine.core.errors import (
    Conflict,
    EngineDraining,
    EngineError,
    EngineUnavailable,
    LimitExceeded,
    NotFound,
    Overloaded,
    RequestInvalid,
    WrongState,
)
from engine.store.idempotency import KeyReused

API_VERSION = "4.2.2"
"""Release of Kazoo's API that the shapes follow; `version` of every envelope."""

SYSTEM_ERRORS = {
    "validation_error": 400,
    "parse_error": 400,
    "invalid_credentials": 401,
    "forbidden": 403,
    "bad_identifier": 404,
    "not_found": 404,
    "invalid_method": 405,
    "datastore_conflict": 409,
    "wrong_state": 409,
    "precondition_failed": 412,
    "request_too_large": 413,
    "idempotency_key_reused": 422,
    "rate_limited": 429,
    "concurrency_exceeded": 429,
    "unspecified_fault": 500,
    "service_unavailable": 503,
    "overloaded": 503,
    "draining": 503,
}
"""HTTP status of each system error: Kazoo's names, and its own words where it has none."""

REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
"""What a caller may name a request."""


class ParseError(EngineError):
    """The body is not what an envelope looks like (HTTP 400, Kazoo `parse_error`)."""


class RouteMissing(EngineError):
    """No such URL (HTTP 404, Kazoo `not_found`)."""


class PreconditionFailed(EngineError):
    """The document is no longer the one that `If-Match` names (HTTP 412)."""

    def __init__(self, tag: str) -> None:
        """Name the entity tag it has now."""
        super().__init__(f"the document has changed: its entity tag is {tag} now; read it again")
        self.tag = tag


class Exchange(msgspec.Struct):
    """What every envelope of one HTTP request says about it."""

    node: str
    request_id: str
    auth_token: str | None = None
    """Echoed to whoever sent it, as Kazoo does; None until it was verified."""
    answered: Callable[[int], None] | None = None
    """Told the HTTP status of each answer; the audit log's."""


class Failure(msgspec.Struct, frozen=True):
    """An error as an envelope shows it."""

    status: int
    message: str
    data: dict[str, object]
    retry_after: float = 0.0
    """Seconds after which the request has a chance, 0: nobody can say."""


def request_id_of(header: str | None) -> str:
    """Return the caller's request id, empty when there is none.

    Raises `RequestInvalid` for anything but 1 to 128 visible ASCII characters.
    """
    if not header:
        return ""
    if not REQUEST_ID.fullmatch(header):
        allowed = "1 to 128 visible ASCII characters"
        raise RequestInvalid("x-request-id", header[:32], allowed, "pattern")
    return header


def success(data: object, exchange: Exchange, at: datetime, **extra: object) -> bytes:
    """Return a success envelope as JSON; `extra` are Kazoo's optional keys (`page_size`, ...)."""
    return msgspec.json.encode(
        {"data": data, "status": "success", **extra, **_trailer(exchange, at)}
    )


def failure(error: Failure, exchange: Exchange, at: datetime) -> bytes:
    """Return an error envelope as JSON."""
    return msgspec.json.encode(
        {
            "data": error.data,
            "error": str(error.status),
            "message": error.message,
            "status": "error",
            **_trailer(exchange, at),
        }
    )


def _trailer(exchange: Exchange, at: datetime) -> dict[str, object]:
    trailer: dict[str, object] = {
        "node": exchange.node,
        "request_id": exchange.request_id,
        "timestamp": timestamp(at),
        "version": API_VERSION,
    }
    if exchange.auth_token is not None:
        trailer["auth_token"] = exchange.auth_token
    return trailer


def timestamp(at: datetime) -> str:
    """Return ISO 8601 in UTC, whole seconds: `2026-01-31T12:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def system_error(name: str, message: str, **more: object) -> Failure:
    """Return a system error: its name is the envelope's `message`, the human text is in `data`."""
    return Failure(SYSTEM_ERRORS[name], name, {"message": message, **more})


_PLAIN_ERRORS: dict[type[EngineError], str] = {
    InvalidCredentials: "invalid_credentials",
    Forbidden: "forbidden",
    ParseError: "parse_error",
    RouteMissing: "not_found",
    PreconditionFailed: "precondition_failed",
    EngineUnavailable: "service_unavailable",
    EngineDraining: "draining",
}
"""Errors that say no more than their text."""


def failure_of(error: EngineError) -> Failure:
    """Return how an error of the engine is shown."""
    match error:
        case RequestInvalid():
            return _validation(error.field, error.code, str(error), error.value)
        case NotFound():
            return system_error(
                "bad_identifier", "bad identifier", cause=error.name, kind=error.kind
            )
        case Conflict():
            detail = {"unique": {"message": str(error), "cause": _plain(error.value)}}
            return Failure(409, "datastore_conflict", {error.field: detail})
        case WrongState():
            return system_error("wrong_state", str(error), cause=error.state)
        case KeyReused():
            return system_error("idempotency_key_reused", str(error), cause=error.key)
        case LimitExceeded():
            limit = system_error(error.code, str(error), field=error.field, cause=error.value)
            return replace(limit, retry_after=error.retry_after)
        case Overloaded():
            return replace(system_error("overloaded", str(error)), retry_after=error.retry_after)
        case _:
            name = _PLAIN_ERRORS.get(type(error), "unspecified_fault")
            return system_error(name, str(error))


def _validation(field: str, code: str, message: str, value: object) -> Failure:
    """Return field, rule that was broken and text: the shape of Kazoo's validation errors."""
    detail = {code: {"message": message, "cause": _plain(value)}}
    return Failure(400, "validation error", {field: detail})


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)
