"""Kazoo's originate_req (kapi_resource) into an `OriginateRequest`, and the replies to it. Pure.

Which key does what, and which has no effect: docs/amqp.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from engine.control import option_values as values
from engine.control.kapi import (
    Rules,
    error_message,
    is_boolean,
    is_list,
    is_object,
    validate,
)
from engine.control.kapi_endpoints import (
    NOT_CHANNEL_VARS,
    Given,
    caller_id,
    cid_type,
    endpoint_list,
    endpoints,
)
from engine.control.kapi_fields import Fields
from engine.control.kazoo_request import application_vars
from engine.control.request_bounds import MAX_NUMBER, MAX_TIMEOUT, number_text
from engine.core.errors import RequestInvalid
from engine.core.uri import MAX_URI, call_id_text
from engine.core.values import (
    Application,
    DialMethod,
    Endpoint,
    EndpointType,
    IgnoreEarlyMedia,
    MediaMode,
    OriginateRequest,
)

NOT_VALID = "originate failed to execute as JObj did not validate"
"""`Error-Message` of a request that cannot be carried out as it is."""

NOT_EXECUTED = "Failed to receive valid originate_execute in time"
"""`Error-Message` of a request whose sender did not ask for its execution."""

NOBODY = "DESTINATION_OUT_OF_ORDER"
"""`Error-Message` of a request none of whose endpoints can be rung."""

NOT_IMPLEMENTED = "FACILITY_NOT_IMPLEMENTED"
"""`Error-Message` of a request for an application that does not exist here."""

RING_S = 60
"""Seconds to ring when the request does not say (FreeSWITCH's originate_timeout)."""

_APPLICATIONS = frozenset(application.value for application in Application)
_MEDIA = frozenset({"process", "bypass", "auto"})
_METHODS = frozenset(method.value for method in DialMethod)
_MAX_EXPORTED = 64

ORIGINATE_REQ = Rules(
    "resource",
    "originate_req",
    required=frozenset({"Application-Name", "Endpoints"}),
    values={
        "Application-Name": frozenset({*_APPLICATIONS, "eavesdrop", "fax"}),
        "Dial-Endpoint-Method": _METHODS,
        "Media": _MEDIA,
    },
    types={
        "Continue-On-Fail": is_boolean,
        "Custom-Application-Vars": is_object,
        "Custom-Channel-Vars": is_object,
        "Custom-SIP-Headers": is_object,
        "Endpoints": is_list,
    },
)
"""What Kazoo checks of it. Its keys are more; those that nobody knows are no fault."""

ORIGINATE_EXECUTE = Rules("dialplan", "originate_execute", required=frozenset({"Call-ID"}))
"""Says that a request that is ready is to be carried out."""

_ANSWERED = frozenset(
    {
        "Account-ID",
        "Application-Data",
        "Application-Name",
        "Callee-ID-Name",
        "Callee-ID-Number",
        "Caller-ID-Name",
        "Caller-ID-Number",
        "Custom-Application-Vars",
        "Custom-Channel-Vars",
        "Custom-SIP-Headers",
        "Origination-Call-ID",
        "Server-ID",
        "System-Log-ID",
    }
)
"""Keys of a request that its originate_resp repeats: those that kapi_call lets into an event."""


@dataclass(frozen=True, slots=True)
class Originate:
    """A valid originate_req."""

    request: OriginateRequest
    call_id: str
    """The id the replies name the request by (ecallmgr's "global" id), of no channel."""
    immediate: bool
    """False: it is carried out when its sender has said so (originate_execute)."""
    started: bool
    """Its sender wants to hear of the answer by originate_started, and of the end of what the
    answered channel does by originate_resp."""


def parse_originate(
    message: Mapping[str, object],
    new_call_id: Callable[[], str],
    dialled: Callable[[str, str], tuple[Endpoint, ...]],
) -> Originate:
    """Return what an originate_req asks for.

    `dialled` returns where the dial plan of an account leads a number. Raises `RequestInvalid`
    naming the key, with the code `unsupported` for an application there is not.
    """
    fields = Fields(message)
    application = _application(fields)
    variables = fields.inner("Custom-Channel-Vars")
    account_id = variables.text("Account-ID") or fields.text("Account-ID")
    given = Given(
        new_call_id,
        lambda number: dialled(account_id, number),
        caller_id(fields, "Caller"),
        caller_id(fields, "Callee"),
        cid_type(fields, cid_type(variables, "rpid")),
        variables.true("Auto-Answer"),
    )
    rung = endpoint_list(fields, "Endpoints", given)
    bridge_to = _bridge_to(fields, given) if application is Application.BRIDGE else ()
    request = OriginateRequest(
        account_id,
        *_authorizing(variables, rung),
        _number(fields, application, bridge_to),
        auto_answer=_auto_answer(rung),
        custom_application_vars=application_vars(
            "Custom-Application-Vars", fields.inner("Custom-Application-Vars").data
        ),
        ignore_early_media=_early_media(fields),
        media=_media(fields),
        number_filter=False,
        target_call_id=fields.text("Existing-Call-ID") or None,
        timeout=_ring_seconds(fields),
        request_id=fields.text("Msg-ID"),
        dial_method=_dial_method(fields),
        fail_on_single_reject=_single_reject(fields),
        ignore_completed_elsewhere=fields.flag("Ignore-Completed-Elsewhere") is True,
        progress_timeout=fields.seconds("Progress-Timeout") or 0.0,
        hide_name=fields.flag("Privacy-Hide-Name") is True,
        hide_number=fields.flag("Privacy-Hide-Number") is True,
        headers=fields.headers("Custom-SIP-Headers"),
        application=application,
        endpoints=rung,
        bridge_to=bridge_to,
        channel_vars=_channel_vars(fields),
        exported_vars=frozenset(fields.texts("Export-Custom-Channel-Vars", _MAX_EXPORTED)),
    )
    immediate = fields.flag("Originate-Immediate")
    return Originate(
        request,
        _chosen_call_id(fields) or new_call_id(),
        application is not Application.PARK if immediate is None else immediate,
        application is not Application.TRANSFER and fields.flag("Start-Control-Process") is False,
    )


# --- replies ------------------------------------------------------------------------------------


def uuid_reply(call_id: str, queue: str) -> dict[str, object]:
    """Return originate_uuid: a Call-ID there will be, and the queue that takes its commands."""
    return {
        **_named("resource", "originate_uuid"),
        "Outbound-Call-ID": call_id,
        "Outbound-Call-Control-Queue": queue,
    }


def ready_reply(call_id: str, queue: str, server_id: str) -> dict[str, object]:
    """Return originate_ready: the request is carried out once `server_id` gets its execute."""
    return {
        **_named("dialplan", "originate_ready"),
        "Call-ID": call_id,
        "Control-Queue": queue,
        "Server-ID": server_id,
    }


def started_reply(call_id: str, queue: str) -> dict[str, object]:
    """Return originate_started: this channel answered and does what was asked."""
    return {
        **_named("resource", "originate_started"),
        "Call-ID": call_id,
        "Control-Queue": queue,
    }


def success_reply(message: Mapping[str, object], call_id: str, queue: str) -> dict[str, object]:
    """Return originate_resp: what an event may tell of the request, and the channel that won."""
    return {
        **{key: value for key, value in message.items() if key in _ANSWERED},
        **_named("resource", "originate_resp"),
        "Application-Response": "SUCCESS",
        "Call-ID": call_id,
        "Control-Queue": queue,
    }


def error_reply(
    message: Mapping[str, object],
    text: str,
    call_id: str = "",
    detail: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Return the error: its text, the whole request, and as `Error-Detail` what else is known."""
    reply = error_message("originate_resp", text, message, call_id)
    return {**reply, "Error-Detail": detail} if detail else reply


def detail_of(error: RequestInvalid) -> dict[str, object]:
    """Return `Error-Detail` of a value that is not allowed."""
    return {
        "Field": error.field,
        "Value": str(error.value)[:128],
        "Allowed": error.allowed,
        "Code": error.code,
    }


def _named(category: str, name: str) -> dict[str, object]:
    return {"Event-Category": category, "Event-Name": name}


# --- parts of the request -----------------------------------------------------------------------


def _application(fields: Fields) -> Application:
    """Check what Kazoo checks, and return the application."""
    validate(fields.data, ORIGINATE_REQ)
    name = fields.text("Application-Name")
    if name not in _APPLICATIONS:
        allowed = ", ".join(sorted(_APPLICATIONS))
        raise RequestInvalid("Application-Name", name, allowed, "unsupported")
    return Application(name)


def _authorizing(variables: Fields, rung: tuple[Endpoint, ...]) -> tuple[EndpointType, str]:
    """Return whom the call is for: what the channel variables say, else the first endpoint."""
    owner = variables.text("Authorizing-ID") or (rung[0].id if rung else "")
    user = variables.text("Authorizing-Type") == EndpointType.USER
    return EndpointType.USER if user else EndpointType.DEVICE, owner


def _number(fields: Fields, application: Application, bridge_to: tuple[Endpoint, ...]) -> str:
    """Return the number the answered endpoint is connected to, empty: it is to none."""
    if application is Application.TRANSFER:
        data = fields.inner("Application-Data")
        return number_text(data.name("Route"), data.text("Route", limit=MAX_NUMBER))
    return next((to.number or to.user for to in bridge_to), "")


def _bridge_to(fields: Fields, given: Given) -> tuple[Endpoint, ...]:
    """Return whom to connect to: the endpoint, or the list, that `Application-Data` is."""
    data = fields.inner("Application-Data")
    if data.has("Endpoints"):
        found = endpoint_list(data, "Endpoints", given)
    else:
        found = endpoints(given, [(data.path, data.data)])
    if not found and not fields.has("Existing-Call-ID"):
        allowed = "an endpoint with Invite-Format, or Existing-Call-ID"
        raise RequestInvalid(data.path, "", allowed, "required")
    return found


def _auto_answer(rung: tuple[Endpoint, ...]) -> bool | Literal["force"]:
    """Of several endpoints those answer by themselves that say so, as in FreeSWITCH."""
    asked = any(endpoint.may_auto_answer for endpoint in rung)
    return "force" if asked and len(rung) > 1 else asked


def _early_media(fields: Fields) -> IgnoreEarlyMedia:
    """Not ignored unless that is said: FreeSWITCH's default."""
    if not fields.has("Ignore-Early-Media"):
        return False
    return values.early_media("Ignore-Early-Media", fields.data["Ignore-Early-Media"])


def _media(fields: Fields) -> MediaMode:
    bypass = fields.one_of("Media", _MEDIA) == "bypass"
    return MediaMode.BYPASS if bypass else MediaMode.PROCESS


def _dial_method(fields: Fields) -> DialMethod:
    """One after the other unless that is said: the separator of ecallmgr's dial strings."""
    return DialMethod(fields.one_of("Dial-Endpoint-Method", _METHODS, "single"))


def _single_reject(fields: Fields) -> bool | frozenset[str]:
    if not fields.has("Fail-On-Single-Reject"):
        return False
    return values.single_reject("Fail-On-Single-Reject", fields.data["Fail-On-Single-Reject"])


def _ring_seconds(fields: Fields) -> int:
    found = fields.seconds("Timeout")
    return values.timeout("Timeout", min(int(found), MAX_TIMEOUT)) if found else RING_S


def _chosen_call_id(fields: Fields) -> str:
    chosen = fields.text("Outbound-Call-ID", limit=MAX_URI)
    return call_id_text("Outbound-Call-ID", chosen) if chosen else ""


def _channel_vars(fields: Fields) -> dict[str, object]:
    variables: dict[str, object] = {
        name: value
        for name, value in fields.variables("Custom-Channel-Vars").items()
        if name not in NOT_CHANNEL_VARS
    }
    if fields.has("Outbound-Call-ID"):
        variables.setdefault("Origination-Call-ID", fields.text("Outbound-Call-ID"))
    return variables
