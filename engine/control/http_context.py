"""What every HTTP handler starts and ends with: who asks, for which account, with what; the answer.

Nothing here, and no error, logs a query string: it may hold a token.
"""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from engine.control.auth import ROOT, Scope, token_of
from engine.control.envelope import (
    Exchange,
    Failure,
    ParseError,
    RouteMissing,
    failure,
    failure_of,
    request_id_of,
    success,
    system_error,
)
from engine.control.face import EngineFace
from engine.control.http_audit import AuditEntry, action_of, told_of
from engine.control.kazoo_request import decode_segment
from engine.control.permissions import permission_for
from engine.control.random_ids import random_id
from engine.control.seldom import Seldom
from engine.core.errors import EngineError, EngineUnavailable, Overloaded, RequestInvalid

MAX_BODY = 1024 * 1024
"""Longest request body, bytes."""

MAX_QUERY_FIELDS = 256
"""Most pairs of a query string."""

RETRY_AFTER = 1
"""Seconds a client should wait when the engine takes no new work."""

HttpRequest = Request[Any, Any, State]

_log = logging.getLogger(__name__)
_refusals = Seldom(_log)


class _Body(msgspec.Struct):
    data: Any = msgspec.UNSET
    auth_token: Any = None


_decode = msgspec.json.Decoder(_Body).decode


class Call(msgspec.Struct):
    """An authorised request."""

    face: EngineFace
    exchange: Exchange
    scope: Scope
    query: dict[str, str]
    body: _Body
    audit: AuditEntry
    """What the audit log is told of this request."""

    @property
    def data(self) -> dict[str, object]:
        """The body's `data`, empty without one. Raises `RequestInvalid` if not an object."""
        if self.body.data is msgspec.UNSET:
            return {}
        return self.required_data

    @property
    def required_data(self) -> dict[str, object]:
        """The body's `data`. Raises `RequestInvalid` when it is missing or not an object."""
        if self.body.data is msgspec.UNSET:
            raise RequestInvalid("data", None, "an object", "required")
        if not isinstance(self.body.data, dict):
            raise RequestInvalid("data", type(self.body.data).__name__, "an object", "type")
        return self.body.data

    def succeed(self, data: object, status: int = 200, **extra: object) -> Response[bytes]:
        """Answer with a success envelope."""
        return reply(
            success(data, self.exchange, datetime.now(UTC), **extra), status, self.exchange
        )

    def fail(self, error: Failure) -> Response[bytes]:
        """Answer with an error envelope."""
        return fail(error, self.exchange)


def face_of(request: HttpRequest) -> EngineFace:
    """Return the engine behind the application."""
    return cast(EngineFace, request.app.state.face)


async def open_call(request: HttpRequest, account_id: str | None) -> Call:
    """Read and authorise a request for an account, or, with None, for the whole engine.

    Raises `InvalidCredentials`, `Forbidden`, `ParseError`, `RequestInvalid`.
    """
    return authorise(request, account_id, await request.body())


def authorise(request: HttpRequest, account_id: str | None, body: bytes = b"") -> Call:
    """Authorise a request with this body; none for who reads it later, and never for its token.

    Raises as `open_call`.
    """
    face = face_of(request)
    exchange = exchange_of(request, face)
    query = parse_query(request.scope["query_string"])
    envelope = parse_body(body)
    headers = request.headers
    token = token_of(
        headers.get("x-auth-token"),
        headers.get("authorization"),
        query.pop("auth_token", None),
        envelope.auth_token,
    )
    scope = face.tokens.verify(token)
    audit = _audited(request, face, exchange, scope, account_id, envelope)
    scope.require(permission_for(request.scope["method"], request.scope["path_template"]))
    if account_id is not None:
        scope.check(account_id)
    exchange.auth_token = token
    return Call(face, exchange, scope, query, envelope, audit)


def _audited(
    request: HttpRequest,
    face: EngineFace,
    exchange: Exchange,
    scope: Scope,
    account_id: str | None,
    envelope: _Body,
) -> AuditEntry:
    """Return the audit entry of a request. Raises `EngineUnavailable` when it cannot be written."""
    asked = request.scope
    log = face.operations.audit
    action = action_of(asked["method"], asked["path_template"], envelope.data)
    if not action or not log.wanted:
        return AuditEntry(None, action, {})
    # A call can always be ended.
    if action != "hangup" and (refusal := log.refusal()):
        raise EngineUnavailable(refusal)
    fields = {
        "account_id": account_id if account_id != ROOT else "",
        "token": scope.token_id,
        "token_name": scope.name,
        "address": request.client.host if request.client else "",
        "request_id": exchange.request_id,
        "path": asked["raw_path"].decode("latin-1"),
    }
    entry = AuditEntry(log, action, fields | told_of(action, envelope.data))
    exchange.answered = entry.write
    return entry


def segment_in(request: HttpRequest, slashes: int, field: str = "number") -> str:
    """Return what follows so many slashes of a URL and ends it, decoded once.

    Raises `RouteMissing` when there is nothing, or more after it, and `RequestInvalid` naming
    `field` when it is not UTF-8.
    """
    # The framework's own parameter is decoded already, slashes included.
    *_, segment = (b"", *request.scope["raw_path"].split(b"/", slashes)[slashes:])
    if not segment or b"/" in segment:
        raise RouteMissing(f"this URL ends in one {field}")
    return decode_segment(field, segment)


def parse_query(raw: bytes) -> dict[str, str]:
    """Return the pairs of a query string; of equal names the last. Raises `RequestInvalid`."""
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode("latin-1"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except ValueError:
        allowed = f"at most {MAX_QUERY_FIELDS} pairs of percent-encoded UTF-8"
        raise RequestInvalid("query", "...", allowed) from None
    return dict(pairs)


def parse_body(raw: bytes) -> _Body:
    """Return the envelope in a body; an empty body is an empty one. Raises `ParseError`."""
    if not raw:
        return _Body()
    try:
        return _decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ParseError(f"the body is not a JSON object with `data`: {error}") from None


def exchange_of(request: HttpRequest, face: EngineFace) -> Exchange:
    """Return the exchange of a request, made on first use; errors look here too."""
    state = request.scope["state"]
    exchange = state.get("exchange")
    if exchange is None:
        exchange = state["exchange"] = Exchange(face.node, random_id())
        exchange.request_id = (
            request_id_of(request.headers.get("x-request-id")) or exchange.request_id
        )
    return cast(Exchange, exchange)


def reply(content: bytes, status: int, exchange: Exchange) -> Response[bytes]:
    """Return a JSON response that names its request."""
    if exchange.answered is not None:
        exchange.answered(status)
    return Response(
        content,
        status_code=status,
        media_type=MediaType.JSON,
        headers={"x-request-id": exchange.request_id},
    )


def fail(error: Failure, exchange: Exchange) -> Response[bytes]:
    """Return an error envelope."""
    response = reply(failure(error, exchange, datetime.now(UTC)), error.status, exchange)
    if error.retry_after or error.status == 503:
        response.set_header("retry-after", str(math.ceil(error.retry_after or RETRY_AFTER)))
    return response


def on_engine_error(request: HttpRequest, error: EngineError) -> Response[bytes]:
    """Answer an error the engine raised on purpose."""
    # Overload is told once when it begins: a line for each refusal would add to it.
    if isinstance(error, EngineUnavailable) and not isinstance(error, Overloaded):
        _refusals.warning(f"refused: {error}")
    return fail(failure_of(error), _error_exchange(request))


def on_http_error(request: HttpRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework refused: no such URL, no such method, a body too long."""
    names = {404: "not_found", 405: "invalid_method", 413: "request_too_large", 400: "parse_error"}
    name = names.get(error.status_code, "unspecified_fault")
    response = fail(system_error(name, error.detail), _error_exchange(request))
    for header, value in (error.headers or {}).items():
        response.set_header(header, value)
    return response


def on_fault(request: HttpRequest, error: Exception) -> Response[bytes]:
    """Answer a defect of the engine; the client learns no more than where to look it up."""
    exchange = _error_exchange(request)
    _log.error("request %s failed", exchange.request_id, exc_info=error)
    return fail(system_error("unspecified_fault", "internal error, see the log"), exchange)


def _error_exchange(request: HttpRequest) -> Exchange:
    try:
        return exchange_of(request, face_of(request))
    except RequestInvalid:
        return cast(Exchange, request.scope["state"]["exchange"])
