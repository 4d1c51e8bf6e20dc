"""What would become of a number: each step, the route, the INVITEs, without sending anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from engine.control.route_report import FilterStep, InviteReport, RouteReport, RouteTarget
from engine.core.attempts import Target, fork, hunt
from engine.core.commands import Dial
from engine.core.errors import RequestInvalid
from engine.core.leg_plans import Subject, a_invite, b_invite
from engine.core.settings import CallSettings
from engine.core.values import (
    Endpoint,
    LegId,
    LegRole,
    OriginateId,
    OriginateRequest,
)
from engine.numbers.dialplan import Route, RouteKind
from engine.numbers.number_filter import FilterResult
from engine.runtime.resolve import BEFORE_INVITE, Destination, Resolver

_NO_IDS = (LegId(0), "")
"""Nothing is sent, so nothing needs a leg id and a Call-ID."""


class Explainer:
    """Follows numbers through the filter and the dial plans that calls use."""

    def __init__(self, resolver: Resolver, settings: CallSettings) -> None:
        """Explain what this resolver does, and INVITEs with these settings."""
        self._resolver = resolver
        self._settings = settings

    def report(
        self, request: OriginateRequest, filtered: FilterResult, now: float, *, endpoint: bool
    ) -> RouteReport:
        """Return what would become of a request, its number filtered before.

        `endpoint` False: the request names none, its account's dial plan is asked. Raises
        `NotFound` for the account, user or device.
        """
        resolver, account_id, number = self._resolver, request.account_id, filtered.number
        asker = (request.endpoint_type, request.endpoint_id) if endpoint else (None, "")
        plan = resolver.plans.plan_for(account_id, *asker)
        found = resolver.find(account_id, plan, number, now, draw=_heaviest)
        explanation = plan.explain(number) if plan is not None else None
        route = explanation.route if explanation is not None else None
        rung = resolver.endpoints_for(request, number, now) if endpoint else ()
        if endpoint:
            caller_id = resolver.owner_caller_id(request, number)
        else:
            caller_id = resolver.account_caller_id(account_id, number)
        subject = Subject(OriginateId(""), request, number, "", caller_id)
        refused = found.refusal is not None and found.refusal.cause in BEFORE_INVITE
        return RouteReport(
            account_id=account_id,
            endpoint_type=request.endpoint_type.value if endpoint else "",
            endpoint_id=request.endpoint_id,
            filter=FilterStep(request.number, number, filtered.applied, filtered.note or ""),
            number=number,
            steps=explanation.steps if explanation is not None else (),
            target=_target(route, found),
            dialled="" if found.refusal else found.number,
            rule=found.rule,
            e164=route.e164 if route is not None else "",
            classification=route.classification if route is not None else "",
            refusal=found.refusal,
            invites=() if refused else self._invites(subject, rung, found),
            unreachable=tuple(one.id for one in (*rung, *found.endpoints) if not one.contacts),
        )

    def _invites(
        self, subject: Subject, rung: tuple[Endpoint, ...], found: Destination
    ) -> tuple[InviteReport, ...]:
        settings = self._settings
        to_a = fork(rung, settings.max_attempts)
        to_b = hunt(found.endpoints, settings.max_attempts)
        # Of several phones the first stands for the one that would answer.
        answering = next(iter(rung), Endpoint(id="", kind="device", contacts=()))
        reports = [
            _report(
                *(LegRole.A, 1, target),
                partial(a_invite, subject, target, _NO_IDS, settings, alone=len(to_a) == 1),
            )
            for target in to_a
        ]
        for group, targets in enumerate(to_b, start=1):
            reports += [
                _report(
                    *(LegRole.B, group, target),
                    partial(
                        b_invite,
                        *(subject, target, _NO_IDS, settings),
                        rung=answering,
                        number=found.number,
                    ),
                )
                for target in targets
            ]
        return tuple(reports)


def _heaviest(_total: int) -> int:
    """Draw as nobody does in a call: the first, which has the greatest weight."""
    return 0


def _target(route: Route | None, found: Destination) -> RouteTarget | None:
    if route is None or found.refusal is not None:
        return None
    if route.kind is RouteKind.EXTENSION:
        return RouteTarget("user" if route.endpoint_type == "user" else "device", route.id)
    return RouteTarget("resource", found.endpoints[0].id)


def _report(leg: LegRole, group: int, target: Target, make: Callable[[], Dial]) -> InviteReport:
    place = (leg, group, target.endpoint.kind, target.endpoint.id)
    try:
        invite = make()
    except RequestInvalid as error:
        return InviteReport(*place, "", "", "", (), str(error))
    return InviteReport(
        *place,
        invite.next_hop or next(iter(invite.routes), invite.request_uri),
        invite.request_uri,
        f"INVITE {invite.request_uri} SIP/2.0",
        (
            *(("Route", hop) for hop in invite.routes),
            ("From", invite.from_uri),
            ("To", invite.to_uri),
            *invite.headers,
        ),
    )
