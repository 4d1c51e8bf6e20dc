"""Kazoo's `bridge` command and the routes of a `route_resp`: endpoints to connect to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.control.kapi_endpoints import Given, caller_id, cid_type, endpoint_list
from engine.control.kapi_fields import Fields
from engine.core.errors import RequestInvalid
from engine.core.values import BridgeOrder, CallerId, DialMethod, Endpoint

Dialled = Callable[[str], tuple[Endpoint, ...]]
"""Where the dial plan leads a number that a `loopback` endpoint names."""

_METHODS = frozenset(DialMethod)
_MEDIA = frozenset({"process", "bypass", "auto"})


def bridge_order(body: Mapping[str, object], dialled: Dialled) -> BridgeOrder:
    """Return what a `bridge` command orders. Raises `RequestInvalid`.

    Without `Dial-Endpoint-Method` endpoints are rung one after the other, as ecallmgr does it.
    Several at once never give early media: whose would be heard? Unless it says otherwise, a
    channel outlives a bridge that failed, since its application has more to try.
    """
    fields = Fields(body)
    shown = caller_id(fields, "Caller")
    given = _given(fields, dialled)
    endpoints = _at_least_one("Endpoints", endpoint_list(fields, "Endpoints", given))
    method = DialMethod(fields.one_of("Dial-Endpoint-Method", _METHODS, DialMethod.SINGLE))
    fields.one_of("Media", _MEDIA, "process")
    together = method is DialMethod.SIMULTANEOUS and len(endpoints) > 1
    return BridgeOrder(
        endpoints,
        number=fields.text("Callee-ID-Number", "Outbound-Callee-ID-Number"),
        dial_method=method,
        timeout=fields.seconds("Timeout") or 0.0,
        caller_id=shown if shown != CallerId() else None,
        ignore_early_media=together or bool(fields.flag("Ignore-Early-Media")),
        goes_on=bool(fields.flag("Continue-After")),
        may_fail=fields.flag("Continue-On-Fail") is not False,
    )


def routes(body: Mapping[str, object], dialled: Dialled) -> tuple[Endpoint, ...]:
    """Return the endpoints of a `route_resp` with Method bridge. Raises `RequestInvalid`."""
    fields = Fields(body)
    found = endpoint_list(fields, "Routes", _given(fields, dialled))
    return _at_least_one("Routes", found)


def _given(fields: Fields, dialled: Dialled) -> Given:
    return Given(
        new_call_id=lambda: "",
        dialled=dialled,
        caller_id=caller_id(fields, "Caller"),
        callee_id=caller_id(fields, "Callee"),
        cid_type=cid_type(fields, "rpid"),
    )


def _at_least_one(field: str, found: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    if not found:
        raise RequestInvalid(field, [], "at least one endpoint with an Invite-Format", "minItems")
    return found
