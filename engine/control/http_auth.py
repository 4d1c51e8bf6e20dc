"""Kazoo's `api_auth`: clients of Kazoo exchange their API key for a token before anything else.

Here the token is the key. So such clients work unchanged, and nothing is made that must be kept.
"""

from __future__ import annotations

from datetime import UTC, datetime

from litestar import Response, put

from engine.control.envelope import success
from engine.control.http_context import HttpRequest, exchange_of, face_of, parse_body, reply
from engine.control.openapi import operation
from engine.control.option_schemas import Schema
from engine.core.errors import RequestInvalid

_body: Schema = {
    "type": "object",
    "required": ["api_key"],
    "properties": {"api_key": {"type": "string", "minLength": 1, "description": "A token"}},
}


@put(
    "/v2/api_auth",
    status_code=201,
    summary="Exchange an API key for a token",
    operation_class=operation(body=_body, errors=(400, 401)),
)
async def exchange_api_key(request: HttpRequest) -> Response[bytes]:
    """Answer with `auth_token`, and the account when the key is for one only."""
    face, exchange = face_of(request), exchange_of(request, face_of(request))
    data = parse_body(await request.body()).data
    api_key = data.get("api_key") if isinstance(data, dict) else None
    if not isinstance(api_key, str):
        raise RequestInvalid("api_key", None, "a token, as text", "required")
    scope = face.tokens.verify(api_key)
    exchange.auth_token = api_key
    one = {} if scope.is_root or len(scope.accounts) > 1 else {"account_id": min(scope.accounts)}
    return reply(success(one, exchange, datetime.now(UTC)), 201, exchange)
