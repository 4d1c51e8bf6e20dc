"""The originate request as Kazoo's REST answers show it: whole in an error, less in a success."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from engine.control.kazoo_keys import snake_key
from engine.core.media_values import Encryption
from engine.core.settings import DISPLAY_NAME
from engine.core.values import CallerId, Endpoint, OriginateRequest, Outcome

if TYPE_CHECKING:
    from engine.control.face import CallHandle

T = TypeVar("T")

_EXPORTED = [
    "Account-ID",
    "Retain-CID",
    "Authorizing-ID",
    "Authorizing-Type",
    "Outbound-Callee-ID-Number",
    "Outbound-Callee-ID-Name",
]

_DEFAULT_HEADERS = frozenset(
    {
        "app_name",
        "app_version",
        "event_category",
        "event_name",
        "msg_id",
        "node",
        "server_id",
        "system_log_id",
    }
)


def originate_request(handle: CallHandle, node: str) -> dict[str, object]:
    """Return the whole request in snake_case: the `request` of a quickcall error.

    `server_id` is where the answer of an AMQP originate goes; over HTTP that is the node itself.
    """
    request = handle.request
    shown_to_callee = _callee_id(request, handle.endpoints)
    document: dict[str, object] = {
        "app_name": "crossbar",
        "app_version": "4.0.0",
        "application_data": {"route": handle.number},
        "application_name": "transfer",
        "continue_on_fail": False,
        "custom_application_vars": request.custom_application_vars or None,
        "custom_channel_vars": {
            "account_id": request.account_id,
            "authorizing_id": request.endpoint_id,
            "authorizing_type": request.endpoint_type.value,
            "inherit_codec": "false",
            "retain_cid": "true",
        },
        "dial_endpoint_method": request.dial_method.value,
        "endpoints": _endpoints(handle),
        "event_category": "resource",
        "event_name": "originate_req",
        "existing_call_id": request.target_call_id,
        "export_custom_channel_vars": _EXPORTED,
        "fail_on_single_reject": _single_reject(request),
        "ignore_completed_elsewhere": request.ignore_completed_elsewhere or None,
        "ignore_early_media": request.ignore_early_media,
        "max_duration": request.max_duration or None,
        "media": request.media.value,
        "msg_id": handle.originate_id,
        "node": node,
        "number_filter_note": handle.filter_note,
        "outbound_call_id": request.call_id,
        "outbound_callee_id_name": shown_to_callee.name,
        "outbound_callee_id_number": shown_to_callee.number,
        "outbound_caller_id_name": DISPLAY_NAME if request.cid_name is None else request.cid_name,
        "outbound_caller_id_number": (
            handle.number if request.cid_number is None else request.cid_number
        ),
        "privacy_hide_name": request.hide_name or None,
        "privacy_hide_number": request.hide_number or None,
        "server_id": node,
        "system_log_id": handle.originate_id,
        "timeout": request.timeout,
    }
    return {key: value for key, value in document.items() if value is not None and value != ""}


def accepted(handle: CallHandle, node: str) -> dict[str, object]:
    """Return the `data` of an accepted quickcall: the request without the bus's own headers."""
    request = originate_request(handle, node)
    return {key: value for key, value in request.items() if key not in _DEFAULT_HEADERS}


def answered(handle: CallHandle, outcome: Outcome, node: str) -> dict[str, object]:
    """Return the `data` of a quickcall whose endpoint answered: request and response merged."""
    return {
        **accepted(handle, node),
        "application_response": "SUCCESS",
        "call_id": outcome.call_id,
    }


def _single_reject(request: OriginateRequest) -> bool | list[str] | None:
    asked = request.fail_on_single_reject
    return (asked or None) if isinstance(asked, bool) else sorted(asked)


def _first(of_endpoint: T | None, of_request: T) -> T:
    """What an endpoint does not say is as the request says."""
    return of_request if of_endpoint is None else of_endpoint


def _callee_id(request: OriginateRequest, endpoints: tuple[Endpoint, ...]) -> CallerId:
    own = endpoints[0].caller_id if endpoints else CallerId()
    return CallerId(
        own.name if request.cid_name is None else request.cid_name,
        own.number if request.cid_number is None else request.cid_number,
    )


def _endpoints(handle: CallHandle) -> list[dict[str, object]]:
    """One element per INVITE, and one per device that has nowhere to be sent one."""
    legs = [(planned.endpoint, planned.call_id) for planned in handle.planned]
    reached = {endpoint.id for endpoint, _ in legs}
    legs += [
        (endpoint, f"{handle.originate_id}-{endpoint.id}-quickcall")
        for endpoint in handle.endpoints
        if endpoint.id not in reached
    ]
    wish = handle.request.auto_answer
    auto_answer = bool(wish) if len(legs) == 1 or wish == "force" else None
    return [_endpoint(handle, endpoint, call_id, auto_answer) for endpoint, call_id in legs]


def _endpoint(
    handle: CallHandle, endpoint: Endpoint, call_id: str, auto_answer: bool | None
) -> dict[str, object]:
    request, media = handle.request, endpoint.media
    channel_vars: dict[str, object] = {
        "account_id": request.account_id,
        "authorizing_id": endpoint.forwarded_by or endpoint.id,
        "authorizing_type": "device" if endpoint.forwarded_by else endpoint.kind,
        "media_encryption_enforce_security": media.encryption is Encryption.MANDATORY,
        "sip_invite_domain": endpoint.realm,
    }
    if media.encryption is not Encryption.OFF:
        channel_vars["rtp_secure_media"] = "true"
    if media.webrtc:
        channel_vars |= {"media_webrtc": "true", "rtcp_mux": "true"}
    if auto_answer is not None:
        channel_vars["auto_answer"] = auto_answer
    if endpoint.owner_id:
        channel_vars["owner_id"] = endpoint.owner_id
    headers: dict[str, object] = {snake_key(name): value for name, value in endpoint.headers}
    headers["x_kazoo_invite_format"] = endpoint.invite_format
    if endpoint.user:
        headers["x_kazoo_aor"] = endpoint.aor
    document: dict[str, object] = {
        "codecs": endpoint.codecs,
        "custom_channel_vars": channel_vars,
        "custom_sip_headers": headers,
        "endpoint_delay": _first(endpoint.delay, request.endpoint_delay) or None,
        "endpoint_progress_timeout": (
            _first(endpoint.progress_timeout, request.progress_timeout) or None
        ),
        "endpoint_timeout": _first(endpoint.timeout, request.endpoint_timeout) or None,
        "ignore_completed_elsewhere": _first(
            endpoint.ignore_completed_elsewhere, request.ignore_completed_elsewhere
        ),
        "ignore_early_media": endpoint.ignore_early_media,
        "invite_format": endpoint.invite_format,
        "outbound_call_id": call_id,
        "presence_id": f"{endpoint.user}@{endpoint.realm}" if endpoint.user else "",
        "to_did": endpoint.number or handle.number,
        "to_realm": endpoint.realm,
        "to_user": endpoint.user,
        "to_username": endpoint.user,
    }
    return {key: value for key, value in document.items() if value is not None and value != ""}
