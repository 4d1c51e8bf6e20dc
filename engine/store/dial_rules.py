"""Dial plans and carriers' rules of documents, as the rules `engine.numbers.dialplan` compiles."""

from __future__ import annotations

from collections.abc import Mapping

from engine.core.errors import RequestInvalid
from engine.numbers.dialplan import (
    CarrierRule,
    CarrierRules,
    DialPlan,
    DialPlanError,
    RewriteRule,
)
from engine.store.documents import (
    Account,
    Blocklist,
    Device,
    DialPlanRule,
    Document,
    Resource,
    SharedDialPlan,
    User,
)


def rewrite_rules(plan: Mapping[str, DialPlanRule | tuple[str, ...]]) -> tuple[RewriteRule, ...]:
    """Return the rules of a `dial_plan` in their order; shared plans are not looked up."""
    return tuple(
        RewriteRule(regex, rule.prefix, rule.suffix, rule.description)
        for regex, rule in plan.items()
        if isinstance(rule, DialPlanRule)
    )


def check_patterns(document: Document) -> None:
    """Compile the regular expressions of a document.

    Raises `RequestInvalid` naming the field, and in what is allowed the fault and its position.
    """
    try:
        match document:
            case Resource():
                CarrierRules.compile([CarrierRule(document.id, document.name, document.rules)])
            case Account() | User() | Device() | SharedDialPlan():
                DialPlan.compile(rewrites=rewrite_rules(document.dial_plan))
            case Blocklist():
                pass
    except DialPlanError as error:
        at = "" if error.position is None else f"at position {error.position}: "
        field = f"rules[{error.index}]" if isinstance(document, Resource) else "dial_plan"
        raise RequestInvalid(field, error.pattern, f"{at}{error.reason}", "pattern") from None
