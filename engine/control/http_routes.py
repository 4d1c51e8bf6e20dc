"""Where numbers go: the route table in and out, as CSV or JSON, and a route explained."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import HttpMethod, Response, delete, get, route
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.response import Stream

from engine.control.envelope import Failure
from engine.control.http_context import (
    MAX_BODY,
    Call,
    HttpRequest,
    authorise,
    open_call,
    segment_in,
)
from engine.control.http_etag import conditional
from engine.control.http_quickcall import ENDPOINTS
from engine.control.kazoo_keys import gregorian
from engine.control.kazoo_request import parse_quickcall
from engine.control.openapi import CSV, operation
from engine.control.option_schemas import Schema, quickcall_options
from engine.core.errors import RequestInvalid
from engine.core.values import EndpointType
from engine.numbers.route_file import JsonRow, read_csv
from engine.store.route_tables import MAX_BYTES, RouteTableInvalid, RouteTableSummary

ROUTES = "/v2/accounts/{account_id:str}/routes"
ROUTE = "/v2/accounts/{account_id:str}/route/{number:path}"
ENDPOINT_ROUTES = [
    f"/v2/accounts/{{account_id:str}}/{kind}/{{endpoint_id:str}}/route/{{number:path}}"
    for kind in ENDPOINTS
]

MAX_SHOWN = 1000
"""Rows up to which the JSON answer has the rows themselves; of more there is the CSV."""

_TEXT: Schema = {"type": "string"}

rows_body: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["kind", "match", "to", "id"],
        "additionalProperties": False,
        "properties": {
            "kind": {"type": "string", "enum": ["extension", "pattern", "prefix", "regex"]},
            "match": {"type": "string", "minLength": 1, "maxLength": 1024},
            "to": {"type": "string", "enum": ["device", "user", "resource"]},
            "id": _TEXT,
            "priority": {"type": "integer", "minimum": 0, "maximum": 65535},
            "weight": {"type": "integer", "minimum": 1, "maximum": 65535},
            "strip": {"type": "integer", "minimum": 0, "maximum": 128},
            "prepend": {"type": "string", "maxLength": 64},
            "description": {"type": "string", "maxLength": 256},
        },
    },
}
"""The rows as the body's `data` (docs/routes.md)."""

_ERRORS = (400, 401, 403, 404)


@get(
    ROUTES,
    summary="Show or export the route table",
    operation_class=operation(csv_answer=True, errors=_ERRORS, conditional=True),
)
async def show_routes(request: HttpRequest, account_id: FromPath[str]) -> Response[Any]:
    """Export the table as CSV, when `Accept` asks for `text/csv`; else describe it.

    A small table is described with its rows.
    """
    call = await open_call(request, account_id)
    tables = call.face.route_tables
    if CSV in request.headers.get("accept", ""):
        headers = {"x-request-id": call.exchange.request_id}
        return Stream(await tables.export(account_id), media_type=CSV, headers=headers)
    shown = _summary(tables.summary(account_id))
    if shown["rows"] <= MAX_SHOWN:
        text = b"".join([block async for block in await tables.export(account_id)])
        shown["routes"] = [JsonRow(*row) for _, row in read_csv([text]) if row is not None]
    return conditional(request, call, msgspec.to_builtins(shown))


@route(
    ROUTES,
    http_method=[HttpMethod.PUT, HttpMethod.POST],
    status_code=200,
    request_max_body_size=MAX_BYTES,
    summary="Replace the route table",
    operation_class=operation(body=rows_body, csv_body=True, errors=(*_ERRORS, 413, 503)),
)
async def replace_routes(request: HttpRequest, account_id: FromPath[str]) -> Response[bytes]:
    """Replace the whole table by one in CSV (`Content-Type: text/csv`) or in JSON.

    A table with a fault is refused whole, with the line or item, and the old one stays.
    """
    is_csv = request.headers.get("content-type", "").partition(";")[0].strip().lower() == CSV
    call = authorise(request, account_id, b"" if is_csv else await _short_body(request))
    try:
        if is_csv:
            summary = await call.face.route_tables.replace(account_id, request.stream())
        else:
            summary = await call.face.route_tables.replace_json(account_id, _rows(call))
    except RouteTableInvalid as error:
        return call.fail(_refusal(error))
    return call.succeed(_summary(summary))


@delete(
    ROUTES,
    status_code=200,
    summary="Delete the route table",
    operation_class=operation(errors=_ERRORS),
)
async def delete_routes(request: HttpRequest, account_id: FromPath[str]) -> Response[bytes]:
    """Delete the table and describe what it was."""
    call = await open_call(request, account_id)
    return call.succeed(_summary(await call.face.route_tables.delete(account_id)))


_Explained = operation(query={"number_filter": quickcall_options["number_filter"]}, errors=_ERRORS)


@get(
    ROUTE,
    summary="Explain what the dial plan of an account does with a number",
    operation_class=_Explained,
)
async def explain_route(
    request: HttpRequest, account_id: FromPath[str], number: FromPath[str]
) -> Response[bytes]:
    """Tell where a number goes, step by step, and which rules lost. Nobody is called."""
    return _explain(await open_call(request, account_id), account_id, segment_in(request, 5))


@get(
    ENDPOINT_ROUTES,
    summary="Explain what a quickcall to a number would do",
    operation_class=_Explained,
)
async def explain_for_endpoint(
    request: HttpRequest,
    account_id: FromPath[str],
    endpoint_id: FromPath[str],
    number: FromPath[str],
) -> Response[bytes]:
    """Tell where a number goes, step by step, and the INVITEs that would be sent. None is."""
    call = await open_call(request, account_id)
    kind = ENDPOINTS[request.scope["path"].split("/")[4]]
    return _explain(call, account_id, segment_in(request, 7), kind, endpoint_id)


def _explain(
    call: Call,
    account_id: str,
    number: str,
    endpoint_type: EndpointType | None = None,
    endpoint_id: str = "",
) -> Response[bytes]:
    # Read as a quickcall would, so that both refuse the same numbers and filters.
    asked = parse_quickcall(
        account_id, endpoint_type or EndpointType.DEVICE, endpoint_id, number, call.query
    )
    report = call.face.explain_route(
        account_id,
        asked.number,
        endpoint_type=endpoint_type,
        endpoint_id=endpoint_id,
        number_filter=asked.number_filter,
    )
    return call.succeed(report)


async def _short_body(request: HttpRequest) -> bytes:
    """Return a body that is not longer than that of any other request."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(
                status_code=413, detail=f"JSON is at most {MAX_BODY} bytes; send CSV"
            )
    return bytes(body)


def _rows(call: Call) -> bytes:
    """Return the rows of the envelope. The reader of rows names the item at fault, so as JSON."""
    data = call.body.data
    if not isinstance(data, list):
        given = None if data is msgspec.UNSET else type(data).__name__
        raise RequestInvalid(
            "data", given, "an array of rows", "required" if given is None else "type"
        )
    return msgspec.json.encode(data)


def _summary(summary: RouteTableSummary) -> dict[str, Any]:
    shown = msgspec.to_builtins(summary)
    return {**shown, "imported_at": gregorian(summary.imported_at)}


def _refusal(error: RouteTableInvalid) -> Failure:
    where = {"line": error.line} if error.item is None else {"item": error.item}
    if error.position is not None:
        where["position"] = error.position
    detail = {error.code: {"message": str(error), "cause": error.value, **where}}
    return Failure(400, "validation error", {error.field: detail})
