"""Legs of an originate before they are dialled: identities, channel variables, INVITE."""

from __future__ import annotations

from dataclasses import dataclass

from engine.core.attempts import Target
from engine.core.invite import dial_carrier, dial_device, is_carrier
from engine.core.leg import Leg, LegPlan, OtherLeg
from engine.core.settings import DISPLAY_NAME, CallSettings
from engine.core.values import CallerId, Endpoint, LegId, LegRole, OriginateId, OriginateRequest


@dataclass(frozen=True, slots=True)
class Subject:
    """What every leg of one originate shares."""

    id: OriginateId
    request: OriginateRequest
    number: str
    """Dialled number after the number filter."""
    interaction_id: str
    owner_caller_id: CallerId
    """External caller id of the endpoint's owner, for devices that have none."""


def a_leg(
    subject: Subject,
    target: Target,
    ids: tuple[LegId, str],
    settings: CallSettings,
    now: float,
    *,
    alone: bool,
) -> Leg:
    """Return the leg that rings one contact of the endpoint.

    It shows the request's caller id, else "Device QuickCall" and the dialled number. Auto-answer is
    asked for only when the contact is `alone`: of several phones none may pick up by itself. Raises
    `RequestInvalid`.
    """
    request, endpoint = subject.request, target.endpoint
    caller = CallerId(
        DISPLAY_NAME if request.cid_name is None else request.cid_name,
        subject.number if request.cid_number is None else request.cid_number,
    )
    auto_answer = request.auto_answer and alone
    leg, call_id = ids
    invite = dial_device(
        leg, call_id, target, subject.number, caller, settings, auto_answer=auto_answer
    )
    callee = shown_to_b(subject, endpoint)
    variables = _channel_vars(subject, endpoint)
    plan = LegPlan(
        LegRole.A,
        subject.id,
        request,
        endpoint,
        target.contact,
        subject.interaction_id,
        caller,
        callee,
        auto_answer,
        variables,
    )
    return Leg(plan, invite, now)


def b_leg(
    subject: Subject,
    target: Target,
    ids: tuple[LegId, str],
    settings: CallSettings,
    now: float,
    *,
    a: Leg,
    number: str,
    dial_number: str,
) -> Leg:
    """Return the leg that dials one target for the answered leg `a`.

    `number` is shown as the dialled one, `dial_number` asked of a carrier. Raises `RequestInvalid`.
    """
    caller = shown_to_b(subject, a.plan.endpoint)
    leg, call_id = ids
    variables = _channel_vars(subject, target.endpoint)
    variables["Bridge-ID"] = a.invite.call_id
    if is_carrier(target):
        invite = dial_carrier(
            *(leg, call_id, target, target.endpoint.number or dial_number, caller, settings),
            codec_of=a.invite.leg,
        )
        variables["Resource-ID"] = target.endpoint.id
        variables["Authorizing-ID"] = a.plan.endpoint.id
        variables["Authorizing-Type"] = a.plan.endpoint.kind
    else:
        realm = a.plan.endpoint.realm
        invite = dial_device(
            *(leg, call_id, target, number, caller, settings),
            codec_of=a.invite.leg,
            from_realm=realm,
        )
    plan = LegPlan(
        LegRole.B,
        subject.id,
        subject.request,
        target.endpoint,
        target.contact,
        subject.interaction_id,
        caller,
        CallerId("", number),
        False,
        variables,
    )
    made = Leg(plan, invite, now)
    made.other = OtherLeg(a.invite.call_id, a.plan.endpoint.user, a.plan.caller_id)
    return made


def shown_to_b(subject: Subject, endpoint: Endpoint) -> CallerId:
    """Return the caller id that the dialled party sees.

    The request's, else the device's own, else its owner's; a device without any number shows its
    SIP user. For Kazoo this is the callee id of the A-leg.
    """
    request, own, owner = subject.request, endpoint.caller_id, subject.owner_caller_id
    name = own.name or owner.name if request.cid_name is None else request.cid_name
    number = own.number or owner.number or endpoint.user
    return CallerId(name, number if request.cid_number is None else request.cid_number)


def _channel_vars(subject: Subject, endpoint: Endpoint) -> dict[str, object]:
    """Variables as Kazoo names them; without Account-ID the events of a leg reach nobody."""
    values = {
        "Account-ID": subject.request.account_id,
        "Authorizing-ID": endpoint.id,
        "Authorizing-Type": endpoint.kind,
        "Owner-ID": endpoint.owner_id,
        "Call-Interaction-ID": subject.interaction_id,
        "Realm": endpoint.realm,
        "Username": endpoint.user,
        "Retain-CID": "true",
    }
    return {name: value for name, value in values.items() if value}
