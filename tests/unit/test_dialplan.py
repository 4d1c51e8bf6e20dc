"""The dial plan: precedence, what each rule dials, what is refused, what is explained."""

import pytest

from engine.numbers.dialplan import (
    CarrierRule,
    DialPlan,
    DialPlanError,
    ExtensionRule,
    RewriteRule,
    Route,
    RouteKind,
)
from engine.numbers.text import NumberError

DESK = ExtensionRule("1001", "device", "desk")
BOB = ExtensionRule("14155550000", "user", "bob")
LOCAL = RewriteRule(r"^(\d{7})$", prefix="1415", description="local seven")
ACME = CarrierRule("acme", "Acme", (r"^\+?1(\d{10})$",), weight_cost=10, prefix="+1")
BULK = CarrierRule("bulk", "Bulk", (r"^\d{5,}$", r"^\+(\d+)"), weight_cost=20, suffix="#")
PLAN = DialPlan.compile([DESK, BOB], [LOCAL], [BULK, ACME])


def dialled(rule: RewriteRule, number: str) -> str | None:
    route = DialPlan.compile([], [rule], [CarrierRule("any", "Any", (".*",))]).match(number)
    return route.number if route else None


def offered(carrier: CarrierRule, number: str) -> str | None:
    route = DialPlan.compile([], [], [carrier]).match(number)
    return route.number if route else None


def refused(
    extensions: list[ExtensionRule] | None = None,
    rewrites: list[RewriteRule] | None = None,
    carriers: list[CarrierRule] | None = None,
) -> DialPlanError:
    with pytest.raises(DialPlanError) as caught:
        DialPlan.compile(extensions or [], rewrites or [], carriers or [])
    error = caught.value
    assert error.where in str(error)
    assert error.reason in str(error)
    return error


def test_extension_as_typed() -> None:
    assert PLAN.match("1001") == Route(
        kind=RouteKind.EXTENSION,
        id="desk",
        number="1001",
        rule="extension 1001",
        endpoint_type="device",
    )


def test_rewrite_then_extension() -> None:
    assert PLAN.match("5550000") == Route(
        kind=RouteKind.EXTENSION,
        id="bob",
        number="14155550000",
        rule=r"rewrite 1 'local seven' ^(\d{7})$, then extension 14155550000",
        endpoint_type="user",
    )


def test_rewrite_then_carriers_by_weight() -> None:
    assert PLAN.match("4846048") == Route(
        kind=RouteKind.GATEWAY,
        id="acme",
        number="+14154846048",
        rule=r"rewrite 1 'local seven' ^(\d{7})$, then carrier 'Acme' rule 1 ^\+?1(\d{10})$",
        carriers=("acme", "bulk"),
        carrier_numbers=("+14154846048", "14154846048#"),
    )


def test_carrier_without_rewrite() -> None:
    route = PLAN.match("+4930123456")
    assert route == Route(
        kind=RouteKind.GATEWAY,
        id="bulk",
        number="4930123456#",
        rule=r"carrier 'Bulk' rule 2 ^\+(\d+)",
        carriers=("bulk",),
        carrier_numbers=("4930123456#",),
    )


@pytest.mark.parametrize("number", ["", "12", "x1001", "0100", "１００１"])
def test_no_route(number: str) -> None:
    assert PLAN.match(number) is None


def test_extension_as_typed_wins_over_rewrite_and_carrier() -> None:
    plan = DialPlan.compile([DESK], [RewriteRule("^1001$", prefix="9")], [BULK])
    route = plan.match("1001")
    assert route is not None
    assert route.id == "desk"


def test_first_matching_rewrite_wins_and_only_one_applies() -> None:
    rules = [RewriteRule("^9(.+)$"), RewriteRule("^(.+)$", prefix="7"), RewriteRule("^1")]
    plan = DialPlan.compile([], rules, [CarrierRule("any", "Any", (".*",))])
    assert [route and route.number for route in map(plan.match, ("911", "811", "111"))] == [
        "11",
        "7811",
        "7111",
    ]


def test_equal_weights_keep_the_order_given() -> None:
    carriers = [CarrierRule(name, name, (".",), weight_cost=5) for name in "cab"]
    route = DialPlan.compile([], [], [*carriers, CarrierRule("z", "z", (".",), 1)]).match("1")
    assert route is not None
    assert route.carriers == ("z", "c", "a", "b")


@pytest.mark.parametrize(
    ("rule", "number", "expected"),
    [
        (RewriteRule(r"^9(\d)(\d+)$", "<", ">"), "9123", "<23>"),
        (RewriteRule(r"\d{3}", "<", ">"), "ab12345", "<123>"),
        (RewriteRule(r"^011(\d{5,})$|^00(\d{5,})$", "+"), "01149301", "+49301"),
        (RewriteRule(r"^011(\d{5,})$|^00(\d{5,})$", "+"), "0049301", "+49301"),
        (RewriteRule(r"^1(\d+)?$", "x"), "1", "x1"),
        (RewriteRule(r"^é(.)$", "ü", "ö"), "éß", "üßö"),
        (RewriteRule(r"^5(\d*)$"), "5", "5"),
        (RewriteRule(r"^(?P<a>4)(?P<b>2)$"), "42", "2"),
    ],
)
def test_rewrite_root(rule: RewriteRule, number: str, expected: str) -> None:
    assert dialled(rule, number) == expected


@pytest.mark.parametrize(
    ("carrier", "number", "expected"),
    [
        (CarrierRule("c", "c", (r"^9(\d)(\d+)$",), prefix="<", suffix=">"), "9123", "<1>"),
        (CarrierRule("c", "c", (r"23",), prefix="<", suffix=">"), "123", "<123>"),
        (CarrierRule("c", "c", (r"^011(\d+)$|^00(\d+)$",)), "0049301", "49301"),
        (CarrierRule("c", "c", (r"^1$", r"^(\d)(\d)$")), "12", "1"),
        (CarrierRule("c", "c", (r"^1(\d*)$", r"^(1)$")), "1", "1"),
        (CarrierRule("c", "c", (r"^1(\d*)$",)), "1", None),
        (CarrierRule("c", "c", ()), "1", None),
    ],
)
def test_carrier_number(carrier: CarrierRule, number: str, expected: str | None) -> None:
    assert offered(carrier, number) == expected


def test_explain_extension() -> None:
    assert PLAN.explain("1001") == ("number '1001'", "extension 1001 rings device desk")


def test_explain_every_step_to_the_carriers() -> None:
    assert PLAN.explain("4846048") == (
        "number '4846048'",
        "'4846048' is no extension",
        r"rewrite 1 'local seven' ^(\d{7})$ makes it '14154846048'",
        "'14154846048' is no extension",
        r"hunt 1: carrier 'Acme' rule 1 ^\+?1(\d{10})$ dials '+14154846048'",
        r"hunt 2: carrier 'Bulk' rule 1 ^\d{5,}$ dials '14154846048#'",
    )


def test_explain_no_route() -> None:
    assert PLAN.explain("12") == (
        "number '12'",
        "'12' is no extension",
        "none of 1 rewrite rules matches",
        "none of 2 carriers takes '12': no route",
    )
    assert PLAN.explain("") == ("the number is empty: no route",)


def test_bad_rewrite_names_its_place() -> None:
    error = refused(rewrites=[LOCAL, RewriteRule(r"^1(?=2)")])
    assert (error.where, error.index, error.pattern, error.position) == (
        "rewrites[1].regex",
        1,
        r"^1(?=2)",
        2,
    )
    assert "look-ahead" in error.reason


def test_bad_carrier_rule_names_its_place_as_given() -> None:
    error = refused(carriers=[BULK, CarrierRule("c", "c", (r"^1", r"^(2"), weight_cost=1)])
    assert (error.where, error.index, error.pattern, error.position) == (
        "carriers[1].rules[1]",
        1,
        r"^(2",
        1,
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("", "empty"),
        ("1" * 129, "at most 128"),
        ("1\ud800", "surrogate"),
        ("1001", "another extension"),
    ],
)
def test_bad_extension(number: str, words: str) -> None:
    error = refused(extensions=[DESK, ExtensionRule(number, "device", "other")])
    assert (error.where, error.index, error.pattern) == ("extensions[1].number", 1, number)
    assert words in error.reason


@pytest.mark.parametrize("name", ["prefix", "suffix"])
@pytest.mark.parametrize(("text", "position"), [("1" * 65, 64), ("12\udc00", 2)])
def test_bad_affix(name: str, text: str, position: int) -> None:
    bad = {name: text}
    error = refused(rewrites=[RewriteRule("^1", **bad)])
    assert (error.where, error.position) == (f"rewrites[0].{name}", position)
    error = refused(carriers=[ACME, CarrierRule("c", "c", ("^1",), 50, **bad)])
    assert (error.where, error.position) == (f"carriers[1].{name}", position)


def test_number_limit() -> None:
    carrier = CarrierRule("any", "Any", (".*",), prefix="9" * 64, suffix="8" * 64)
    assert offered(carrier, "1" * 128) == "9" * 64 + "1" * 128 + "8" * 64
    for ask in (PLAN.match, PLAN.explain):
        with pytest.raises(NumberError, match="129 characters long, at most 128"):
            ask("1" * 129)
        with pytest.raises(NumberError, match="surrogate"):
            ask("1\ud800")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)+b", "((a*)*)*b"])
def test_catastrophic_patterns_end(pattern: str) -> None:
    # A backtracking matcher would take some 2**127 steps. No end anchor here: it would let RE2
    # look at the last character first.
    plan = DialPlan.compile([], [RewriteRule(pattern)], [CarrierRule("c", "c", (pattern,))])
    assert plan.match("a" * 127 + "!") is None
