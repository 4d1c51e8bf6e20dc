"""Routes of whoever operates the engine: health, readiness, draining."""

from __future__ import annotations

from litestar import Response, delete, get, post

from engine.control.auth import ROOT
from engine.control.health import Severity
from engine.control.http_context import Call, HttpRequest, face_of, open_call
from engine.control.kazoo_keys import gregorian
from engine.control.openapi import operation

DRAIN = "/v2/drain"

_ERRORS = (401, 403)


@get("/healthz", include_in_schema=False)
async def healthz(request: HttpRequest) -> Response[dict[str, object]]:
    """Answer 200 while the process is of use, else 503: it should be restarted."""
    faults = face_of(request).operations.health.faults(Severity.DEAD)
    if faults:
        return Response({"status": "dead", "faults": faults}, status_code=503)
    return Response({"status": "ok"})


@get("/readyz", include_in_schema=False)
async def readyz(request: HttpRequest) -> Response[dict[str, object]]:
    """Answer 200 while new calls are taken, else 503 and why they are not."""
    face = face_of(request)
    health, refusal = face.operations.health, face.refusal()
    faults = health.faults(Severity.DEAD) | health.faults(Severity.DEGRADED)
    told: dict[str, object] = {"faults": faults} if faults else {}
    if refusal or health.faults(Severity.DEAD):
        reason = refusal or "the engine is dead"
        return Response({"status": "unavailable", "reason": reason, **told}, status_code=503)
    return Response({"status": "degraded" if faults else "ready", **told})


@get(DRAIN, summary="Show whether the engine drains", operation_class=operation(errors=_ERRORS))
async def show_drain(request: HttpRequest) -> Response[bytes]:
    """Show whether new calls are refused, since when, and how many calls are left."""
    return _shown(await open_call(request, ROOT))


@post(
    DRAIN,
    status_code=202,
    summary="Take no new calls",
    operation_class=operation(errors=_ERRORS),
)
async def begin_drain(request: HttpRequest) -> Response[bytes]:
    """Refuse new calls from now on; those that live go on. The process does not end."""
    call = await open_call(request, ROOT)
    call.face.operations.draining.begin()
    return _shown(call, 202)


@delete(
    DRAIN,
    status_code=200,
    summary="Take new calls again",
    operation_class=operation(errors=(*_ERRORS, 409)),
)
async def cancel_drain(request: HttpRequest) -> Response[bytes]:
    """Take new calls again, unless the process is about to end."""
    call = await open_call(request, ROOT)
    call.face.operations.draining.cancel()
    return _shown(call)


def _shown(call: Call, status: int = 200) -> Response[bytes]:
    operations = call.face.operations
    since = operations.draining.since
    shown: dict[str, object] = {"draining": since is not None, "calls": operations.calls}
    if since is not None:
        shown["since"] = gregorian(since)
    return call.succeed(shown, status)
