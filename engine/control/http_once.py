"""The `Idempotency-Key` header: a quickcall that is asked for twice is placed once.

Follows draft-ietf-httpapi-idempotency-key-header: same key and same request, the first answer
again; same key and another request, 422. Where the draft lets a server answer 409 while the first
request is under way, the second one waits for the first one's answer here. Keys belong to an
account. A request that is refused before anything was placed leaves its key free.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from litestar import Response
from msgspec.structs import replace

from engine.control.envelope import Exchange, Failure, failure, success
from engine.control.http_context import Call, HttpRequest, reply
from engine.core.errors import RequestInvalid
from engine.store.idempotency import MAX_KEY, Claim

KEY = "idempotency-key"
"""The header of a request."""

REPLAYED = "idempotent-replayed"
"""The header of an answer that was given before."""

Told = tuple[int, dict[str, object]] | Failure
"""What a request is answered: HTTP status and data, or an error."""

H = TypeVar("H")

_RAW = re.compile(r"[\x20-\x7e]+")
_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPED = re.compile(r'\\(["\\])')


async def place_once(
    call: Call,
    request: HttpRequest,
    account_id: str,
    start: Callable[[], H],
    tell: Callable[[H], Coroutine[Any, Any, Told]],
) -> Response[bytes]:
    """Start what is asked for and tell what came of it; with a key that was used, tell it again.

    Raises what `start` raises, `RequestInvalid` for a key that is none, `KeyReused` when the key
    was used for another request.
    """
    key = key_of(request.headers.getall(KEY, []))
    if key is None:
        return reply(*_envelope(await tell(start()), call.exchange), call.exchange)
    keys = call.face.idempotency
    fingerprint = await _fingerprint(call, request)
    claim = Claim(account_id, key, fingerprint, call.exchange.request_id, time.time())
    first = await keys.claim(claim)
    if first is not None:
        call.audit.note(replayed=True, msg_id=first.request_id)
        return _answer(call, first, replayed=True)
    try:
        started = start()
    except BaseException:
        keys.release(claim)
        raise
    # The token is no part of what is stored, and is sent back to whoever sent it.
    exchange = replace(call.exchange, auth_token=None)
    task = keys.answer(claim, _told(tell(started), exchange))
    # Whoever asks again with the key may wait for it when this client has gone.
    return _answer(call, await asyncio.shield(task), replayed=False)


def key_of(headers: list[str]) -> str | None:
    """Return the key in the header, a Structured Field string (RFC 8941 3.3.3) or bare; else None.

    Raises `RequestInvalid` for a key that is empty, longer than `MAX_KEY`, not printable ASCII, or
    not alone.
    """
    if not headers:
        return None
    text = headers[0].strip(" \t")
    quoted = text.startswith('"')
    match = (_STRING if quoted else _RAW).fullmatch(text)
    key = match[1] if match is not None and quoted else text
    key = _ESCAPED.sub(r"\1", key) if quoted else key
    if len(headers) > 1 or match is None or not 1 <= len(key) <= MAX_KEY:
        allowed = f"one key of 1 to {MAX_KEY} printable ASCII characters"
        raise RequestInvalid(KEY, text[:32], allowed, "pattern")
    return key


async def _fingerprint(call: Call, request: HttpRequest) -> bytes:
    digest = hashlib.sha256()
    scope = request.scope
    token = (call.exchange.auth_token or "").encode("utf-8", "surrogatepass")
    parts = (
        *(scope["method"].encode(), token, scope["raw_path"], scope["query_string"]),
        await request.body(),
    )
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


async def _told(telling: Coroutine[Any, Any, Told], exchange: Exchange) -> tuple[int, bytes]:
    body, status = _envelope(await telling, exchange)
    return status, body


def _envelope(told: Told, exchange: Exchange) -> tuple[bytes, int]:
    at = datetime.now(UTC)
    if isinstance(told, Failure):
        return failure(told, exchange, at), told.status
    status, data = told
    return success(data, exchange, at), status


def _answer(call: Call, claim: Claim, *, replayed: bool) -> Response[bytes]:
    if claim.status:
        status, body = claim.status, _with_token(claim.body, call.exchange.auth_token)
    else:
        error = "the engine stopped while this request was under way; it is not placed again"
        data: dict[str, object] = {"error_message": error, "msg_id": claim.request_id}
        interrupted = Failure(500, "quickcall interrupted", data)
        body, status = _envelope(interrupted, call.exchange)
    response = reply(body, status, call.exchange)
    if replayed:
        response.set_header(REPLAYED, "true")
    return response


def _with_token(body: bytes, token: str | None) -> bytes:
    """Put the token where `envelope` puts it: at the end."""
    if token is None:
        return body
    return b'%b,"auth_token":%b}' % (body[:-1], msgspec.json.encode(token))
