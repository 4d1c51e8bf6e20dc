"""Kazoo's routing of a number (`kapi_route`): question, answers, and what is told the winner. Pure.

What ecallmgr asks when a channel enters its dial plan, asked here when the rung endpoint has
answered: the channel stands for a caller who dialled the number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from engine.control.kapi import Rules, encode_key, is_list, is_object, is_text, validate
from engine.control.kapi_bridge import routes
from engine.control.kazoo_events import Switch
from engine.core.causes import CAUSES, cause_of_status
from engine.core.commands import ResolveDestination
from engine.core.errors import RequestInvalid
from engine.core.events import DestinationResolved
from engine.core.values import Endpoint, LegSnapshot, Refusal

WINDOW_S = 3.0
"""How long answers are waited for: ecallmgr's collect window (its switch gives up after 3.5 s)."""

NO_ROUTE_RESPONSE = "NO_ROUTE_RESPONSE"
"""What the reason of a call begins with that nobody gave a route for (Kazoo's word)."""

RESOURCE_TYPE = "audio"

MAX_REASON = 200

_SIP_STATUS = re.compile(r"[3-6][0-9]{2}", re.ASCII)

_RESPONSE = Rules(
    "dialplan",
    "route_resp",
    frozenset({"Method"}),
    values={
        "Method": frozenset({"bridge", "park", "error", "sms", "plan", "application"}),
        "Pre-Park": frozenset({"none", "ring_ready", "answer"}),
    },
    types={
        "Route-Error-Code": is_text,
        "Route-Error-Message": is_text,
        "Routes": is_list,
        "Custom-Channel-Vars": is_object,
        "Server-ID": is_text,
    },
)

Body = Mapping[str, object]
Dialled = Callable[[str, str], tuple[Endpoint, ...]]
"""Where the dial plan of an account leads a number."""


def routing_key(account_id: str) -> str:
    """Return the routing key of a question on `callmgr`.

    >>> routing_key("acct")
    'route.req.audio.acct'
    """
    return f"route.req.{RESOURCE_TYPE}.{encode_key(account_id)}"


def route_req(
    asked: ResolveDestination, rung: LegSnapshot, switch: Switch, msg_id: str, reply_queue: str
) -> dict[str, object]:
    """Return the question where the number of an answered originate goes.

    The caller id is what the dialled party is to see, which for the rung leg is the callee's.
    """
    realm = rung.realm or switch.hostname
    dialled = f"{asked.number}@{realm}"
    caller = rung.callee_id
    return {
        "Event-Category": "dialplan",
        "Event-Name": "route_req",
        "Msg-ID": msg_id,
        "Server-ID": reply_queue,
        "Call-ID": rung.call_id,
        "Call-Direction": "inbound",
        "Resource-Type": RESOURCE_TYPE,
        "Caller-ID-Name": caller.name,
        "Caller-ID-Number": caller.number,
        "From": f"{rung.user or caller.number or 'anonymous'}@{realm}",
        "Request": dialled,
        "To": dialled,
        "SIP-Request-Host": realm,
        "From-Tag": rung.from_tag,
        "To-Tag": rung.to_tag,
        "User-Agent": rung.user_agent,
        "Switch-Hostname": switch.hostname,
        "Switch-Nodename": switch.node,
        "Switch-URL": switch.url,
        "Switch-URI": switch.uri,
        "Custom-Channel-Vars": _channel_vars(rung, switch, msg_id),
        "Custom-Application-Vars": dict(rung.application_vars),
    }


def _channel_vars(rung: LegSnapshot, switch: Switch, msg_id: str) -> dict[str, object]:
    return {**rung.channel_vars, "Fetch-ID": msg_id, "Ecallmgr-Node": switch.node}


def route_win(
    rung: LegSnapshot, switch: Switch, msg_id: str, control_queue: str
) -> dict[str, object]:
    """Return what the application is told whose answer is taken: it controls the channel now."""
    return {
        "Event-Category": "dialplan",
        "Event-Name": "route_win",
        "Msg-ID": rung.call_id,
        "Call-ID": rung.call_id,
        "Control-Queue": control_queue,
        "Switch-Hostname": switch.hostname,
        "Custom-Channel-Vars": _channel_vars(rung, switch, msg_id),
    }


class RouteAnswer(msgspec.Struct, frozen=True):
    """One usable `route_resp`."""

    found: DestinationResolved
    waits: bool
    """It counts only when no other one comes (`Defer-Response`)."""
    controls: bool
    """Who sent it is to be told that it controls the channel."""


def route_answer(body: Body, asked: ResolveDestination, dialled: Dialled) -> RouteAnswer:
    """Return what an answer says. Raises `RequestInvalid` for one that cannot be used.

    Methods sms, plan and application are of use to Kazoo's own switch only.
    """
    validate(body, _RESPONSE)
    method = body["Method"]
    waits = body.get("Defer-Response") in (True, "true")
    by = str(body.get("App-Name", ""))[:64]
    if method == "park":
        found = _resolved(asked, f"{by} takes control", park=True)
        return RouteAnswer(found, waits, controls=True)
    if method == "bridge":
        account_id = asked.request.account_id
        endpoints = routes(body, lambda number: dialled(account_id, number))
        found = DestinationResolved(
            asked.originate_id, asked.number, endpoints, f"routes of {by}", for_leg=asked.for_leg
        )
        return RouteAnswer(found, waits, controls=True)
    if method == "error":
        refusal = _refusal(body)
        return RouteAnswer(_resolved(asked, f"{by} refuses", refusal), waits, controls=False)
    raise RequestInvalid("Method", method, "bridge, park or error", "enum")


def no_answer(asked: ResolveDestination, why: str) -> DestinationResolved:
    """Return what becomes of a number that nobody gave a route for; the caller may try again."""
    refusal = Refusal("NORMAL_TEMPORARY_FAILURE", f"{NO_ROUTE_RESPONSE}: {why}")
    return _resolved(asked, "", refusal)


def _resolved(
    asked: ResolveDestination, rule: str, refusal: Refusal | None = None, *, park: bool = False
) -> DestinationResolved:
    return DestinationResolved(
        asked.originate_id, asked.number, (), rule, refusal, asked.for_leg, park
    )


def _refusal(body: Body) -> Refusal:
    """Return why the number is refused: a SIP status, or the name of a cause, and words."""
    code = str(body.get("Route-Error-Code", ""))
    said = "".join(c for c in str(body.get("Route-Error-Message", "")) if c.isprintable())
    cause = code if code in CAUSES and CAUSES[code].q850 else "NO_ROUTE_DESTINATION"
    if _SIP_STATUS.fullmatch(code[:3]):
        cause = cause_of_status(int(code[:3]))
    return Refusal(cause, said[:MAX_REASON] or cause)
