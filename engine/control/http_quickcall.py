"""The quickcall routes: GET answers at once, POST when the endpoint has been rung."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromPath

from engine.control.envelope import Failure
from engine.control.http_context import Call, HttpRequest, open_call, segment_in
from engine.control.kazoo_originate import accepted, answered, originate_request
from engine.control.kazoo_request import parse_quickcall
from engine.control.openapi import operation
from engine.control.option_schemas import quickcall_body, quickcall_options
from engine.core.values import EndpointType, OriginateRequest

ENDPOINTS = {"users": EndpointType.USER, "devices": EndpointType.DEVICE}
"""What a URL calls the endpoints that can be rung."""

PATHS = [
    f"/v2/accounts/{{account_id:str}}/{endpoints}/{{endpoint_id:str}}/quickcall/{{number:path}}"
    for endpoints in ENDPOINTS
]


@get(
    PATHS,
    status_code=202,
    summary="Ring an endpoint and connect it to a number; answer at once",
    operation_class=operation(query=quickcall_options, errors=(400, 401, 403, 404, 503)),
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
    handle = call.face.start(_request(call, request, account_id, endpoint_id))
    return call.succeed(accepted(handle, call.face.node), 202)


@post(
    PATHS,
    status_code=202,
    summary="Ring an endpoint, wait for its answer, connect it to a number",
    operation_class=operation(
        query=quickcall_options, body=quickcall_body, errors=(400, 401, 403, 404, 500, 503)
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
    handle = call.face.start(_request(call, request, account_id, endpoint_id))
    outcome = await handle.answered()
    if outcome.answered:
        return call.succeed(answered(handle, outcome, call.face.node), 202)
    detail: dict[str, object] = {
        "error_message": outcome.cause,
        "request": originate_request(handle, call.face.node),
    }
    return call.fail(Failure(500, "quickcall initiation failed", detail))


def _request(
    call: Call, request: HttpRequest, account_id: str, endpoint_id: str
) -> OriginateRequest:
    return parse_quickcall(
        account_id,
        ENDPOINTS[request.scope["path"].split("/")[4]],
        endpoint_id,
        segment_in(request, 7),
        call.query,
        call.data,
        call.exchange.request_id,
    )
