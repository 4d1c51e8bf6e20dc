"""Where a number goes: a device or user of the account, or carriers to hunt.

Precedence, and the sources of each rule, are in docs/dial_plan.md.
"""

from collections.abc import Iterable, Mapping

from engine.numbers._dialplan import (
    CompiledBlocklists,
    CompiledCarriers,
    CompiledExtensions,
    CompiledPlan,
    Route,
)
from engine.numbers.explain import explain
from engine.numbers.numbering import DEFAULT_DENIED, DEFAULT_NUMBERING, Numbering
from engine.numbers.route_table import RouteTable
from engine.numbers.rule_checks import check_affixes, check_number, check_regex
from engine.numbers.rules import (
    AFFIX_LIMIT,
    CarrierRule,
    DialPlanError,
    EndpointType,
    ExtensionRule,
    Hop,
    RewriteRule,
    RouteKind,
)
from engine.numbers.steps import Explanation, Step
from engine.numbers.text import HALF_PAIR, find_half_pair

__all__ = [
    "AFFIX_LIMIT",
    "DEFAULT_DENIED",
    "DEFAULT_NUMBERING",
    "BlockedNumbers",
    "CarrierRule",
    "CarrierRules",
    "DialPlan",
    "DialPlanError",
    "EndpointType",
    "Explanation",
    "ExtensionIndex",
    "ExtensionRule",
    "Hop",
    "Numbering",
    "RewriteRule",
    "Route",
    "RouteKind",
    "Step",
]


class ExtensionIndex(CompiledExtensions):
    """The extensions of an account; immutable, shared by its plans, to be made with `compile`."""

    __slots__ = ()

    @classmethod
    def compile(cls, rules: Iterable[ExtensionRule]) -> "ExtensionIndex":
        """Compile extensions.

        Raises DialPlanError for the first one that is empty, longer than 128 characters, not
        Unicode text, or there already.
        """
        listed = tuple(rules)
        numbers: set[str] = set()
        for index, rule in enumerate(listed):
            where = f"extensions[{index}].number"
            check_number(where, index, rule.number, "an extension")
            if rule.number in numbers:
                reason = "another extension has this number"
                raise DialPlanError(where, index, rule.number, None, reason)
            numbers.add(rule.number)
        return cls(listed)


class CarrierRules(CompiledCarriers):
    """The carriers of an account; immutable, shared by its plans, to be made with `compile`."""

    __slots__ = ()

    @classmethod
    def compile(cls, rules: Iterable[CarrierRule]) -> "CarrierRules":
        """Compile carriers, to be hunted by `weight_cost`, equal ones in the order given.

        Raises DialPlanError for the first one that is wrong, counted as given: a regex longer than
        1024 characters or refused by RE2, a prefix or suffix longer than 64 characters.
        """
        listed = tuple(rules)
        for index, carrier in enumerate(listed):
            where = f"carriers[{index}]"
            check_affixes(where, index, carrier.prefix, carrier.suffix)
            for number, regex in enumerate(carrier.rules):
                check_regex(f"{where}.rules[{number}]", number, regex)
        # The order in the list breaks ties: sorted() is stable.
        return cls(tuple(sorted(listed, key=lambda rule: rule.weight_cost)))


class BlockedNumbers(CompiledBlocklists):
    """The blocklists of an account; immutable, shared by its plans, to be made with `compile`."""

    __slots__ = ()

    @classmethod
    def compile(
        cls, lists: Mapping[str, Iterable[str]], numbering: Numbering = DEFAULT_NUMBERING
    ) -> "BlockedNumbers":
        """Compile numbers by the name of their list; a number is named after its first list.

        Numbers are compared as they stand and in their E.164 form. Raises DialPlanError for the
        first one that is empty, longer than 128 characters or not Unicode text.
        """
        listed = {name: tuple(numbers) for name, numbers in lists.items()}
        for name, numbers in listed.items():
            for index, number in enumerate(numbers):
                where = f"blocked[{name[:32]!r}][{index}]"
                check_number(where, index, number, "a blocked number")
        return cls(tuple(listed), tuple(listed.values()), numbering)


class DialPlan(CompiledPlan):
    r"""One compiled dial plan; immutable, to be made with `compile`, used from any thread.

    >>> plan = DialPlan.compile(
    ...     extensions=ExtensionIndex.compile([ExtensionRule("1001", "device", "d1")]),
    ...     rewrites=[RewriteRule(r"^(\d{7})$", prefix="1415")],
    ...     carriers=CarrierRules.compile([CarrierRule("r1", "Acme", (r"^\+1(\d{10})$",))]),
    ... )
    >>> plan.match("1001").id
    'd1'
    >>> plan.match("4846048").hops[0].number
    '4154846048'
    >>> plan.match("911") is None
    True
    """

    __slots__ = ()

    @classmethod
    def compile(
        cls,
        *,
        extensions: ExtensionIndex | None = None,
        rewrites: Iterable[RewriteRule] = (),
        table: RouteTable | None = None,
        carriers: CarrierRules | None = None,
        numbering: Numbering = DEFAULT_NUMBERING,
        blocked: BlockedNumbers | None = None,
        denied: frozenset[str] | None = None,
    ) -> "DialPlan":
        """Compile rewrite rules, tried in the order given, on top of parts compiled before.

        `denied` are names of classifiers whose numbers are not sent to carriers; None is
        DEFAULT_DENIED. Raises DialPlanError for the first rule that is wrong: a regex longer than
        1024 characters or refused by RE2, a prefix or suffix longer than 64 characters, a denied
        name that no classifier has.
        """
        listed = tuple(rewrites)
        for index, rewrite in enumerate(listed):
            where = f"rewrites[{index}]"
            check_affixes(where, index, rewrite.prefix, rewrite.suffix)
            check_regex(f"{where}.regex", index, rewrite.regex)
        if denied is not None:
            _check_denied(denied, numbering)
        return cls(
            extensions,
            listed,
            table,
            carriers,
            numbering,
            blocked,
            DEFAULT_DENIED if denied is None else denied,
        )

    def explain(self, number: str) -> Explanation:
        """Return the steps that `match` takes for a number, and which rules lost, in words.

        Raises NumberError as `match` does.
        """
        return explain(self, number)


def _check_denied(denied: frozenset[str], numbering: Numbering) -> None:
    names = [classifier.name for classifier in numbering.classifiers]
    for index, name in enumerate(sorted(denied)):
        half_pair = find_half_pair(name)
        if name not in names:
            reason = HALF_PAIR if half_pair is not None else f"is no classifier; there are {names}"
            raise DialPlanError(f"denied[{index}]", index, name, half_pair, reason)
