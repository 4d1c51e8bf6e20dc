"""Routes of call records: listed in pages, by interaction, as CSV, one by one.

The id of a record holds a Call-ID, and so any character, slashes too: it is read from the raw path.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Stream

from engine.control import kazoo_cdr_csv
from engine.control.http_context import Call, HttpRequest, open_call, segment_in
from engine.control.http_etag import conditional
from engine.control.http_paging import (
    flag,
    integer,
    page_options,
    page_size,
    page_words,
    start_key,
)
from engine.control.kazoo_keys import GREGORIAN_EPOCH
from engine.control.openapi import CSV, operation
from engine.control.option_schemas import Schema
from engine.core.errors import RequestInvalid
from engine.core.uri import MAX_TEXT
from engine.store.cdr_filters import CdrFilter
from engine.store.cdrs import CdrQuery, parse_key

ACCOUNT = "/v2/accounts/{account_id:str}"
CDRS = f"{ACCOUNT}/cdrs"
CDRS_OF_USER = f"{ACCOUNT}/users/{{user_id:str}}/cdrs"
CDRS_OF_DEVICE = f"{ACCOUNT}/devices/{{device_id:str}}/cdrs"

MAX_FILTERS = 16
"""Most filters of one query."""

_ERRORS = (400, 401, 403, 404)
_GREGORIAN: Schema = {"type": "integer", "minimum": 0, "maximum": 10**12}
_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}

cdr_options: dict[str, tuple[Schema, str]] = {
    **page_options,
    "created_from": (_GREGORIAN, "Only legs that ended then or later, Gregorian seconds"),
    "created_to": (_GREGORIAN, "Only legs that ended before, Gregorian seconds"),
    "ascending": ({"type": "boolean"}, "true: the oldest first"),
    "filter_interaction_id": (_TEXT, "Only the legs of one call"),
    "filter_hangup_cause": (_TEXT, "`filter_KEY`: only records with this value in a field"),
    "filter_not_hangup_cause": (_TEXT, "`filter_not_KEY`: only records without this value"),
    "has_key": (_TEXT, "Only records that have this field"),
    "key_missing": (_TEXT, "Only records that do not have this field"),
}
"""What of a query says which records are wanted."""

_Listed = operation(query=cdr_options, errors=_ERRORS, csv_answer=True)


@get(CDRS, summary="List call records, newest first", operation_class=_Listed)
async def list_cdrs(request: HttpRequest, account_id: FromPath[str]) -> Response[Any]:
    """List call records; times are those of the end of a leg, in Kazoo's Gregorian seconds.

    `filter_KEY`, `filter_not_KEY`, `has_key` and `key_missing` look at any field, with dots into
    objects: `filter_custom_channel_vars.owner_id`. With `Accept: text/csv` every record, no page.
    """
    return await _listed(request, account_id)


@get(f"{CDRS}.csv", summary="Export call records as CSV", operation_class=_Listed)
async def export_cdrs(request: HttpRequest, account_id: FromPath[str]) -> Response[Any]:
    """Export every call record that a list would have, as CSV."""
    call = await open_call(request, account_id)
    call.face.directory.account(account_id)
    return await _export(call, _query(call, account_id))


@get(CDRS_OF_USER, summary="List call records of a user", operation_class=_Listed)
async def list_cdrs_of_user(
    request: HttpRequest, account_id: FromPath[str], user_id: FromPath[str]
) -> Response[Any]:
    """List the call records of the devices a user owns."""
    return await _listed(request, account_id, CdrFilter("is", "owner_id", user_id))


@get(CDRS_OF_DEVICE, summary="List call records of a device", operation_class=_Listed)
async def list_cdrs_of_device(
    request: HttpRequest, account_id: FromPath[str], device_id: FromPath[str]
) -> Response[Any]:
    """List the call records that a device is responsible for (its `Authorizing-ID`)."""
    wanted = CdrFilter("is", "custom_channel_vars.authorizing_id", device_id)
    return await _listed(request, account_id, wanted)


@get(f"{CDRS}/interaction", summary="List calls, newest first", operation_class=_Listed)
async def list_interactions(request: HttpRequest, account_id: FromPath[str]) -> Response[Any]:
    """List one record of each call that is over: the one with all its attempts."""
    return await _listed(request, account_id, CdrFilter("has", "attempts"))


@get(
    f"{CDRS}/legs/{{interaction_id:path}}",
    summary="List the legs of a call, oldest first",
    operation_class=operation(errors=_ERRORS),
)
async def list_legs(
    request: HttpRequest, account_id: FromPath[str], interaction_id: FromPath[str]
) -> Response[Any]:
    """List the call records of one interaction."""
    call = await open_call(request, account_id)
    call.face.directory.account(account_id)
    wanted = segment_in(request, 6, "interaction_id")
    query = CdrQuery(account_id, interaction_id=wanted, oldest_first=True)
    page = await call.face.journal.records.page(query, page_size({"paginate": "false"}))
    return call.succeed(page.records, 200, **page_words(len(page.records), None, None))


@get(
    f"{CDRS}/{{cdr_id:path}}",
    summary="Show a call record",
    operation_class=operation(errors=_ERRORS, conditional=True),
)
async def show_cdr(
    request: HttpRequest, account_id: FromPath[str], cdr_id: FromPath[str]
) -> Response[Any]:
    """Show one call record."""
    call = await open_call(request, account_id)
    call.face.directory.account(account_id)
    found = await call.face.journal.records.show(account_id, segment_in(request, 5, "cdr_id"))
    return conditional(request, call, found)


async def _listed(request: HttpRequest, account_id: str, *wanted: CdrFilter) -> Response[Any]:
    call = await open_call(request, account_id)
    call.face.directory.account(account_id)
    query = _query(call, account_id, *wanted)
    if CSV in request.headers.get("accept", ""):
        return await _export(call, query)
    start = start_key(call.query)
    place = None if start is None else parse_key(start)
    page = await call.face.journal.records.page(query, page_size(call.query), place)
    following = None if page.next_start is None else page.next_start.text()
    return call.succeed(page.records, 200, **page_words(len(page.records), start, following))


async def _export(call: Call, query: CdrQuery) -> Response[Any]:
    blocks = call.face.journal.records.stream(query)
    # Read before the answer begins: once it has, an error could not be told any more.
    first = await anext(blocks, None) or []

    async def text() -> AsyncIterator[bytes]:
        yield kazoo_cdr_csv.header() + kazoo_cdr_csv.lines(first)
        async for block in blocks:
            yield kazoo_cdr_csv.lines(block)

    headers = {
        "x-request-id": call.exchange.request_id,
        "content-disposition": 'attachment; filename="cdrs.csv"',
    }
    return Stream(text(), media_type=CSV, headers=headers)


def _query(call: Call, account_id: str, *wanted: CdrFilter) -> CdrQuery:
    since = integer(call.query, "created_from", 0, 10**12)
    before = integer(call.query, "created_to", 0, 10**12)
    return CdrQuery(
        account_id,
        None if since is None else since - GREGORIAN_EPOCH,
        None if before is None else before - GREGORIAN_EPOCH,
        call.query.get("filter_interaction_id"),
        (*wanted, *_filters(call.query)),
        flag(call.query, "ascending", usual=False),
    )


def _filters(query: dict[str, str]) -> list[CdrFilter]:
    found = []
    for name, value in query.items():
        if name in ("has_key", "key_missing"):
            found.append(CdrFilter("has" if name == "has_key" else "lacks", value))
        elif name.startswith("filter_not_"):
            found.append(CdrFilter("is_not", name.removeprefix("filter_not_"), value))
        elif name.startswith("filter_") and name != "filter_interaction_id":
            found.append(CdrFilter("is", name.removeprefix("filter_"), value))
    if len(found) > MAX_FILTERS:
        raise RequestInvalid("filter_", len(found), f"at most {MAX_FILTERS} filters", "maxItems")
    return found
