"""Entity tags: who read something need not read it again, nor overwrite what another one changed.

A tag is made of what is shown, so it is the same on every node and after a restart. Passwords are
not shown and take no part: from a tag that knew them they could be guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Response

from engine.control.envelope import PreconditionFailed
from engine.control.http_context import Call, HttpRequest
from engine.store.document_rules import without_secrets

_BYTES = 16


def tag_of(shown: object) -> str:
    """Return the entity tag of what an answer shows as `data`, quotes included (RFC 9110 8.8.3)."""
    digest = hashlib.blake2b(msgspec.json.encode(shown), digest_size=_BYTES)
    return f'"{digest.hexdigest()}"'


def tagged(call: Call, shown: object, status: int = 200, **extra: object) -> Response[Any]:
    """Answer with an entity tag: what is shown, and the tag as `revision` too, as in Kazoo."""
    tag = tag_of(shown)
    response = call.succeed(shown, status, revision=tag.strip('"'), **extra)
    response.set_header("etag", tag)
    return response


def conditional(request: HttpRequest, call: Call, shown: object, **extra: object) -> Response[Any]:
    """Answer as `tagged`, or 304 to who has it already (`If-None-Match`, RFC 9110 13.1.2)."""
    if _names(request.headers.get("if-none-match"), tag_of(shown)):
        headers = {"etag": tag_of(shown), "x-request-id": call.exchange.request_id}
        return Response(None, status_code=304, headers=headers)
    return tagged(call, shown, 200, **extra)


def expected(request: HttpRequest) -> Callable[[Mapping[str, Any]], None]:
    """Return a check that a document is still the one `If-Match` names; without it, none.

    The check raises `PreconditionFailed` (RFC 9110 13.1.1).
    """
    wanted = request.headers.get("if-match")

    def check(document: Mapping[str, Any]) -> None:
        if wanted is not None:
            tag = tag_of(without_secrets(document))
            if not _names(wanted, tag):
                raise PreconditionFailed(tag)

    return check


def _names(header: str | None, tag: str) -> bool:
    """Tell whether a list of entity tags has this one."""
    if header is None:
        return False
    # Weak ones count: other fields of an envelope (time, request id) are never the same anyway.
    listed = [one.strip().removeprefix("W/") for one in header.split(",")]
    return "*" in listed or tag in listed
