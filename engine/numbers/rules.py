"""What a dial plan is made of and answers with: the values, and the error that refuses a plan."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

EndpointType = Literal["device", "user"]
"""What an extension can ring."""

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


@dataclass(frozen=True, slots=True)
class ExtensionRule:
    """A number of the account that rings a device or a user of the same account.

    Fields: `number`, matched exactly, 1 to 128 characters; `endpoint_type`; `endpoint_id`.
    """

    number: str
    endpoint_type: EndpointType
    endpoint_id: str


@dataclass(frozen=True, slots=True)
class RewriteRule:
    """One entry of Kazoo's `dial_plan`: the number becomes prefix + root + suffix.

    Fields: `regex`, searched anywhere in the number; its last capture group that took part, or
    the whole match, is the root; `prefix` and `suffix`, at most 64 characters each;
    `description`, for people.
    """

    regex: str
    prefix: str = ""
    suffix: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class CarrierRule:
    """A carrier from Kazoo's `resources` and the numbers it takes.

    Fields: `resource_id`; `name`, for people; `rules`, regexes tried in order, of which the first
    that matches decides (its first capture group that took part, or the whole number, is what is
    dialled); `weight_cost`, lower is hunted first, equal ones in the order given; `prefix` and
    `suffix`, put around what is dialled, at most 64 characters each.
    """

    resource_id: str
    name: str
    rules: tuple[str, ...]
    weight_cost: int = 50
    prefix: str = ""
    suffix: str = ""


class RouteKind(Enum):
    """What a route leads to."""

    EXTENSION = "extension"
    """A device or a user of the same account."""
    GATEWAY = "gateway"
    """A carrier resource."""
    REFUSED = "refused"
    """Nowhere: the number is blocked or of a restricted class."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A carrier to try for a number, and what to dial there.

    Fields: `resource_id`, the id in the row of the route table, or `CarrierRule.resource_id`;
    `number`, what is dialled there; `priority`, lower is tried first (`weight_cost` of a
    `CarrierRule`); `weight`, the share among equals, 0 for a `CarrierRule`: those keep their order;
    `length`, how many characters of the number a prefix matched, longer is tried first (all for
    the other rows of a route table, 0 for a `CarrierRule`); `rule`, what matched, in words.
    """

    resource_id: str
    number: str
    priority: int = 0
    weight: int = 0
    length: int = 0
    rule: str = ""
