"""Where a number goes: a device or user of the account, or carriers to hunt.

Precedence, and the sources of each rule, are in docs/numbers.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from engine.numbers._dialplan import Plan
from engine.numbers.pattern import find_fault
from engine.numbers.rules import CarrierRule, EndpointType, ExtensionRule, RewriteRule
from engine.numbers.text import HALF_PAIR, NumberError, find_half_pair

__all__ = [
    "AFFIX_LIMIT",
    "CarrierRule",
    "DialPlan",
    "DialPlanError",
    "ExtensionRule",
    "RewriteRule",
    "Route",
    "RouteKind",
]

AFFIX_LIMIT = 64
"""The longest prefix or suffix of a rule, in characters."""


class DialPlanError(ValueError):
    """A dial plan is refused whole because of one rule.

    Attributes: `where`, the rule as a path into the lists given, such as "rewrites[2].regex" or
    "carriers[0].rules[1]"; `index`, the last index of that path; `pattern`, the offending text;
    `position`, offset of the fault in it in characters, None when it is the text as a whole;
    `reason`, what is wrong and what is allowed.
    """

    def __init__(
        self, where: str, index: int, pattern: str, position: int | None, reason: str
    ) -> None:
        at = "" if position is None else f" at position {position}"
        super().__init__(f"{where} {pattern[:64]!r}{at}: {reason}")
        self.where = where
        self.index = index
        self.pattern = pattern
        self.position = position
        self.reason = reason


class RouteKind(Enum):
    """What a route leads to."""

    EXTENSION = "extension"
    """A device or a user of the same account."""
    GATEWAY = "gateway"
    """A carrier resource."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a number goes.

    Fields: `kind`; `id`, the device or user id, or the first carrier's resource id; `number`, the
    number to dial there; `rule`, which rule matched, for people; `carriers`, resource ids in hunt
    order, empty for an extension; `endpoint_type`, "device" or "user" for an extension, else
    None; `carrier_numbers`, what to dial at each of `carriers`, since each has its own rules,
    prefix and suffix.
    """

    kind: RouteKind
    id: str
    number: str
    rule: str
    carriers: tuple[str, ...] = ()
    endpoint_type: EndpointType | None = None
    carrier_numbers: tuple[str, ...] = ()


class DialPlan:
    """The compiled dial plan of one account; immutable, to be made with `compile`."""

    __slots__ = ("_carriers", "_extensions", "_plan", "_rewrites")

    def __init__(
        self,
        plan: Plan,
        extensions: tuple[ExtensionRule, ...],
        rewrites: tuple[RewriteRule, ...],
        carriers: tuple[CarrierRule, ...],
    ) -> None:
        """Wrap a filled plan and the rules in the order they were added; use `compile`."""
        self._plan = plan
        self._extensions = extensions
        self._rewrites = rewrites
        self._carriers = carriers

    @classmethod
    def compile(
        cls,
        extensions: Iterable[ExtensionRule],
        rewrites: Iterable[RewriteRule],
        carriers: Iterable[CarrierRule],
    ) -> "DialPlan":
        """Compile rules; rewrites are tried in the order given, carriers by `weight_cost`.

        Raises DialPlanError for the first rule that is wrong: an empty, too long or repeated
        extension, a regex longer than 1024 characters or refused by RE2, a prefix or suffix
        longer than 64 characters.
        """
        plan = Plan()
        listed = (tuple(extensions), tuple(rewrites), tuple(carriers))
        for index, extension in enumerate(listed[0]):
            _add_extension(plan, index, extension)
        for index, rewrite in enumerate(listed[1]):
            _add_rewrite(plan, index, rewrite)
        # The order in the list breaks ties: sorted() is stable.
        hunted = sorted(enumerate(listed[2]), key=lambda item: item[1].weight_cost)
        for index, carrier in hunted:
            _add_carrier(plan, index, carrier)
        return cls(plan, listed[0], listed[1], tuple(carrier for _, carrier in hunted))

    def match(self, number: str) -> Route | None:
        r"""Return where a number of at most 128 characters goes, or None when nothing matches.

        An empty number matches nothing, and a rule that would leave nothing to dial is passed over.
        Raises NumberError for a longer number and for text that is not Unicode.

        >>> plan = DialPlan.compile(
        ...     [ExtensionRule("1001", "device", "d1")],
        ...     [RewriteRule(r"^(\d{7})$", prefix="1415")],
        ...     [CarrierRule("r1", "Acme", (r"^1(\d{10})$",), prefix="+1")],
        ... )
        >>> plan.match("1001").id
        'd1'
        >>> plan.match("4846048").number
        '+14154846048'
        """
        rewrite, extension, dialled, hops = self._plan.resolve(number)
        if extension >= 0:
            rule = self._extensions[extension]
            return Route(
                kind=RouteKind.EXTENSION,
                id=rule.endpoint_id,
                number=dialled,
                rule=self._after_rewrite(rewrite, f"extension {rule.number}"),
                endpoint_type=rule.endpoint_type,
            )
        if not hops:
            return None
        carriers = tuple(self._carriers[carrier].resource_id for carrier, _, _ in hops)
        numbers = tuple(offered for _, _, offered in hops)
        return Route(
            kind=RouteKind.GATEWAY,
            id=carriers[0],
            number=numbers[0],
            rule=self._after_rewrite(rewrite, self._carrier_text(*hops[0][:2])),
            carriers=carriers,
            carrier_numbers=numbers,
        )

    def explain(self, number: str) -> tuple[str, ...]:
        """Return the steps that `match` takes for a number, in words, in order.

        Raises NumberError as `match` does.
        """
        rewrite, extension, dialled, hops = self._plan.resolve(number)
        if not number:
            return ("the number is empty: no route",)
        steps = [f"number {number!r}"]
        if rewrite >= 0 or extension < 0:
            steps.append(f"{number!r} is no extension")
            steps.append(self._rewrite_step(rewrite, dialled))
        if extension >= 0:
            rule = self._extensions[extension]
            steps.append(f"extension {rule.number} rings {rule.endpoint_type} {rule.endpoint_id}")
            return tuple(steps)
        if rewrite >= 0:
            steps.append(f"{dialled!r} is no extension")
        for order, (carrier, rule_index, offered) in enumerate(hops, start=1):
            text = self._carrier_text(carrier, rule_index)
            steps.append(f"hunt {order}: {text} dials {offered!r}")
        if not hops:
            steps.append(f"none of {len(self._carriers)} carriers takes {dialled!r}: no route")
        return tuple(steps)

    def _rewrite_step(self, rewrite: int, dialled: str) -> str:
        if rewrite < 0:
            return f"none of {len(self._rewrites)} rewrite rules matches"
        return f"{self._rewrite_text(rewrite)} makes it {dialled!r}"

    def _after_rewrite(self, rewrite: int, text: str) -> str:
        return text if rewrite < 0 else f"{self._rewrite_text(rewrite)}, then {text}"

    def _rewrite_text(self, index: int) -> str:
        rule = self._rewrites[index]
        name = f" {rule.description!r}" if rule.description else ""
        return f"rewrite {index + 1}{name} {rule.regex}"

    def _carrier_text(self, carrier: int, rule: int) -> str:
        chosen = self._carriers[carrier]
        return f"carrier {chosen.name!r} rule {rule + 1} {chosen.rules[rule]}"


def _add_extension(plan: Plan, index: int, rule: ExtensionRule) -> None:
    where = f"extensions[{index}].number"
    if not rule.number:
        raise DialPlanError(where, index, rule.number, None, "an extension cannot be empty")
    try:
        added = plan.add_extension(rule.number)
    except NumberError as error:
        raise DialPlanError(where, index, rule.number, None, error.reason) from error
    if not added:
        raise DialPlanError(where, index, rule.number, None, "another extension has this number")


def _add_rewrite(plan: Plan, index: int, rule: RewriteRule) -> None:
    where = f"rewrites[{index}]"
    _check_affixes(where, index, rule)
    _check_regex(f"{where}.regex", index, rule.regex)
    plan.add_rewrite(rule.regex, rule.prefix, rule.suffix)


def _add_carrier(plan: Plan, index: int, rule: CarrierRule) -> None:
    where = f"carriers[{index}]"
    _check_affixes(where, index, rule)
    plan.add_carrier(rule.prefix, rule.suffix)
    for number, regex in enumerate(rule.rules):
        _check_regex(f"{where}.rules[{number}]", number, regex)
        plan.add_carrier_rule(regex)


def _check_regex(where: str, index: int, regex: str) -> None:
    fault = find_fault(regex)
    if fault is not None:
        raise DialPlanError(where, index, regex, fault.position, fault.reason)


def _check_affixes(where: str, index: int, rule: RewriteRule | CarrierRule) -> None:
    for name, text in (("prefix", rule.prefix), ("suffix", rule.suffix)):
        position = find_half_pair(text)
        if len(text) > AFFIX_LIMIT:
            reason = f"is {len(text)} characters long, at most {AFFIX_LIMIT} are allowed"
            raise DialPlanError(f"{where}.{name}", index, text, AFFIX_LIMIT, reason)
        if position is not None:
            raise DialPlanError(f"{where}.{name}", index, text, position, HALF_PAIR)
