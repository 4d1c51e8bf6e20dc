"""What a dial plan tells about a number: every step, what matched, what lost, why."""

from engine.numbers.dialplan import (
    BlockedNumbers,
    CarrierRule,
    CarrierRules,
    DialPlan,
    ExtensionIndex,
    ExtensionRule,
    RewriteRule,
    Step,
)
from engine.numbers.numbering import KAZOO_CLASSIFIERS
from engine.numbers.route_table import RouteRow, RouteTable
from engine.numbers.steps import STEP_LIMIT

EMERGENCY = next(each.regex for each in KAZOO_CLASSIFIERS if each.emergency)

DESK = ExtensionRule("1001", "device", "desk")
BOB = ExtensionRule("14155550000", "user", "bob")
LOCAL = RewriteRule(r"^(\d{7})$", prefix="1415", description="local seven")
SEVEN = RewriteRule(r"^\d{7}$", prefix="7")
ACME = CarrierRule("acme", "Acme", (r"^\+1(\d{10})$",), weight_cost=10, prefix="+1")
BULK = CarrierRule("bulk", "Bulk", (r"^\d{5,}$", r"^\+(\d+)"), weight_cost=20, suffix="#")


def plan(*rows: RouteRow, blocked: tuple[str, ...] | None = None) -> DialPlan:
    return DialPlan.compile(
        extensions=ExtensionIndex.compile([DESK, BOB]),
        rewrites=[LOCAL, SEVEN],
        table=RouteTable.compile(rows) if rows else None,
        carriers=CarrierRules.compile([BULK, ACME]),
        blocked=None if blocked is None else BlockedNumbers.compile({"Main": blocked}),
    )


def told(number: str, using: DialPlan) -> list[tuple[str, str, str, str]]:
    """Return stage, input, output and outcome of each step."""
    return [
        (step.stage, step.input, step.output, step.outcome) for step in using.explain(number).steps
    ]


def steps(number: str, stage: str, using: DialPlan) -> list[Step]:
    return [step for step in using.explain(number).steps if step.stage == stage]


def test_an_extension_and_what_lost() -> None:
    explanation = plan().explain("1001")
    assert explanation.number == "1001"
    assert explanation.route is not None
    assert explanation.route.id == "desk"
    assert explanation.steps == (
        Step("extension", "1001", "1001", "matched", "extension 1001", "rings device desk"),
    )


def test_every_step_to_the_carriers() -> None:
    e164 = "+14154846048"
    assert plan().explain("4846048").steps == (
        Step("extension", "4846048", "4846048", "passed", "", "is no extension"),
        Step(
            "rewrite",
            "4846048",
            "14154846048",
            "matched",
            r"rewrite 1 'local seven' ^(\d{7})$",
            "the first rule that matches",
        ),
        Step(
            "rewrite",
            "4846048",
            "4846048",
            "lost",
            r"rewrite 2 ^\d{7}$",
            "rewrite 1 comes first",
        ),
        Step("extension", "14154846048", "14154846048", "passed", "", "is no extension"),
        Step(
            "e164",
            "14154846048",
            e164,
            "matched",
            r"^(\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})$",
            "the first converter that matches",
        ),
        Step(
            "carrier",
            e164,
            e164,
            "matched",
            r"carrier 'Acme' rule 1 ^\+1(\d{10})$",
            "weight_cost 10",
        ),
        Step(
            "carrier",
            e164,
            "14154846048#",
            "matched",
            r"carrier 'Bulk' rule 2 ^\+(\d+)",
            "weight_cost 20",
        ),
        Step(
            "classifier",
            e164,
            e164,
            "passed",
            r"classifier did_us ^(\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})$",
            "the class is allowed",
        ),
    )


def test_letters() -> None:
    assert steps("1800FLOWERS", "keypad", plan()) == [
        Step(
            "keypad",
            "1800FLOWERS",
            "18003569377",
            "matched",
            "ITU-T E.161",
            "letters stand on the keys of a telephone",
        )
    ]


def test_no_route() -> None:
    explanation = plan().explain("12")
    assert explanation.route is None
    assert explanation.steps[-1] == Step(
        "carrier", "12", "12", "passed", "", "none of 2 carriers takes it: no route"
    )
    assert plan().explain("").steps == (
        Step("extension", "", "", "passed", "", "an empty number matches nothing"),
    )


def test_blocked_as_given() -> None:
    assert plan(blocked=("1001",)).explain("1001").steps == (
        Step(
            "blocklist",
            "1001",
            "1001",
            "refused",
            "blocklist 'Main'",
            "the number is on the list",
        ),
    )


def test_blocked_in_its_e164_form() -> None:
    assert told("4846048", plan(blocked=("+14154846048",)))[-3:] == [
        ("e164", "14154846048", "+14154846048", "matched"),
        ("blocklist", "14154846048", "14154846048", "passed"),
        ("blocklist", "+14154846048", "+14154846048", "refused"),
    ]


def test_a_denied_class() -> None:
    rules = DialPlan.compile(carriers=CarrierRules.compile([CarrierRule("c", "C", (".",))]))
    assert told("911", rules) == [
        ("extension", "911", "911", "passed"),
        ("rewrite", "911", "911", "passed"),
        ("e164", "911", "911", "passed"),
        ("carrier", "911", "911", "matched"),
        ("classifier", "911", "911", "refused"),
    ]


def test_dropped_carriers() -> None:
    strips = CarrierRule("strips", "Strips", (r"^9(911)$",))
    blocks = CarrierRule("blocks", "Blocks", (r"^(9)911$",), suffix="8001234567")
    whole = CarrierRule("whole", "Whole", (".",))
    rules = DialPlan.compile(
        carriers=CarrierRules.compile([strips, blocks, whole]),
        blocked=BlockedNumbers.compile({"Main": ["+98001234567"]}),
    )
    assert [(s.stage, s.input, s.outcome, s.rule) for s in rules.explain("9911").steps[-2:]] == [
        ("classifier", "911", "refused", f"classifier emergency {EMERGENCY}"),
        ("blocklist", "98001234567", "refused", "blocklist 'Main'"),
    ]
    route = rules.match("9911")
    assert route is not None
    assert [hop.resource_id for hop in route.hops] == ["whole"]


def test_rows_that_matched_and_rows_that_lost() -> None:
    rules = plan(
        RouteRow("extension", "1001", "user", "never"),
        RouteRow("pattern", "_NXXNXXXXXX", "resource", "one", description="local"),
        RouteRow("pattern", "_NX.", "resource", "two"),
        RouteRow("pattern", "_+1.", "resource", "three"),
        RouteRow("prefix", "1", "resource", "four"),
        RouteRow("regex", "^4", "device", "five"),
    )
    assert [(s.outcome, s.rule, s.why) for s in steps("1001", "extension", rules)] == [
        ("matched", "extension 1001", "rings device desk"),
        ("lost", "line 1 extension 1001", "an extension of the account comes first"),
    ]
    assert [
        (s.stage, s.input, s.outcome, s.rule, s.why)
        for s in rules.explain("4154846048").steps
        if s.stage in ("pattern", "prefix", "regex")
    ] == [
        (
            "pattern",
            "4154846048",
            "matched",
            "line 2 'local' pattern _NXXNXXXXXX",
            "to resource one, priority 0, weight 1",
        ),
        ("pattern", "4154846048", "lost", "line 3 pattern _NX.", "less specific"),
        (
            "pattern",
            "+14154846048",
            "lost",
            "line 4 pattern _+1.",
            "4154846048 is asked for first",
        ),
        ("prefix", "+14154846048", "lost", "line 5 prefix 1", "an earlier rule decided"),
        ("regex", "4154846048", "lost", "line 6 regex ^4", "an earlier rule decided"),
    ]


def test_carriers_lose_to_rows() -> None:
    rules = plan(RouteRow("prefix", "1", "resource", "row"))
    assert [s.outcome for s in steps("+14154846048", "carrier", rules)] == ["lost", "lost"]
    assert [s.outcome for s in steps("+14154846048", "prefix", rules)] == ["matched"]


def test_rows_that_leave_nothing_to_dial() -> None:
    rules = plan(
        RouteRow("extension", "12", "device", "e", strip=2),
        RouteRow("prefix", "12", "user", "u", strip=2),
    )
    assert [(s.stage, s.outcome, s.why) for s in rules.explain("12").steps if "line" in s.rule] == [
        ("extension", "lost", "leaves nothing to dial"),
        ("prefix", "lost", "leaves nothing to dial"),
    ]


def test_a_long_list_of_losers_does_not_hide_what_decided() -> None:
    rules = DialPlan.compile(
        rewrites=[RewriteRule("^1", prefix=str(index)) for index in range(200)],
        table=RouteTable.compile(
            RouteRow("pattern", "_" + "X" * index + ".", "resource", "r") for index in range(10)
        ),
        carriers=CarrierRules.compile(
            [CarrierRule(f"c{index}", "C", (".",)) for index in range(200)]
        ),
    )
    explanation = rules.explain("1234567890123")
    assert len(explanation.steps) <= STEP_LIMIT
    outcomes = [(step.stage, step.outcome) for step in explanation.steps]
    assert ("pattern", "matched") in outcomes
    assert outcomes[-1] == ("classifier", "passed")


def test_rows_that_nobody_asked_for_are_not_spoken_of() -> None:
    row = RouteRow(kind="extension", match="2122122112", to="device", id="desk")
    stages = [stage for stage, _, _, outcome in told("2122122112", plan(row)) if outcome != "lost"]
    assert stages == ["extension"]
