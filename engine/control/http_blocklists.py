"""Blocklists: documents like others, and their numbers, a few at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from engine.control.http_context import HttpRequest, open_call
from engine.control.http_directory import Documents, written
from engine.control.http_etag import conditional, expected
from engine.control.http_paging import page_of, page_options
from engine.control.openapi import operation
from engine.control.option_schemas import Schema
from engine.core.errors import RequestInvalid
from engine.store.document_rules import BLOCKLIST_LIMIT

MAX_BLOCKLIST_BODY = BLOCKLIST_LIMIT + 1024 * 1024
"""Longest request body for a blocklist, bytes: one that is too long is told so in its terms."""

_NUMBERS: Schema = {
    "oneOf": [
        {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 128}},
        {"type": "object", "additionalProperties": {"type": "object"}},
    ]
}

numbers_body: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "add": _NUMBERS | {"description": "Numbers, or numbers and what is noted under each"},
        "remove": {**_NUMBERS["oneOf"][0], "description": "Numbers, as they are written there"},
    },
}

_ERRORS = (400, 401, 403, 404)


class Blocklists(Documents):
    """Blocklists of an account."""

    path = "/v2/accounts/{account_id:str}/blocklists"
    tags = ("Blocklist",)
    kind = "blocklist"
    request_max_body_size = MAX_BLOCKLIST_BODY

    @get(
        "/{document_id:str}/numbers",
        summary="List numbers",
        operation_class=operation(query=page_options, errors=_ERRORS, conditional=True),
    )
    async def list_numbers(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """List the numbers of a blocklist and what is noted under each, by number."""
        call = await open_call(request, account_id)
        document = call.face.directory.document("blocklist", account_id, document_id)
        numbers: Mapping[str, Any] = document.get("numbers", {})
        page, words = page_of({number: number for number in numbers}, call.query)
        return conditional(request, call, {one: numbers[one] for one in page}, **words)

    @post(
        "/{document_id:str}/numbers",
        status_code=200,
        summary="Add and remove numbers",
        operation_class=operation(body=numbers_body, errors=(*_ERRORS, 412, 413)),
    )
    async def change_numbers(
        self, request: HttpRequest, account_id: FromPath[str], document_id: FromPath[str]
    ) -> Response[bytes]:
        """Add numbers and remove others in one step; tells how many there were of each."""
        call = await open_call(request, account_id)
        added, removed = _changes(call.required_data)
        check = expected(request)
        counts: dict[str, int] = {}

        def change(old: Mapping[str, Any]) -> Mapping[str, Any]:
            check(old)
            numbers: dict[str, Any] = dict(old.get("numbers", {}))
            counts["removed"] = len([n for n in removed if numbers.pop(n, None) is not None])
            counts["added"] = len(added.keys() - numbers.keys())
            numbers.update(added)
            counts["numbers"] = len(numbers)
            return {**old, "numbers": numbers}

        whole = await call.face.directory.update("blocklist", account_id, document_id, change)
        return written(call, whole, counts)


class Blacklists(Blocklists):
    """The same under Kazoo's name."""

    path = "/v2/accounts/{account_id:str}/blacklists"


def _changes(data: Mapping[str, object]) -> tuple[dict[str, Any], list[str]]:
    unknown = next(iter(data.keys() - {"add", "remove"}), None)
    if unknown is not None:
        raise RequestInvalid(unknown, "...", "add, remove", "additionalProperties")
    added, removed = data.get("add", []), data.get("remove", [])
    if not isinstance(added, dict):
        added = {number: {} for number in _numbers("add", added)}
    return added, _numbers("remove", removed)


def _numbers(field: str, given: object) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(number, str) for number in given):
        raise RequestInvalid(field, type(given).__name__, "an array of numbers, as text", "type")
    return list(dict.fromkeys(given))
