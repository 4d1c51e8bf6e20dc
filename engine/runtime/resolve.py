"""From the directory's documents to endpoints that call control can dial.

Order of a dialled number: extensions of the account, then the rewrite rules of device, user and
account (`dial_plan`, in Kazoo's order), then extensions again, then carriers by weight cost;
docs/dial_plan.md has the whole of it. No rule takes the number: NO_ROUTE_DESTINATION. The
extension's device is not registered: its endpoint has no contact and call control ends the call
with DESTINATION_OUT_OF_ORDER, the cause Kazoo gives when it finds nobody to ring.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field

from engine.core.commands import ResolveDestination
from engine.core.errors import NotFound
from engine.core.events import DestinationResolved
from engine.core.uri import sip_uri
from engine.core.values import (
    CallerId,
    Contact,
    Credentials,
    Endpoint,
    EndpointType,
    OriginateRequest,
    Refusal,
)
from engine.numbers.dialplan import (
    CarrierRules,
    DialPlan,
    DialPlanError,
    ExtensionIndex,
    Route,
    RouteKind,
)
from engine.numbers.rules import CarrierRule, ExtensionRule, RewriteRule
from engine.numbers.text import NumberError
from engine.store.directory import Directory
from engine.store.documents import Account, CallerIds, Device, Gateway, Resource, User
from engine.store.documents import DialPlan as DialPlanDocument
from engine.store.location import Location, static_contacts

PLANS_PER_ACCOUNT = 256
"""Compiled dial plans kept for one account: one for each different set of rewrite rules in use."""

NO_ROUTE = "NO_ROUTE_DESTINATION"

# Kazoo's `reconcilable`: numbers of the outside world, as against extensions (knm_converter_regex).
_OUTSIDE = re.compile(r"(\+?1)?\d{10}|\+[2-9]\d{7,}|011\d*|00\d*", re.ASCII)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _AccountPlans:
    """What is compiled for one revision of an account."""

    revision: int
    extensions: tuple[ExtensionRule, ...]
    carriers: tuple[CarrierRule, ...]
    gateways: dict[str, tuple[Resource, Gateway]]
    """By the key that stands for a gateway in carrier rules."""
    by_rewrites: dict[tuple[RewriteRule, ...], DialPlan | None] = field(default_factory=dict)
    """None: the rules do not compile."""


class Resolver:
    """Answers whom a request rings and where a number goes, from memory, at once."""

    def __init__(self, directory: Directory, location: Location) -> None:
        """Read from this directory and these bindings."""
        self._directory = directory
        self._location = location
        self._plans: dict[str, _AccountPlans] = {}

    # --- the rung side ----------------------------------------------------------------------------

    def endpoints_for(
        self, request: OriginateRequest, number: str, now: float
    ) -> tuple[Endpoint, ...]:
        """Return the devices a request rings: one, or all of a user, if they may be rung.

        Empty when none may (disabled, do not disturb, or nobody owns any); an endpoint without
        contacts is not registered. `number` is the filtered one and chooses between internal and
        external caller id. Raises `NotFound` for the account, user or device.
        """
        account = self._directory.account(request.account_id)
        if request.endpoint_type is EndpointType.DEVICE:
            devices: tuple[Device, ...] = (
                self._directory.device(request.account_id, request.endpoint_id),
            )
        else:
            user = self._directory.user(request.account_id, request.endpoint_id)
            devices = (
                self._directory.devices_of(request.account_id, user.id) if user.enabled else ()
            )
        if not account.enabled:
            return ()
        return self._endpoints(account.id, devices, number, now)

    def owner_caller_id(self, request: OriginateRequest, number: str) -> CallerId:
        """Return the caller id for devices that have none: their owner's, then the account's.

        Raises `NotFound` for the account, user or device.
        """
        account = self._directory.account(request.account_id)
        owner = self._owner(request)
        candidates = ([owner.caller_id] if owner else []) + [account.caller_id]
        chosen = [_caller_id(ids, number) for ids in candidates]
        return next((found for found in chosen if found.number), chosen[0])

    # --- the dialled side -------------------------------------------------------------------------

    def destination(self, asked: ResolveDestination, now: float) -> DestinationResolved:
        """Return where the number of an answered originate goes. Never raises for what a user did.

        The account, or whoever rang, may have been deleted since: no route.
        """
        try:
            route = self._route(asked)
            if route is None:
                return _nowhere(asked, "no rule takes the number")
            if route.kind is RouteKind.REFUSED:
                return _nowhere(asked, route.reason)
            if route.kind is RouteKind.EXTENSION:
                endpoints = self._extension(asked.request.account_id, route, now)
            else:
                endpoints = self._carriers(asked.request, route)
        except (NotFound, NumberError) as error:
            return _nowhere(asked, str(error))
        return DestinationResolved(
            originate_id=asked.originate_id,
            number=route.number,
            endpoints=endpoints,
            rule=route.rule,
        )

    def _route(self, asked: ResolveDestination) -> Route | None:
        plan = self.plan_for(asked.request)
        return None if plan is None else plan.match(asked.number)

    def plan_for(self, request: OriginateRequest) -> DialPlan | None:
        """Return the dial plan of whoever a request rings, None when it does not compile.

        Raises `NotFound`. Compiled once for every revision of the account and set of rewrite rules.
        """
        account = self._directory.account(request.account_id)
        plans = self._account_plans(account)
        rewrites = self._rewrites(account, request)
        if rewrites not in plans.by_rewrites:
            if len(plans.by_rewrites) >= PLANS_PER_ACCOUNT:
                del plans.by_rewrites[next(iter(plans.by_rewrites))]
            plans.by_rewrites[rewrites] = _compile(account.id, plans, rewrites)
        return plans.by_rewrites[rewrites]

    def _account_plans(self, account: Account) -> _AccountPlans:
        revision = self._directory.revision(account.id)
        plans = self._plans.get(account.id)
        if plans is None or plans.revision != revision:
            carriers, gateways = _carrier_rules(self._directory.resources(account.id))
            extensions = tuple(ExtensionRule(*e) for e in self._directory.extensions(account.id))
            plans = self._plans[account.id] = _AccountPlans(
                revision, extensions, carriers, gateways
            )
        return plans

    def _rewrites(self, account: Account, request: OriginateRequest) -> tuple[RewriteRule, ...]:
        documents: list[DialPlanDocument] = [account.dial_plan]
        owner = self._owner(request)
        if owner is not None:
            documents.insert(0, owner.dial_plan)
        if request.endpoint_type is EndpointType.DEVICE:
            device = self._directory.device(request.account_id, request.endpoint_id)
            documents.insert(0, device.dial_plan)
        return tuple(
            RewriteRule(regex, rule.prefix, rule.suffix, rule.description)
            for document in documents
            for regex, rule in document.items()
            if not isinstance(rule, tuple)
        )

    def _owner(self, request: OriginateRequest) -> User | None:
        """Return the user a request rings, or who owns the device it rings."""
        if request.endpoint_type is EndpointType.USER:
            return self._directory.user(request.account_id, request.endpoint_id)
        device = self._directory.device(request.account_id, request.endpoint_id)
        return (
            self._directory.user(request.account_id, device.owner_id) if device.owner_id else None
        )

    def _extension(self, account_id: str, route: Route, now: float) -> tuple[Endpoint, ...]:
        if route.endpoint_type == "device":
            devices: tuple[Device, ...] = (self._directory.device(account_id, route.id),)
        else:
            user = self._directory.user(account_id, route.id)
            devices = self._directory.devices_of(account_id, user.id) if user.enabled else ()
        endpoints = self._endpoints(account_id, devices, route.number, now)
        # A device that may not be rung is still a destination: with no contacts it is out of order,
        # while an empty list would mean that the number leads nowhere.
        return endpoints or (Endpoint(id=route.id, kind=str(route.endpoint_type), contacts=()),)

    def _carriers(self, request: OriginateRequest, route: Route) -> tuple[Endpoint, ...]:
        gateways = self._account_plans(self._directory.account(request.account_id)).gateways
        return tuple(
            _carrier_endpoint(*gateways[hop.resource_id], hop.number) for hop in route.hops
        )

    def _endpoints(
        self, account_id: str, devices: tuple[Device, ...], number: str, now: float
    ) -> tuple[Endpoint, ...]:
        return tuple(self._endpoint(account_id, d, number, now) for d in devices if d.rings)

    def _endpoint(self, account_id: str, device: Device, number: str, now: float) -> Endpoint:
        sip = device.sip
        realm = self._directory.realm_of(account_id, device)
        contacts = static_contacts(device)
        if not contacts and sip.username:
            contacts = self._location.contacts(f"{sip.username}@{realm}", now)
        return Endpoint(
            id=device.id,
            kind="device",
            contacts=contacts,
            user=sip.username,
            realm=realm,
            owner_id=device.owner_id,
            invite_format=sip.invite_format,
            codecs=device.media.audio.codecs,
            headers=sip.invite_headers(),
            caller_id=_caller_id(device.caller_id, number),
            ignore_early_media=device.media.ignore_early_media,
        )


def _caller_id(ids: CallerIds, number: str) -> CallerId:
    """Choose as Kazoo does: external toward the outside world, internal in the account."""
    outside = _OUTSIDE.fullmatch(number) is not None
    chosen, other = (ids.external, ids.internal) if outside else (ids.internal, ids.external)
    return CallerId(chosen.name or other.name, chosen.number or other.number)


def _nowhere(asked: ResolveDestination, why: str) -> DestinationResolved:
    return DestinationResolved(
        originate_id=asked.originate_id,
        number=asked.number,
        endpoints=(),
        rule=why,
        refusal=Refusal(NO_ROUTE, why),
    )


def _compile(
    account_id: str, plans: _AccountPlans, rewrites: tuple[RewriteRule, ...]
) -> DialPlan | None:
    try:
        return DialPlan.compile(
            extensions=ExtensionIndex.compile(plans.extensions),
            rewrites=rewrites,
            carriers=CarrierRules.compile(plans.carriers),
        )
    except DialPlanError as error:
        # Calls must not fail one by one without a word; this is said once for each revision of the
        # account.
        _log.error("the dial plan of account %s cannot be used: %s", account_id, error)
        return None


def _carrier_rules(
    resources: tuple[Resource, ...],
) -> tuple[tuple[CarrierRule, ...], dict[str, tuple[Resource, Gateway]]]:
    """One rule for each gateway, because prefix and suffix are the gateway's."""
    rules: list[CarrierRule] = []
    gateways: dict[str, tuple[Resource, Gateway]] = {}
    for resource in resources:
        if not resource.enabled:
            continue
        for index, gateway in enumerate(resource.gateways):
            if gateway.enabled:
                key = f"{resource.id}/{index}"
                gateways[key] = (resource, gateway)
                rules.append(
                    CarrierRule(
                        resource_id=key,
                        name=resource.name,
                        rules=resource.rules,
                        weight_cost=resource.weight_cost,
                        prefix=gateway.prefix,
                        suffix=gateway.suffix,
                    )
                )
    return tuple(rules), gateways


def _carrier_endpoint(resource: Resource, gateway: Gateway, number: str) -> Endpoint:
    address = f"{gateway.server}:{gateway.port}" if gateway.port else gateway.server
    parameters = "" if gateway.transport == "udp" else f";transport={gateway.transport}"
    credentials = None
    if gateway.username:
        credentials = Credentials(gateway.username, gateway.password, gateway.realm or "*")
    return Endpoint(
        id=resource.id,
        kind="resource",
        contacts=(Contact(uri=sip_uri(number, address, parameters)),),
        realm=gateway.realm,
        invite_format=gateway.invite_format,
        codecs=gateway.codecs,
        headers=tuple(gateway.custom_sip_headers.items()),
        credentials=credentials,
        number=number,
    )
