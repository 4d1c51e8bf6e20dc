"""Routes of calls: live channels, hanging up, call records.

A Call-ID may hold any character of RFC 3261's `word`, slashes too, so it is read from the raw path.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from litestar import Response, delete, get, post
from litestar.params import FromPath

from engine.control import http_media
from engine.control.face import CallHandle
from engine.control.http_context import Call, HttpRequest, open_call, segment_in
from engine.control.kazoo_channels import channel_document
from engine.control.kazoo_events import Switch
from engine.control.kazoo_keys import GREGORIAN_EPOCH
from engine.control.openapi import cdr_options, channel_body, operation
from engine.core.digits import USUAL_MS
from engine.core.errors import NotFound, RequestInvalid
from engine.core.values import LegSnapshot

CHANNELS = "/v2/accounts/{account_id:str}/channels"
CHANNEL = CHANNELS + "/{call_id:path}"
CDRS = "/v2/accounts/{account_id:str}/cdrs"
CDR = CDRS + "/{cdr_id:path}"

PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

_ID_AT = 5
"""Slashes before the id in a path."""

_ERRORS = (400, 401, 403, 404)


@get(CHANNELS, summary="List live channels", operation_class=operation(errors=_ERRORS))
async def list_channels(request: HttpRequest, account_id: FromPath[str]) -> Response[bytes]:
    """List the live legs of an account."""
    call = await open_call(request, account_id)
    call.face.directory.account(account_id)
    return call.succeed([_document(call, leg) for leg in call.face.channels(account_id)])


@get(CHANNEL, summary="Show a live channel", operation_class=operation(errors=_ERRORS))
async def show_channel(
    request: HttpRequest, account_id: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """Show one live leg."""
    call = await open_call(request, account_id)
    name = segment_in(request, _ID_AT, "call_id")
    leg = _leg(call, call.face.call(name, account_id), name)
    if leg is None:
        raise NotFound("channel", name)
    return call.succeed(_document(call, leg))


@post(
    CHANNEL,
    status_code=202,
    summary="Act on a call",
    operation_class=operation(body=channel_body, errors=(*_ERRORS, 409)),
)
async def act_on_channel(
    request: HttpRequest, account_id: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """Do something to the call of a Call-ID or request id: `{"data": {"action": "hold"}}`."""
    call = await open_call(request, account_id)
    name = segment_in(request, _ID_AT, "call_id")
    given = call.required_data.get("action")
    act = _ACTIONS.get(given) if isinstance(given, str) else None
    if act is None:
        raise RequestInvalid("action", given, ", ".join(_ACTIONS), "enum")
    return _acted(call, account_id, name, act, f"{given} initiated")


@delete(CHANNEL, status_code=202, summary="Hang up", operation_class=operation(errors=_ERRORS))
async def end_channel(
    request: HttpRequest, account_id: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """End the call of a Call-ID or request id, in whatever state it is; again while it ends."""
    call = await open_call(request, account_id)
    name = segment_in(request, _ID_AT, "call_id")
    return _acted(call, account_id, name, _hang_up, "hangup initiated")


@get(
    CDRS,
    summary="List call records, newest first",
    operation_class=operation(query=cdr_options, errors=_ERRORS),
)
async def list_cdrs(request: HttpRequest, account_id: FromPath[str]) -> Response[bytes]:
    """List call records; times are those of the end of a leg, in Kazoo's Gregorian seconds."""
    call = await open_call(request, account_id)
    call.face.directory.account(account_id)
    size = _integer(call, "page_size", 1, MAX_PAGE_SIZE)
    since = _integer(call, "created_from", 0, 10**12)
    before = _integer(call, "created_to", 0, 10**12)
    records = await call.face.journal.cdrs(
        account_id,
        PAGE_SIZE if size is None else size,
        since=None if since is None else since - GREGORIAN_EPOCH,
        before=None if before is None else before - GREGORIAN_EPOCH,
        interaction_id=call.query.get("filter_interaction_id"),
    )
    return call.succeed(records, page_size=len(records))


@get(CDR, summary="Show a call record", operation_class=operation(errors=_ERRORS))
async def show_cdr(
    request: HttpRequest, account_id: FromPath[str], cdr_id: FromPath[str]
) -> Response[bytes]:
    """Show one call record."""
    call = await open_call(request, account_id)
    found = await call.face.journal.cdr(account_id, segment_in(request, _ID_AT, "cdr_id"))
    return call.succeed(found)


Action = Callable[[Call, str, str], dict[str, object] | None]
"""Does something to the call of an account and an id; returns what the answer says of it."""


def _acted(call: Call, account_id: str, name: str, act: Action, message: str) -> Response[bytes]:
    handle = call.face.call(name, account_id)
    leg = _leg(call, handle, name)
    if leg is not None:
        document = _document(call, leg)
    else:
        # A request, or an INVITE that waits for its turn and has no channel yet.
        document = {"msg_id": handle.originate_id}
        document |= {} if name == handle.originate_id else {"call_id": name}
    document |= act(call, account_id, name) or {}
    return call.succeed(document, 202, message=message)


def _hang_up(call: Call, account_id: str, name: str) -> None:
    call.face.call(name, account_id).hang_up()


def _hold(call: Call, account_id: str, name: str) -> None:
    call.face.hold(name, account_id)


def _unhold(call: Call, account_id: str, name: str) -> None:
    call.face.hold(name, account_id, on=False)


def _transfer(call: Call, account_id: str, name: str) -> None:
    target = call.required_data.get("target")
    if not isinstance(target, str):
        raise RequestInvalid("target", target, "the number to connect to, as text", "type")
    call.face.transfer(name, target, account_id)


def _send_digits(call: Call, account_id: str, name: str) -> None:
    digits = call.required_data.get("digits")
    if not isinstance(digits, str):
        raise RequestInvalid("digits", digits, "DTMF digits, as text", "type")
    duration = call.required_data.get("duration", USUAL_MS)
    if not isinstance(duration, int) or isinstance(duration, bool):
        raise RequestInvalid("duration", duration, "milliseconds, an integer", "type")
    call.face.send_digits(name, digits, account_id, duration_ms=duration)


_ACTIONS: dict[str, Action] = {
    "hangup": _hang_up,
    "hold": _hold,
    "unhold": _unhold,
    "transfer": _transfer,
    "dtmf": _send_digits,
    "play": http_media.play,
    "stop_playing": http_media.stop_playing,
    "record_start": http_media.record_start,
    "record_stop": http_media.record_stop,
}


def _leg(call: Call, handle: CallHandle, call_id: str) -> LegSnapshot | None:
    legs = call.face.legs_of(handle.originate_id)
    return next((leg for leg in legs if leg.call_id == call_id), None)


def _document(call: Call, leg: LegSnapshot) -> dict[str, object]:
    return channel_document(leg, Switch(call.face.node), time.time())


def _integer(call: Call, name: str, least: int, most: int) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 13 and least <= int(text) <= most):
        raise RequestInvalid(name, text[:32], f"an integer, {least} to {most}", "type")
    return int(text)
