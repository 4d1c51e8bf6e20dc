"""From the directory's documents to endpoints that call control can dial.

A dialled number goes the way docs/dial_plan.md describes: to a device or a user of the account, or
to carriers to hunt; or it is refused, by a blocklist or a call restriction. No rule takes the
number: NO_ROUTE_DESTINATION. The extension's device is not registered: its endpoint has no contact
and call control ends the call with DESTINATION_OUT_OF_ORDER, the cause Kazoo gives when it finds
nobody to ring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from engine.core.commands import ResolveDestination
from engine.core.errors import NotFound
from engine.core.events import DestinationResolved
from engine.core.media_values import Encryption
from engine.core.values import (
    Application,
    CallerId,
    Endpoint,
    EndpointType,
    OriginateRequest,
    Refusal,
)
from engine.numbers.dialplan import DialPlan, Hop, Route, RouteKind
from engine.numbers.hunt import hunt_order
from engine.numbers.text import NumberError
from engine.runtime.endpoints import (
    behind_proxy,
    caller_id,
    carrier_endpoint,
    device_endpoint,
    first_caller_id,
)
from engine.runtime.forwarding import forward_of, forwarded
from engine.runtime.plans import Offer, Plans
from engine.store.directory import Directory
from engine.store.documents import Account, CallForward, Device, User
from engine.store.location import Location, static_contacts

NO_ROUTE = "NO_ROUTE_DESTINATION"
BLOCKED = "NUMBER_BLOCKED"
BARRED = "OUTGOING_CALL_BARRED"

BEFORE_INVITE = frozenset({BLOCKED, BARRED})
"""Causes of a refusal that comes before anybody is rung."""

_REFUSED = {"blocked": BLOCKED, "restricted": BARRED}
"""Causes of what a dial plan refuses."""


class Destination(msgspec.Struct, frozen=True):
    """Where a number goes."""

    number: str
    """What is dialled there."""
    endpoints: tuple[Endpoint, ...]
    """In hunt order; empty when there is a refusal."""
    rule: str
    """What matched, and what was passed over, in words."""
    refusal: Refusal | None = None


class _Hunt(msgspec.Struct):
    """What has become of the hops of a route."""

    offers: list[Offer] = msgspec.field(default_factory=list)
    """Those to try, in order."""
    passed: list[str] = msgspec.field(default_factory=list)
    """Why the others are not tried, in words."""
    refusal: Refusal | None = None
    """Why the first of those is not tried that would be sent a number that may not be dialled."""


class Resolver:
    """Answers whom a request rings and where a number goes, from memory, at once."""

    def __init__(
        self,
        directory: Directory,
        location: Location,
        plans: Plans,
        draw: Callable[[int], int],
        *,
        outbound_proxy: str = "",
        encryption: Encryption = Encryption.OFF,
    ) -> None:
        """Read from this directory, these bindings and these dial plans.

        `draw(n)` returns an even 0 <= value < n: carriers share calls by weight. `outbound_proxy`:
        of devices and gateways that name none, empty: none. `encryption`: of the media of those
        that do not say.
        """
        self._directory = directory
        self._location = location
        self._draw = draw
        self._proxy = outbound_proxy
        self._encryption = encryption
        self.plans = plans
        """The dial plans, compiled."""

    # --- the rung side ----------------------------------------------------------------------------

    def endpoints_for(
        self, request: OriginateRequest, number: str, now: float
    ) -> tuple[Endpoint, ...]:
        """Return whom a request rings: a device, or all of a user, if they may be rung.

        Whom a device forwards its calls to is rung instead of it, or besides it. Empty when nobody
        may be rung (disabled, do not disturb, or nobody owns any); an endpoint without contacts is
        not registered, or forwards to where nobody may be called. `number` is the filtered one and
        chooses between internal and external caller id. Raises `NotFound` for the account, user or
        device.
        """
        if request.endpoints:
            return self.reached(request.endpoints, now)
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
        return self._endpoints(account, devices, number, now)

    def owner_caller_id(self, request: OriginateRequest, number: str) -> CallerId:
        """Return the caller id for devices that have none: their owner's, then the account's.

        Raises `NotFound` for the account, user or device; who names his endpoints himself has none.
        """
        if request.endpoints:
            return CallerId()
        account = self._directory.account(request.account_id)
        owner = self._owner(request)
        candidates = ([owner.caller_id] if owner else []) + [account.caller_id]
        return first_caller_id(candidates, number)

    def reached(self, endpoints: Iterable[Endpoint], now: float) -> tuple[Endpoint, ...]:
        """Return endpoints that came without contacts with those where they are reached.

        That is where they are registered, or else their proxy; one that is reached nowhere gives
        way to the first of its fallbacks that is.
        """
        return tuple(self._reached(endpoint, now) for endpoint in endpoints)

    def _reached(self, endpoint: Endpoint, now: float) -> Endpoint:
        fallbacks = self.reached(endpoint.fallbacks, now)
        contacts, user, realm = endpoint.contacts, endpoint.user, endpoint.realm
        if not contacts and user:
            contacts = self._location.contacts(f"{user}@{realm}", now)
        proxy = endpoint.proxy or self._proxy
        contacts = behind_proxy(contacts, endpoint.invite_format, proxy, user, realm)
        if not contacts and fallbacks:
            found = next((fallback for fallback in fallbacks if fallback.contacts), None)
            if found is not None:
                return found
        return replace(endpoint, contacts=contacts, proxy=proxy, fallbacks=fallbacks)

    def account_caller_id(self, account_id: str, number: str) -> CallerId:
        """Return the caller id of an account. Raises `NotFound`."""
        return caller_id(self._directory.account(account_id).caller_id, number)

    # --- the dialled side -------------------------------------------------------------------------

    def refusal(self, request: OriginateRequest, number: str) -> Refusal | None:
        """Return why a number may not be dialled for whom a request rings, None when it may.

        A number without a route is no such case: a route may be there when A answers. Raises
        `NotFound` for the account, user or device.
        """
        if request.application is not Application.TRANSFER:
            return None
        try:
            plan = self._plan_of(request)
        except NotFound:
            if request.endpoints:
                # Its account is known to the control plane alone, which routes the number too.
                return None
            raise
        route = _route(plan, number)
        if plan is None or route is None or route.kind is RouteKind.EXTENSION:
            return None
        if route.kind is RouteKind.REFUSED:
            return _refused(route)
        hunt = self._hunt(request.account_id, plan, route.hops)
        return None if hunt.offers else hunt.refusal

    def destination(self, asked: ResolveDestination, now: float) -> DestinationResolved:
        """Return where the number of an answered originate goes. Never raises for what a user did.

        The account, or whoever rang, may have been deleted since: no route.
        """
        request = asked.request
        if asked.for_leg is None and request.application is not Application.TRANSFER:
            return DestinationResolved(
                originate_id=asked.originate_id,
                number=asked.number,
                endpoints=self.reached(request.bridge_to, now),
                rule=request.application,
                park=not request.bridge_to,
            )
        try:
            found = self.find(request.account_id, self._plan_of(request), asked.number, now)
        except NotFound as error:
            found = _nowhere(asked.number, str(error))
        return DestinationResolved(
            originate_id=asked.originate_id,
            number=found.number,
            endpoints=found.endpoints,
            rule=found.rule,
            refusal=found.refusal,
            for_leg=asked.for_leg,
        )

    def _plan_of(self, request: OriginateRequest) -> DialPlan | None:
        """Return the dial plan of whom a request rings, else that of its account.

        Raises `NotFound`: without the account, or when the directory should know whom it rings.
        """
        account_id, who = request.account_id, request.endpoint_id
        has, rings_device = self._directory.has, request.endpoint_type is EndpointType.DEVICE
        if request.endpoints and not has("device" if rings_device else "user", account_id, who):
            return self.plans.plan_for(account_id)
        return self.plans.plan_for(account_id, request.endpoint_type, who)

    def dialled(self, account_id: str, number: str, now: float) -> tuple[Endpoint, ...]:
        """Return whom the dial plan of an account itself rings for a number, empty: nobody.

        Neither an unknown account nor a number that may not be dialled is an error. Devices found
        there do not forward the call.
        """
        try:
            plan = self.plans.plan_for(account_id)
            found = self.find(account_id, plan, number, now, forward=False)
        except NotFound:
            return ()
        return () if found.refusal is not None else found.endpoints

    def find(
        self,
        account_id: str,
        plan: DialPlan | None,
        number: str,
        now: float,
        draw: Callable[[int], int] | None = None,
        *,
        forward: bool = True,
    ) -> Destination:
        """Return where a dial plan of an account leads a number. Raises `NotFound` (the account).

        `plan` None: it does not compile, and leads nowhere. `draw`: instead of the resolver's.
        `forward` False: devices found there do not forward the call.
        """
        route = _route(plan, number)
        if plan is None or route is None:
            broken = plan is None
            return _nowhere(number, "the dial plan is broken" if broken else "no rule takes it")
        if route.kind is not RouteKind.EXTENSION:
            return self._way_out(account_id, plan, route, draw or self._draw)
        try:
            endpoints = self._extension(account_id, route, now, forward)
        except NotFound as error:
            return _nowhere(number, f"{route.rule}: {error}")
        return Destination(route.number, endpoints, route.rule)

    def _extension(
        self, account_id: str, route: Route, now: float, forward: bool
    ) -> tuple[Endpoint, ...]:
        account = self._directory.account(account_id)
        if route.endpoint_type == "device":
            devices: tuple[Device, ...] = (self._directory.device(account_id, route.id),)
        else:
            user = self._directory.user(account_id, route.id)
            devices = self._directory.devices_of(account_id, user.id) if user.enabled else ()
        endpoints = self._endpoints(account, devices, route.number, now, forward=forward)
        # A device that may not be rung is still a destination: with no contacts it is out of order,
        # while an empty list would mean that the number leads nowhere.
        return endpoints or (Endpoint(id=route.id, kind=str(route.endpoint_type), contacts=()),)

    def _way_out(
        self, account_id: str, plan: DialPlan, route: Route, draw: Callable[[int], int]
    ) -> Destination:
        """Return the carriers of a route in hunt order, or why there is none."""
        if route.kind is RouteKind.REFUSED:
            return Destination(route.number, (), route.rule, _refused(route))
        hunt = self._hunt(account_id, plan, hunt_order(route.hops, draw))
        passed = f"; passed over: {', '.join(hunt.passed)}" if hunt.passed else ""
        rule = f"{route.rule}{passed}"
        if hunt.offers:
            endpoints = tuple(
                carrier_endpoint(offer, self._proxy, self._encryption) for offer in hunt.offers
            )
            return Destination(hunt.offers[0].number, endpoints, rule)
        if hunt.refusal is not None:
            return Destination(route.number, (), rule, hunt.refusal)
        return _nowhere(route.number, rule)

    def _hunt(self, account_id: str, plan: DialPlan, hops: Iterable[Hop]) -> _Hunt:
        hunt = _Hunt()
        for hop in hops:
            offers = self.plans.offers(account_id, hop)
            if not offers:
                hunt.passed.append(self._why_no_offer(account_id, hop.resource_id))
            for offer in offers:
                # The plan has looked at what it says is dialled; a gateway may change that.
                refused, why = ("", "") if offer.sent == hop.number else plan.refusal_of(offer.sent)
                if refused:
                    hunt.refusal = hunt.refusal or Refusal(_REFUSED[refused], why)
                    hunt.passed.append(f"carrier {offer.to.resource.id}, where {why}")
                else:
                    hunt.offers.append(offer)
        return hunt

    def _why_no_offer(self, account_id: str, resource_id: str) -> str:
        there = self._directory.has("resource", account_id, resource_id)
        return f"carrier {resource_id} {'is disabled' if there else 'is not there'}"

    def _owner(self, request: OriginateRequest) -> User | None:
        """Return the user a request rings, or who owns the device it rings."""
        if request.endpoint_type is EndpointType.USER:
            return self._directory.user(request.account_id, request.endpoint_id)
        device = self._directory.device(request.account_id, request.endpoint_id)
        return self._owner_of(request.account_id, device)

    def _owner_of(self, account_id: str, device: Device) -> User | None:
        return self._directory.user(account_id, device.owner_id) if device.owner_id else None

    def _endpoints(
        self,
        account: Account,
        devices: tuple[Device, ...],
        number: str,
        now: float,
        *,
        forward: bool = True,
    ) -> tuple[Endpoint, ...]:
        endpoints: list[Endpoint] = []
        forwarded_to: set[str] = set()
        for device in devices:
            owner = self._owner_of(account.id, device)
            if not device.rings or (owner is not None and owner.do_not_disturb.enabled):
                continue
            away = forward_of(device, owner) if forward else None
            endpoint = self._endpoint(account, device, number, now)
            if away is None or not away.substitute:
                endpoints.append(endpoint)
            if away is not None and away.number not in forwarded_to:
                forwarded_to.add(away.number)
                endpoints += self._forwarded(account, device, owner, endpoint, away, now)
        return tuple(endpoints)

    def _endpoint(self, account: Account, device: Device, number: str, now: float) -> Endpoint:
        realm = self._directory.realm_of(account.id, device)
        contacts = static_contacts(device)
        if not contacts and device.sip.username:
            contacts = self._location.contacts(f"{device.sip.username}@{realm}", now)
        return device_endpoint(
            account, device, realm, contacts, number, self._proxy, self._encryption
        )

    def _forwarded(
        self,
        account: Account,
        device: Device,
        owner: User | None,
        endpoint: Endpoint,
        away: CallForward,
        now: float,
    ) -> tuple[Endpoint, ...]:
        plan = self.plans.plan_for(account.id, EndpointType.DEVICE, device.id)
        found = self.find(account.id, plan, away.number, now, forward=False)
        ids = [device.caller_id, *([owner.caller_id] if owner else []), account.caller_id]
        return forwarded(endpoint, away, first_caller_id(ids, away.number), found.endpoints)


def _route(plan: DialPlan | None, number: str) -> Route | None:
    try:
        return None if plan is None else plan.match(number)
    except NumberError:
        return None


def _refused(route: Route) -> Refusal:
    return Refusal(_REFUSED[route.refusal], route.reason)


def _nowhere(number: str, why: str) -> Destination:
    return Destination(number, (), why, Refusal(NO_ROUTE, f"no route for {number}: {why}"))
