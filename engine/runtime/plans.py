"""Compiled dial plans, ready for the next call.

Of an account its extensions, carriers and blocklists are compiled once and shared by its plans;
there is one plan for each different set of rewrite rules and denied classes among its devices and
users. A change of the account, of a shared dial plan or of the route table is seen by the next
call, which compiles what has changed and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from engine.core.errors import NotFound
from engine.core.formats import NUMBER_FORMATS
from engine.core.values import DialLimit, EndpointType
from engine.numbers.dialplan import (
    BlockedNumbers,
    CarrierRule,
    CarrierRules,
    DialPlan,
    DialPlanError,
    ExtensionIndex,
    ExtensionRule,
    Hop,
    RewriteRule,
)
from engine.numbers.restrictions import RestrictionAction, denied_classes
from engine.numbers.route_table import RouteTable
from engine.store.dial_rules import rewrite_rules
from engine.store.directory import Directory
from engine.store.documents import (
    Account,
    Blocklist,
    CallRestrictions,
    Device,
    Gateway,
    Resource,
    User,
    shared_plans,
)
from engine.store.documents import DialPlan as DialPlanDocument
from engine.store.extensions import Extension

PLANS_PER_ACCOUNT = 256
"""Compiled dial plans kept for one account: one for each different set of rules in use."""

MAX_NUMBER = 128
"""Characters of the longest number a dial plan looks at; a longer extension is never dialled."""

Tables = Callable[[str], RouteTable | None]
"""Returns the route table of an account, None when it has none."""

_SEPARATOR = "/"
"""Between the id of a carrier, which cannot hold it, and the place of one of its gateways."""

_log = logging.getLogger(__name__)

_Asker = tuple[EndpointType | None, str]
"""Whose dial plan: a device, a user, or (None and no id) the account alone."""

_Rules = tuple[tuple[RewriteRule, ...], frozenset[str]]
"""What differs between the plans of one account: rewrite rules, denied classes."""


class CarrierGateway(msgspec.Struct, frozen=True):
    """One enabled gateway of an enabled carrier."""

    resource: Resource
    gateway: Gateway
    limits: tuple[DialLimit, ...] = ()
    """What both can take, if that is limited."""


class Offer(msgspec.Struct, frozen=True):
    """A number and the gateway to ask for it."""

    to: CarrierGateway
    number: str
    """As the dial plan and the gateway's prefix and suffix make it."""

    @property
    def sent(self) -> str:
        """What the gateway is asked for: the number in its invite format."""
        convert = NUMBER_FORMATS.get(self.to.gateway.invite_format)
        return self.number if convert is None else convert(self.number)


class _Plan(msgspec.Struct):
    """A compiled plan and who uses it."""

    plan: DialPlan | None
    """None: the rules do not compile."""
    askers: list[_Asker] = msgspec.field(default_factory=list)


class _Parts(msgspec.Struct):
    """What the plans of an account share, and what each part was compiled from."""

    extensions_from: Sequence[Extension]
    extensions: ExtensionIndex
    carriers_from: Sequence[Resource]
    carriers: CarrierRules
    gateways: dict[str, tuple[CarrierGateway, ...]]
    blocked_from: Sequence[Blocklist]
    blocked: BlockedNumbers | None
    table: RouteTable | None


class _AccountPlans(msgspec.Struct):
    """The plans of one revision of an account."""

    revision: int
    parts: _Parts
    by_rules: dict[_Rules, _Plan] = msgspec.field(default_factory=dict)
    by_asker: dict[_Asker, _Plan] = msgspec.field(default_factory=dict)


class Plans:
    """The dial plan of every device, user and account."""

    def __init__(self, directory: Directory, tables: Tables) -> None:
        """Compile what this directory and these route tables hold, when it is asked for."""
        self._directory = directory
        self._tables = tables
        self._accounts: dict[str, _AccountPlans] = {}
        directory.on_account_deleted(self._forget)

    def plan_for(
        self, account_id: str, endpoint_type: EndpointType | None = None, endpoint_id: str = ""
    ) -> DialPlan | None:
        """Return the dial plan of a device or a user, of the account alone when none is named.

        None: its rules do not compile. Raises `NotFound` (account, device, user).
        """
        plans = self._current(account_id)
        asker = (endpoint_type, endpoint_id)
        found = plans.by_asker.get(asker)
        if found is None:
            found = self._shared_plan(account_id, plans, self._rules(account_id, *asker))
            found.askers.append(asker)
            plans.by_asker[asker] = found
        return found.plan

    def offers(self, account_id: str, hop: Hop) -> tuple[Offer, ...]:
        """Return where a hop of a route of this account leads, in the order to try.

        A row of a route table names a carrier, which stands for all its enabled gateways, each with
        its own prefix and suffix. Empty: the carrier is not there, or disabled. Raises `NotFound`
        for the account.
        """
        gateways = self._current(account_id).parts.gateways.get(hop.resource_id, ())
        if _SEPARATOR in hop.resource_id:
            # One gateway, whose prefix and suffix are in the rule that was matched.
            return tuple(Offer(found, hop.number) for found in gateways)
        return tuple(
            Offer(found, f"{found.gateway.prefix}{hop.number}{found.gateway.suffix}")
            for found in gateways
        )

    def _forget(self, account_id: str) -> None:
        self._accounts.pop(account_id, None)

    # --- one account ------------------------------------------------------------------------------

    def _current(self, account_id: str) -> _AccountPlans:
        revision, table = self._directory.revision(account_id), self._tables(account_id)
        plans = self._accounts.get(account_id)
        if plans is None or plans.revision != revision or plans.parts.table is not table:
            parts = self._parts(account_id, table, plans.parts if plans else None)
            plans = self._accounts[account_id] = _AccountPlans(revision, parts)
        return plans

    def _parts(self, account_id: str, table: RouteTable | None, old: _Parts | None) -> _Parts:
        """Compile the parts of an account; those whose documents are the same ones are kept."""
        extensions = self._directory.extensions(account_id)
        resources = self._directory.resources(account_id)
        blocklists = self._directory.applied_blocklists(account_id)
        if old is not None and extensions is old.extensions_from:
            index = old.extensions
        else:
            index = ExtensionIndex.compile(
                ExtensionRule(*claim) for claim in extensions if len(claim.number) <= MAX_NUMBER
            )
        if old is not None and _same(resources, old.carriers_from):
            carriers, gateways = old.carriers, old.gateways
        else:
            carriers, gateways = _compile_carriers(account_id, resources)
        if old is not None and _same(blocklists, old.blocked_from):
            blocked = old.blocked
        else:
            blocked = _compile_blocklists(blocklists)
        return _Parts(
            *(extensions, index, resources, carriers, gateways, blocklists, blocked, table)
        )

    def _shared_plan(self, account_id: str, plans: _AccountPlans, rules: _Rules) -> _Plan:
        found = plans.by_rules.get(rules)
        if found is None:
            if len(plans.by_rules) >= PLANS_PER_ACCOUNT:
                oldest = plans.by_rules.pop(next(iter(plans.by_rules)))
                for asker in oldest.askers:
                    del plans.by_asker[asker]
            found = plans.by_rules[rules] = _Plan(_compile(account_id, plans.parts, rules))
        return found

    # --- the rules of one asker -------------------------------------------------------------------

    def _rules(
        self, account_id: str, endpoint_type: EndpointType | None, endpoint_id: str
    ) -> _Rules:
        levels = self._levels(account_id, endpoint_type, endpoint_id)
        rewrites = tuple(rule for level in levels for rule in self._rewrites(level.dial_plan))
        return rewrites, denied_classes(*(_actions(level.call_restriction) for level in levels))

    def _levels(
        self, account_id: str, endpoint_type: EndpointType | None, endpoint_id: str
    ) -> list[Device | User | Account]:
        """Return the documents that have a say, the nearest first: device, user, account."""
        directory = self._directory
        levels: list[Device | User | Account] = []
        user_id = endpoint_id if endpoint_type is EndpointType.USER else ""
        if endpoint_type is EndpointType.DEVICE:
            device = directory.device(account_id, endpoint_id)
            levels.append(device)
            user_id = device.owner_id
        if user_id or endpoint_type is EndpointType.USER:
            levels.append(directory.user(account_id, user_id))
        return [*levels, directory.account(account_id)]

    def _rewrites(self, plan: DialPlanDocument) -> tuple[RewriteRule, ...]:
        """Return the rules of a `dial_plan`: its own, then those of its shared plans by name."""
        rules = list(rewrite_rules(plan))
        for name in sorted(shared_plans(plan)):
            try:
                rules += rewrite_rules(self._directory.shared_dial_plan(name).dial_plan)
            except NotFound:
                # Nothing can name a plan that is not there, but a database of an earlier version.
                _log.warning("there is no shared dial plan %r", name)
        return tuple(rules)


def _same(new: Sequence[object], old: Sequence[object]) -> bool:
    """Tell whether two lists hold the same objects: documents are replaced, never changed."""
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


def _actions(restrictions: CallRestrictions) -> dict[str, RestrictionAction]:
    return {name: restriction.action for name, restriction in restrictions.items()}


def _compile(account_id: str, parts: _Parts, rules: _Rules) -> DialPlan | None:
    rewrites, denied = rules
    try:
        return DialPlan.compile(
            extensions=parts.extensions,
            rewrites=rewrites,
            table=parts.table,
            carriers=parts.carriers,
            blocked=parts.blocked,
            denied=denied,
        )
    except DialPlanError as error:
        # Calls must not fail one by one without a word; this is said once for each revision of the
        # account.
        _log.error("the dial plan of account %s cannot be used: %s", account_id, error)
        return None


def _compile_blocklists(blocklists: Sequence[Blocklist]) -> BlockedNumbers | None:
    if not blocklists:
        return None
    # Names need not be unique; lists of one name are told as one.
    numbers: dict[str, list[str]] = {}
    for blocklist in blocklists:
        numbers.setdefault(blocklist.name, []).extend(blocklist.numbers)
    return BlockedNumbers.compile(numbers)


def _compile_carriers(
    account_id: str,
    resources: Sequence[Resource],
) -> tuple[CarrierRules, dict[str, tuple[CarrierGateway, ...]]]:
    """One rule for each gateway, because prefix and suffix are the gateway's."""
    rules: list[CarrierRule] = []
    gateways: dict[str, tuple[CarrierGateway, ...]] = {}
    for resource in resources:
        if not resource.enabled:
            continue
        enabled = [
            (
                f"{resource.id}{_SEPARATOR}{index}",
                CarrierGateway(resource, gateway, _limits(account_id, resource, gateway, index)),
            )
            for index, gateway in enumerate(resource.gateways)
            if gateway.enabled
        ]
        gateways[resource.id] = tuple(found for _, found in enabled)
        gateways |= {key: (found,) for key, found in enabled}
        rules += [_carrier_rule(key, found) for key, found in enabled]
    return CarrierRules.compile(rules), gateways


def _limits(
    account_id: str, resource: Resource, gateway: Gateway, index: int
) -> tuple[DialLimit, ...]:
    # Accounts may have carriers of one id.
    carrier = f"carrier {resource.id} of account {account_id}"
    limits = ((f"gateway {index + 1} of {carrier}", gateway.limits), (carrier, resource.limits))
    return tuple(
        DialLimit(name, own.calls, own.calls_per_second)
        for name, own in limits
        if own.calls or own.calls_per_second
    )


def _carrier_rule(key: str, found: CarrierGateway) -> CarrierRule:
    return CarrierRule(
        resource_id=key,
        name=found.resource.name,
        rules=found.resource.rules,
        weight_cost=found.resource.weight_cost,
        prefix=found.gateway.prefix,
        suffix=found.gateway.suffix,
    )
