"""What a dial plan is made of: the values that the directory hands in."""

from dataclasses import dataclass
from typing import Literal

EndpointType = Literal["device", "user"]
"""What an extension can ring."""


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
