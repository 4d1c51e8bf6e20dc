"""The route that shows what an account uses of its limits."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from engine.control.http_context import HttpRequest, open_call
from engine.control.openapi import operation


@get(
    "/v2/accounts/{account_id:str}/limits",
    summary="Show how much of its limits an account uses",
    operation_class=operation(errors=(400, 401, 403, 404)),
)
async def show_limits(request: HttpRequest, account_id: FromPath[str]) -> Response[bytes]:
    """Show the calls an account has and may have at once, and how fast it may ask for them.

    A limit of 0 is none.
    """
    call = await open_call(request, account_id)
    return call.succeed(dict(call.face.limits(account_id)))
