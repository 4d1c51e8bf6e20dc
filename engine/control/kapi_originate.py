"""Kazoo's originate_req (kapi_resource) into an `OriginateRequest`, and the replies to it. Pure.

Which key does what, and which has no effect: docs/amqp.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from engine.control import option_values as values
from engine.control.kapi import (
    Rules,
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
from engine.core.uri import MAX_CALL_ID, MAX_URI, call_id_text
from engine.core.values import (
    Application,
    DialMethod,
    Endpoint,
    EndpointType,
    IgnoreEarlyMedia,
    MediaMode,
    OriginateRequest,
)

INTERACTION = "Call-Interaction-ID"

UNSUPPORTED = "unsupported"
"""Code of the error of an application that does not exist here."""

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


class Originate(msgspec.Struct, frozen=True):
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
    naming the key, with the code `UNSUPPORTED` for an application there is not.
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
        headers=fields.inner("Custom-SIP-Headers").headers(),
        application=application,
        endpoints=rung,
        bridge_to=bridge_to,
        channel_vars=_channel_vars(fields, variables),
        exported_vars=frozenset(fields.texts("Export-Custom-Channel-Vars", _MAX_EXPORTED)),
    )
    immediate = fields.flag("Originate-Immediate")
    return Originate(
        request,
        _chosen_call_id(fields) or new_call_id(),
        application is not Application.PARK if immediate is None else immediate,
        application is not Application.TRANSFER and fields.flag("Start-Control-Process") is False,
    )


# --- parts of the request -----------------------------------------------------------------------


def _application(fields: Fields) -> Application:
    """Check what Kazoo checks, and return the application."""
    validate(fields.data, ORIGINATE_REQ)
    name = fields.text("Application-Name")
    if name not in _APPLICATIONS:
        allowed = ", ".join(sorted(_APPLICATIONS))
        raise RequestInvalid("Application-Name", name, allowed, UNSUPPORTED)
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


def _channel_vars(fields: Fields, variables: Fields) -> dict[str, object]:
    told: dict[str, object] = {
        name: value for name, value in variables.variables().items() if name not in NOT_CHANNEL_VARS
    }
    # It names the call in every event and record: no longer than a Call-ID.
    variables.text(INTERACTION, limit=MAX_CALL_ID)
    if fields.has("Outbound-Call-ID"):
        told.setdefault("Origination-Call-ID", fields.text("Outbound-Call-ID"))
    return told
