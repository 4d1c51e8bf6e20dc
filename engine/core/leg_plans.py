"""Legs of an originate before they are dialled: identities, channel variables, INVITE."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.core.attempts import RESOURCE, Target
from engine.core.auto_answer import NOT_ASKED, AutoAnswer, auto_answer_of
from engine.core.commands import Dial
from engine.core.identity import Identity
from engine.core.invite import dial_carrier, dial_device, is_carrier
from engine.core.leg import Leg
from engine.core.leg_plan import LegPlan, OtherLeg
from engine.core.settings import DISPLAY_NAME, CallSettings
from engine.core.values import CallerId, Endpoint, LegId, LegRole, OriginateId, OriginateRequest


class Subject(msgspec.Struct, frozen=True):
    """What every leg of one originate shares."""

    id: OriginateId
    request: OriginateRequest
    number: str
    """Dialled number after the number filter."""
    interaction_id: str
    owner_caller_id: CallerId
    """External caller id of the endpoint's owner, for devices that have none."""
    filter_note: str = ""
    """Why a regex as number filter left the number as it was, empty: it did not."""


def a_leg(
    subject: Subject,
    target: Target,
    ids: tuple[LegId, str],
    settings: CallSettings,
    now: float,
    *,
    alone: bool,
) -> Leg:
    """Return the leg that rings one contact of the endpoint, or whom that forwards calls to.

    It shows the request's caller id, else "Device QuickCall" and the dialled number. Auto-answer is
    asked for only when the contact is `alone`: of several phones none may pick up by itself. Raises
    `RequestInvalid`.
    """
    endpoint = target.endpoint
    auto_answer = _auto_answer(subject, target, settings, alone=alone)
    invite = _invite_to_a(subject, target, ids, settings, auto_answer)
    plan = LegPlan(
        LegRole.A,
        subject.id,
        subject.request,
        endpoint,
        target.contact,
        subject.interaction_id,
        _shown_to_a(subject, endpoint),
        shown_to_b(subject, endpoint),
        auto_answer,
        _channel_vars(subject, endpoint, subject.request.channel_vars),
    )
    return Leg(plan, invite, now)


def a_invite(
    subject: Subject,
    target: Target,
    ids: tuple[LegId, str],
    settings: CallSettings,
    *,
    alone: bool,
) -> Dial:
    """Return the INVITE of `a_leg`. Raises `RequestInvalid`."""
    auto_answer = _auto_answer(subject, target, settings, alone=alone)
    return _invite_to_a(subject, target, ids, settings, auto_answer)


def _invite_to_a(
    subject: Subject,
    target: Target,
    ids: tuple[LegId, str],
    settings: CallSettings,
    auto_answer: AutoAnswer,
) -> Dial:
    endpoint = target.endpoint
    identity = Identity(_shown_to_a(subject, endpoint))
    number = endpoint.number or subject.number
    if is_carrier(target):
        return dial_carrier(*ids, target, number, identity, settings)
    return dial_device(
        *(*ids, target, number, identity, settings),
        auto_answer=auto_answer,
        headers=subject.request.headers,
    )


def _auto_answer(
    subject: Subject, target: Target, settings: CallSettings, *, alone: bool
) -> AutoAnswer:
    request, phones = subject.request, settings.phones
    return auto_answer_of(request, target.endpoint, target.contact, phones, alone=alone)


def b_leg(
    subject: Subject,
    target: Target,
    ids: tuple[LegId, str],
    settings: CallSettings,
    now: float,
    *,
    a: Leg,
    number: str,
) -> Leg:
    """Return the leg that dials one target for the answered leg `a`.

    `number` is the destination's; a carrier that has its own for it is asked for that. Raises
    `RequestInvalid`.
    """
    rung, endpoint = a.plan.endpoint, target.endpoint
    request = subject.request
    invite = b_invite(
        *(subject, target, ids, settings), rung=rung, number=number, codec_of=a.invite.leg
    )
    given, exported = request.channel_vars, request.exported_vars
    shared = {name: given[name] for name in given if name in exported}
    variables = _channel_vars(subject, endpoint, shared)
    variables["Bridge-ID"] = a.invite.call_id
    if is_carrier(target) and not endpoint.forwarded_by:
        variables["Authorizing-ID"] = rung.forwarded_by or rung.id
        variables["Authorizing-Type"] = "device" if rung.forwarded_by else rung.kind
    for name, hidden in (("Name", request.hide_name), ("Number", request.hide_number)):
        if hidden:
            variables[f"Privacy-Hide-{name}"] = "true"
    plan = LegPlan(
        LegRole.B,
        subject.id,
        request,
        endpoint,
        target.contact,
        subject.interaction_id,
        endpoint.shown or shown_to_b(subject, rung),
        CallerId("", (is_carrier(target) and endpoint.number) or number),
        NOT_ASKED,
        variables,
    )
    made = Leg(plan, invite, now)
    made.other = OtherLeg(a.invite.call_id, rung.user or rung.number, a.plan.caller_id)
    return made


def b_invite(
    subject: Subject,
    target: Target,
    ids: tuple[LegId, str],
    settings: CallSettings,
    *,
    rung: Endpoint,
    number: str,
    codec_of: LegId | None = None,
) -> Dial:
    """Return the INVITE of `b_leg`: never a word of auto-answer, no custom header of the request.

    `rung` is the endpoint that answered, `number` the destination's; a carrier that has its own for
    it is asked for that. Raises `RequestInvalid`.
    """
    request, endpoint = subject.request, target.endpoint
    shown = endpoint.shown or shown_to_b(subject, rung)
    identity = Identity(shown, request.hide_name, request.hide_number)
    number = endpoint.number or number
    if is_carrier(target):
        return dial_carrier(*ids, target, number, identity, settings, codec_of=codec_of)
    return dial_device(
        *(*ids, target, number, identity, settings), from_realm=rung.realm, codec_of=codec_of
    )


def _shown_to_a(subject: Subject, endpoint: Endpoint) -> CallerId:
    """The request's caller id, else "Device QuickCall" and the dialled number.

    Who forwards the call without keeping the caller id shows its own.
    """
    if endpoint.shown is not None:
        return endpoint.shown
    request = subject.request
    return CallerId(
        DISPLAY_NAME if request.cid_name is None else request.cid_name,
        subject.number if request.cid_number is None else request.cid_number,
    )


def shown_to_b(subject: Subject, endpoint: Endpoint) -> CallerId:
    """Return the caller id that the dialled party sees.

    The request's, else the device's own, else its owner's; a device without any number shows its
    SIP user. For Kazoo this is the callee id of the A-leg.
    """
    request, own, owner = subject.request, endpoint.caller_id, subject.owner_caller_id
    name = own.name or owner.name if request.cid_name is None else request.cid_name
    number = own.number or owner.number or endpoint.user
    return CallerId(name, number if request.cid_number is None else request.cid_number)


def _channel_vars(
    subject: Subject, endpoint: Endpoint, given: Mapping[str, object]
) -> dict[str, object]:
    """Variables as Kazoo names them, those that were `given` and those of the endpoint among them.

    Without Account-ID the events of a leg reach nobody, so nothing may take its place.
    """
    by = endpoint.forwarded_by
    values = {
        "Retain-CID": "true",
        "Authorizing-ID": by or endpoint.id,
        "Authorizing-Type": "device" if by else endpoint.kind,
        "Resource-ID": endpoint.id if endpoint.kind == RESOURCE else "",
        "Call-Forward": "true" if by else "",
        "Owner-ID": endpoint.owner_id,
        **given,
        **dict(endpoint.channel_vars),
        "Account-ID": subject.request.account_id,
        "Call-Interaction-ID": subject.interaction_id,
        "Realm": endpoint.realm,
        "Username": endpoint.user,
    }
    return {name: value for name, value in values.items() if value not in ("", None)}
