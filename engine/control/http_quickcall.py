"""The quickcall routes: GET answers at once, POST when the endpoint has been rung."""

from __future__ import annotations

from collections.abc import Callable

from litestar import Response, get, post
from litestar.params import FromPath

from engine.control.envelope import Failure
from engine.control.face import CallHandle
from engine.control.http_context import Call, HttpRequest, open_call, segment_in
from engine.control.http_once import Told, place_once
from engine.control.kazoo_originate import accepted, answered, originate_request
from engine.control.kazoo_request import parse_quickcall
from engine.control.openapi import operation
from engine.control.option_schemas import quickcall_body, quickcall_headers, quickcall_options
from engine.core.values import EndpointType

ENDPOINTS = {"users": EndpointType.USER, "devices": EndpointType.DEVICE}
"""What a URL calls the endpoints that can be rung."""

_REFUSALS = (400, 401, 403, 404, 409, 422, 429)

PATHS = [
    f"/v2/accounts/{{account_id:str}}/{endpoints}/{{endpoint_id:str}}/quickcall/{{number:path}}"
    for endpoints in ENDPOINTS
]


@get(
    PATHS,
    status_code=202,
    summary="Ring an endpoint and connect it to a number; answer at once",
    operation_class=operation(
        query=quickcall_options, headers=quickcall_headers, errors=(*_REFUSALS, 500, 503)
    ),
)
async def quickcall(
    request: HttpRequest,
    account_id: FromPath[str],
    endpoint_id: FromPath[str],
    number: FromPath[str],
) -> Response[bytes]:
    """Start a quickcall and answer with the request made of it.

    What becomes of it, also when nobody is registered, is told by the events.
    """
    call = await open_call(request, account_id)
    start = _start(call, request, account_id, endpoint_id)

    async def tell(handle: CallHandle) -> Told:
        # What was acknowledged ends in its terminal event even when the engine is killed.
        await call.face.journal.settled()
        return 202, accepted(handle, call.face.node)

    return await place_once(call, request, account_id, start, tell)


@post(
    PATHS,
    status_code=202,
    summary="Ring an endpoint, wait for its answer, connect it to a number",
    operation_class=operation(
        query=quickcall_options,
        headers=quickcall_headers,
        body=quickcall_body,
        errors=(*_REFUSALS, 500, 503),
    ),
)
async def quickcall_and_wait(
    request: HttpRequest,
    account_id: FromPath[str],
    endpoint_id: FromPath[str],
    number: FromPath[str],
) -> Response[bytes]:
    """Start a quickcall and answer when the endpoint answered, or ringing it failed.

    A client that hangs up its connection does not end the call.
    """
    call = await open_call(request, account_id)
    start = _start(call, request, account_id, endpoint_id)

    async def tell(handle: CallHandle) -> Told:
        outcome = await handle.answered()
        await call.face.journal.settled()
        if outcome.answered:
            return 202, answered(handle, outcome, call.face.node)
        detail: dict[str, object] = {
            "error_message": outcome.cause,
            "request": originate_request(handle, call.face.node),
        }
        return Failure(500, "quickcall initiation failed", detail)

    return await place_once(call, request, account_id, start, tell)


def _start(
    call: Call, request: HttpRequest, account_id: str, endpoint_id: str
) -> Callable[[], CallHandle]:
    """Return what starts the call; options are checked before that."""
    asked = parse_quickcall(
        account_id,
        ENDPOINTS[request.scope["path"].split("/")[4]],
        endpoint_id,
        segment_in(request, 7),
        call.query,
        call.data,
        call.exchange.request_id,
    )

    def start() -> CallHandle:
        handle = call.face.start(asked)
        # Before anything can happen to it; the answer may be half a minute away.
        call.audit.note(number=asked.number, msg_id=handle.originate_id)
        call.audit.write(202)
        return handle

    return start
