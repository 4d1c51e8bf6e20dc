"""The compiled dial plan against an oracle that asks every rule for every number."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.numbers.dialplan import (
    BlockedNumbers,
    CarrierRule,
    CarrierRules,
    DialPlan,
    ExtensionIndex,
    ExtensionRule,
    RewriteRule,
    Route,
    RouteKind,
)
from engine.numbers.numbering import (
    DEFAULT_DENIED,
    KAZOO_CLASSIFIERS,
    KAZOO_CONVERTERS,
    Classifier,
    Converter,
    Numbering,
)
from engine.numbers.route_table import RouteRow, RouteTable, RowKind
from engine.numbers.steps import STEP_LIMIT
from tests.kit.numbers_oracle import Answer, Hop, PlanOracle
from tests.kit.route_oracle import consistent

# A busy machine must not fail a test; costs are measured in benchmarks/.
MANY = settings(max_examples=500)

# Few characters, so that rules clash, and texts that look like numbers of the North American plan.
DIGITS = st.text("012", min_size=1, max_size=5)
NANP = st.builds(
    "{}{}".format,
    st.sampled_from(["", "1", "+1", "9", "011", "+"]),
    st.sampled_from(
        [
            "2122122112",
            "9002122112",
            "8002122112",
            "911",
            "9112",
            "800abcdefg",
            "212212",
            "22122112",
        ]
    ),
)
TYPED = st.text("012+", max_size=7) | st.text("019*#+aBé１ -", max_size=9) | NANP
NUMBERS = TYPED | st.text(max_size=128)

# Pieces on which Python's `re` and RE2 agree about every text.
PIECES = st.sampled_from(
    ["0", "1", "2", "[0-2]", "[^1]", "3?", "2*", "0+", ".", r"\+?", "1{2}", r"\d+"]
)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Return sequences, groups and alternatives of PIECES, anchored or not."""
    branches = []
    for _ in range(draw(st.integers(1, 2))):
        parts = [
            f"({piece})" if draw(st.booleans()) else piece
            for piece in draw(st.lists(PIECES, min_size=1, max_size=4))
        ]
        branches.append(draw(st.sampled_from(["", "^"])) + "".join(parts))
    return "|".join(branches) + draw(st.sampled_from(["", "$"]))


AFFIXES = st.sampled_from(["", "", "0", "+1", "9", "é"])
EXTENSIONS = st.lists(
    st.builds(
        ExtensionRule, DIGITS, st.sampled_from(["device", "user"]), st.sampled_from(["d1", "u1"])
    ),
    max_size=4,
    unique_by=lambda rule: rule.number,
)
# More than a dozen are asked in one pass.
NO_REWRITES: list[RewriteRule] = []
REWRITES = (
    st.just(NO_REWRITES)
    | st.lists(st.builds(RewriteRule, patterns(), AFFIXES, AFFIXES), max_size=3)
    | st.lists(st.builds(RewriteRule, patterns(), AFFIXES), min_size=12, max_size=16)
)


def carriers(rules: int, count: int) -> st.SearchStrategy[list[CarrierRule]]:
    """Make carriers with some rules each."""
    return st.lists(
        st.builds(
            CarrierRule,
            st.sampled_from(["r1", "r2", "r3"]),
            st.just("carrier"),
            st.lists(patterns() | st.just("."), max_size=rules).map(tuple),
            st.integers(1, 3),
            AFFIXES,
            AFFIXES,
        ),
        max_size=count,
    )


CARRIERS = carriers(3, 3) | carriers(8, 5)
PATTERNS = st.builds(
    "_{}{}".format,
    st.text("012XZN+", max_size=4),
    st.sampled_from(["", ".", "!", "XXX", "XXXXXXXXXX"]),
).filter(lambda text: len(text) > 1)
TEXTS: dict[RowKind, st.SearchStrategy[str]] = {
    "extension": DIGITS | NANP,
    "pattern": PATTERNS,
    "prefix": DIGITS,
    "regex": patterns(),
}


@st.composite
def rows(draw: st.DrawFn) -> RouteRow:
    """Return a row of any kind, mostly to a carrier."""
    kind = draw(st.sampled_from([*TEXTS]))
    return RouteRow(
        kind=kind,
        match=draw(TEXTS[kind]),
        to=draw(st.sampled_from(["resource", "resource", "resource", "device", "user"])),
        id=draw(st.sampled_from(["acme", "bulk", "desk"])),
        priority=draw(st.integers(0, 2)),
        weight=draw(st.integers(1, 3)),
        strip=draw(st.integers(0, 4)),
        prepend=draw(st.sampled_from(["", "", "+", "9", "é1"])),
    )


NO_ROWS: list[RouteRow] = []
TABLES = st.just(NO_ROWS) | st.lists(rows(), max_size=10).map(consistent)
CLASSIFIERS = st.lists(
    st.builds(Classifier, st.sampled_from("abc"), patterns()),
    max_size=3,
    unique_by=lambda classifier: classifier.name,
)
NUMBERINGS = st.just((KAZOO_CONVERTERS, KAZOO_CLASSIFIERS)) | st.tuples(
    st.lists(st.builds(Converter, patterns(), AFFIXES, AFFIXES), max_size=2).map(tuple),
    CLASSIFIERS.map(tuple),
)
BLOCKED = st.dictionaries(
    st.sampled_from(["Main", "Other"]), st.lists(DIGITS | NANP, max_size=3), max_size=2
)
ORACLES = st.builds(
    lambda numbering, **parts: PlanOracle(
        converters=numbering[0],
        classifiers=numbering[1],
        denied=frozenset(c.name for c in numbering[1] if c.name in {*DEFAULT_DENIED, "a", "b"}),
        **parts,
    ),
    NUMBERINGS,
    extensions=EXTENSIONS,
    rewrites=REWRITES,
    rows=TABLES,
    carriers=CARRIERS,
    blocked=st.just({}) | BLOCKED,
)


def compiled(oracle: PlanOracle) -> DialPlan:
    """Compile what the oracle reads."""
    numbering = Numbering.compile(oracle.converters, oracle.classifiers)
    return DialPlan.compile(
        extensions=ExtensionIndex.compile(oracle.extensions),
        rewrites=oracle.rewrites,
        table=RouteTable.compile(oracle.rows) if oracle.rows else None,
        carriers=CarrierRules.compile(oracle.carriers),
        numbering=numbering,
        blocked=BlockedNumbers.compile(oracle.blocked, numbering),
        denied=oracle.denied,
    )


def said(route: Route | None) -> Answer | None:
    """Say a route as the oracle says it."""
    if route is None:
        return None
    to = route.refusal or route.endpoint_type or "resource"
    hops = tuple(
        Hop(hop.resource_id, hop.number, hop.priority, hop.weight, hop.length) for hop in route.hops
    )
    by = ""
    if route.refusal:
        word = "blocklist '" if route.refusal == "blocked" else "classifier "
        by = route.rule.partition(word)[2].split()[0].rstrip("'")
    kinds = {"device": RouteKind.EXTENSION, "user": RouteKind.EXTENSION}
    refused = RouteKind.REFUSED if route.refusal else RouteKind.GATEWAY
    assert route.kind is kinds.get(to, refused)
    return Answer(to, route.id, route.number, route.e164, route.classification, hops, by)


def listed_numbers(oracle: PlanOracle) -> list[str]:
    """Return the numbers that rules name whole."""
    return [
        *(rule.number for rule in oracle.extensions),
        *(row.match for row in oracle.rows if row.kind == "extension"),
        *(number for numbers in oracle.blocked.values() for number in numbers),
    ]


@MANY
@given(ORACLES, st.lists(NUMBERS, min_size=1, max_size=8))
def test_a_plan_answers_like_the_oracle(oracle: PlanOracle, numbers: list[str]) -> None:
    plan = compiled(oracle)
    for number in [*numbers, *listed_numbers(oracle)]:
        assert said(plan.match(number)) == oracle.match(number), number


@given(ORACLES, NUMBERS)
def test_an_explanation_agrees_with_the_route(oracle: PlanOracle, number: str) -> None:
    plan = compiled(oracle)
    explanation, route = plan.explain(number), plan.match(number)
    steps = explanation.steps
    assert explanation.route == route
    assert 0 < len(steps) <= STEP_LIMIT
    final = [step for step in steps if step.outcome == "matched"]
    final = [step for step in final if step.stage not in ("rewrite", "keypad", "e164")]
    if route is None:
        assert final == []
    elif route.kind is RouteKind.EXTENSION:
        assert [step.output for step in final] == [route.number]
        assert final[0].rule == route.rule.rpartition(", then ")[2]
    elif route.kind is RouteKind.GATEWAY:
        told = [step.output for step in final]
        assert len({step.stage for step in final}) == 1
        assert {hop.number for hop in route.hops[:12]} <= set(told) or len(told) == 12
        assert final[0].stage == "carrier" or "line " in route.rule
    else:
        assert "refused" in {step.outcome for step in steps}
    # Every step takes up what an earlier one left.
    known = {number}
    for step in steps:
        if step.outcome != "refused":
            assert step.input in known or step.outcome == "lost" or not route
        known.add(step.output)
