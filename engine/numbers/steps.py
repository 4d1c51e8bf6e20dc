"""The values of an explanation: what a dial plan did with a number, step by step."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from engine.numbers._dialplan import Route

STEP_LIMIT = 64
"""The most steps told of one number."""

Stage = Literal[
    "blocklist",
    "extension",
    "rewrite",
    "keypad",
    "e164",
    "pattern",
    "prefix",
    "regex",
    "carrier",
    "classifier",
]
"""What a step asks, in the order of precedence."""

Outcome = Literal["matched", "lost", "passed", "refused"]
"""matched: it decided; lost: it would have matched, but was not taken; passed: nothing matched, or
nothing is to be said against the number; refused: the number goes nowhere."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a number through a dial plan.

    Fields: `stage`; `input`, the number asked for; `output`, what it is afterwards or what would
    be dialled, the same when nothing changed; `outcome`; `rule`, in words, "" when there is none;
    `why`, in words.
    """

    stage: Stage
    input: str
    output: str
    outcome: Outcome
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A number on its way through a dial plan.

    Fields: `number`, as given; `steps`, in order, at most 64; `route`, what `match` returns.
    """

    number: str
    steps: tuple[Step, ...]
    route: Route | None


LOST_LIMIT = 5
"""Rules told that lost, of one kind: a long list of them must not hide what decided."""

HOPS_LIMIT = 12
"""Carriers told, of those that are hunted or dropped."""


class Decided(IntEnum):
    """Who decided, as in ext/numbers/resolution.hpp."""

    NOBODY = 0
    EXTENSION = 1
    EXTENSION_ROW = 2
    PATTERN_ROW = 3
    PREFIX_ROW = 4
    REGEX_ROW = 5
    CARRIERS = 6


BLOCKED = 1
"""The refusal of a number on a blocklist, as in ext/numbers/resolution.hpp."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the compiled plan decided, `CompiledPlan.resolve`; -1 is none, texts may be empty.

    Fields: `stage`, of `Decided`; `index`, the extension or the best row; `number`, rewritten, with
    digits for letters; `spelled`, with its letters; `rewrite`;
    `normalised`, whether the E.164 form was needed; `e164`; `converter`; `classifier`;
    `asked_e164`, whether it was the E.164 form that the row took; `dialled`, at a device or user;
    `hops` as (carrier or row, rule or -1, number); `dropped`, as hops, with the refusal and the
    blocklist or classifier; `refusal`; `refused_by`; `refused`, the number; `offers`, all that the
    carriers would dial, as hops.
    """

    stage: int
    index: int
    number: str
    spelled: str
    rewrite: int
    normalised: bool
    e164: str
    converter: int
    classifier: int
    asked_e164: bool
    dialled: str
    hops: tuple[tuple[int, int, str], ...]
    dropped: tuple[tuple[int, int, str, int, int], ...]
    refusal: int
    refused_by: int
    refused: str
    offers: tuple[tuple[int, int, str], ...]

    @property
    def asked(self) -> str:
        """Return the text that the deciding row took."""
        return self.e164 if self.asked_e164 else self.number

    @property
    def blocked(self) -> bool:
        """Return whether the number itself is on a blocklist, not what a carrier would be sent."""
        return self.refusal == BLOCKED and not self.dropped
