"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

from litestar import Response, get

from engine.control.http_context import HttpRequest, open_call
from engine.control.metrics import CONTENT_TYPE


@get("/metrics", include_in_schema=False)
async def show_metrics(request: HttpRequest) -> Response[bytes]:
    """Answer with every metric; they tell of all accounts, so of a token for all accounts."""
    call = await open_call(request, None)
    call.scope.check("*")
    return Response(call.face.metrics.text(), media_type=CONTENT_TYPE)
