"""Routes of live channels: listed, shown, acted on, hung up.

A Call-ID may hold any character of RFC 3261's `word`, slashes too, so it is read from the raw path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from engine.control.channel_actions import ACTIONS, Action
from engine.control.face import CallHandle
from engine.control.http_context import Call, HttpRequest, open_call, segment_in
from engine.control.kazoo_channels import channel_document
from engine.control.kazoo_events import Switch
from engine.control.metaflows import parse_metaflow
from engine.control.openapi import channel_body, metaflow_body, operation
from engine.core.errors import NotFound, RequestInvalid
from engine.core.values import LegSnapshot

ACCOUNT = "/v2/accounts/{account_id:str}"
CHANNELS = f"{ACCOUNT}/channels"
CHANNEL = CHANNELS + "/{call_id:path}"

_ID_AT = 5
"""Slashes before the id in a path."""

_ERRORS = (400, 401, 403, 404)
_Listed = operation(errors=_ERRORS)
_Acted = (*_ERRORS, 409)


@get(CHANNELS, summary="List live channels", operation_class=_Listed)
async def list_channels(request: HttpRequest, account_id: FromPath[str]) -> Response[bytes]:
    """List the live legs of an account."""
    call = await open_call(request, account_id)
    call.face.directory.account(account_id)
    return _listed(call, account_id, lambda _: True)


@get(
    f"{ACCOUNT}/users/{{user_id:str}}/channels",
    summary="List live channels of a user",
    operation_class=_Listed,
)
async def list_channels_of_user(
    request: HttpRequest, account_id: FromPath[str], user_id: FromPath[str]
) -> Response[bytes]:
    """List the live legs of the devices a user owns."""
    call = await open_call(request, account_id)
    call.face.directory.user(account_id, user_id)
    return _listed(call, account_id, lambda leg: leg.owner_id == user_id)


@get(
    f"{ACCOUNT}/devices/{{device_id:str}}/channels",
    summary="List live channels of a device",
    operation_class=_Listed,
)
async def list_channels_of_device(
    request: HttpRequest, account_id: FromPath[str], device_id: FromPath[str]
) -> Response[bytes]:
    """List the live legs to a device."""
    call = await open_call(request, account_id)
    call.face.directory.device(account_id, device_id)
    return _listed(call, account_id, lambda leg: leg.endpoint_id == device_id)


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
    operation_class=operation(body=channel_body, errors=_Acted),
)
async def act_on_channel(
    request: HttpRequest, account_id: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """Do something to the call of a Call-ID or request id: `{"data": {"action": "hold"}}`."""
    call = await open_call(request, account_id)
    name = segment_in(request, _ID_AT, "call_id")
    given = call.required_data.get("action")
    act = ACTIONS.get(given) if isinstance(given, str) else None
    if act is None:
        raise RequestInvalid("action", given, ", ".join(ACTIONS), "enum")
    return _acted(call, account_id, name, act, call.required_data, f"{given} initiated")


@put(
    CHANNEL,
    status_code=202,
    summary="Send a metaflow to a channel",
    operation_class=operation(body=metaflow_body, errors=_Acted),
)
async def send_metaflow(
    request: HttpRequest, account_id: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """Do the same in Kazoo's words: `{"data": {"module": "transfer", "data": {"target": ...}}}`."""
    call = await open_call(request, account_id)
    name = segment_in(request, _ID_AT, "call_id")
    action, data = parse_metaflow(call.required_data)
    return _acted(call, account_id, name, ACTIONS[action], data, "metaflow sent")


@delete(CHANNEL, status_code=202, summary="Hang up", operation_class=operation(errors=_ERRORS))
async def end_channel(
    request: HttpRequest, account_id: FromPath[str], call_id: FromPath[str]
) -> Response[bytes]:
    """End the call of a Call-ID or request id, in whatever state it is; again while it ends."""
    call = await open_call(request, account_id)
    name = segment_in(request, _ID_AT, "call_id")
    return _acted(call, account_id, name, ACTIONS["hangup"], {}, "hangup initiated")


def _listed(call: Call, account_id: str, wanted: Callable[[LegSnapshot], bool]) -> Response[bytes]:
    switch, now = Switch(call.face.node), time.time()
    legs = [leg for leg in call.face.channels(account_id) if wanted(leg)]
    return call.succeed([channel_document(leg, switch, now) for leg in legs])


def _acted(
    call: Call,
    account_id: str,
    name: str,
    act: Action,
    data: Mapping[str, object],
    message: str,
) -> Response[bytes]:
    handle = call.face.call(name, account_id)
    leg = _leg(call, handle, name)
    if leg is not None:
        document = _document(call, leg)
    else:
        # A request, or an INVITE that waits for its turn and has no channel yet.
        document = {"msg_id": handle.originate_id}
        document |= {} if name == handle.originate_id else {"call_id": name}
    document |= act(call.face, account_id, name, data) or {}
    return call.succeed(document, 202, message=message)


def _leg(call: Call, handle: CallHandle, call_id: str) -> LegSnapshot | None:
    legs = call.face.legs_of(handle.originate_id)
    return next((leg for leg in legs if leg.call_id == call_id), None)


def _document(call: Call, leg: LegSnapshot) -> dict[str, object]:
    return channel_document(leg, Switch(call.face.node), time.time())
