"""The dial plan: precedence, what each rule dials, what is refused."""

import pytest

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
    Route,
    RouteKind,
)
from engine.numbers.numbering import KAZOO_CLASSIFIERS, Classifier, Numbering
from engine.numbers.text import NumberError

EMERGENCY = next(each.regex for each in KAZOO_CLASSIFIERS if each.emergency)

DESK = ExtensionRule("1001", "device", "desk")
BOB = ExtensionRule("14155550000", "user", "bob")
LOCAL = RewriteRule(r"^(\d{7})$", prefix="1415", description="local seven")
ACME = CarrierRule("acme", "Acme", (r"^\+?1(\d{10})$",), weight_cost=10, prefix="+1")
BULK = CarrierRule("bulk", "Bulk", (r"^\d{5,}$", r"^\+(\d+)"), weight_cost=20, suffix="#")
ANY = CarrierRule("any", "Any", (r"(?s)^.*$",))
NO_NUMBERING = Numbering.compile((), ())


def plan(
    extensions: tuple[ExtensionRule, ...] = (),
    rewrites: tuple[RewriteRule, ...] = (),
    carriers: tuple[CarrierRule, ...] = (),
    numbering: Numbering = NO_NUMBERING,
    blocked: dict[str, list[str]] | None = None,
    denied: frozenset[str] | None = None,
) -> DialPlan:
    return DialPlan.compile(
        extensions=ExtensionIndex.compile(extensions),
        rewrites=rewrites,
        carriers=CarrierRules.compile(carriers),
        numbering=numbering,
        blocked=BlockedNumbers.compile(blocked or {}, numbering),
        denied=denied,
    )


PLAN = plan((DESK, BOB), (LOCAL,), (BULK, ACME))


def dialled(rule: RewriteRule, number: str) -> str | None:
    route = plan(rewrites=(rule,), carriers=(ANY,)).match(number)
    return route.number if route else None


def offered(carrier: CarrierRule, number: str) -> str | None:
    route = plan(carriers=(carrier,)).match(number)
    return route.number if route else None


def refused(
    extensions: tuple[ExtensionRule, ...] = (),
    rewrites: tuple[RewriteRule, ...] = (),
    carriers: tuple[CarrierRule, ...] = (),
    blocked: dict[str, list[str]] | None = None,
) -> DialPlanError:
    with pytest.raises(DialPlanError) as caught:
        plan(extensions, rewrites, carriers, blocked=blocked)
    error = caught.value
    assert error.where in str(error)
    assert error.reason in str(error)
    return error


def found(number: str, using: DialPlan = PLAN) -> Route:
    route = using.match(number)
    assert route is not None
    return route


def test_extension_as_typed() -> None:
    route = found("1001")
    assert route.kind is RouteKind.EXTENSION
    assert (route.endpoint_type, route.id, route.number) == ("device", "desk", "1001")
    assert (route.rule, route.hops, route.refusal, route.reason) == ("extension 1001", (), "", "")


def test_rewrite_then_extension() -> None:
    route = found("5550000")
    assert (route.endpoint_type, route.id, route.number) == ("user", "bob", "14155550000")
    assert route.rule == r"rewrite 1 'local seven' ^(\d{7})$, then extension 14155550000"


def test_rewrite_then_carriers_by_weight() -> None:
    route = found("4846048")
    acme = r"carrier 'Acme' rule 1 ^\+?1(\d{10})$"
    assert route.kind is RouteKind.GATEWAY
    assert (route.endpoint_type, route.id, route.number) == (None, "acme", "+14154846048")
    assert route.rule == rf"rewrite 1 'local seven' ^(\d{{7}})$, then {acme}"
    assert route.hops == (
        Hop("acme", "+14154846048", priority=10, rule=acme),
        Hop("bulk", "14154846048#", priority=20, rule=r"carrier 'Bulk' rule 1 ^\d{5,}$"),
    )


def test_carrier_without_rewrite() -> None:
    route = found("+4930123456")
    assert [(hop.resource_id, hop.number) for hop in route.hops] == [("bulk", "4930123456#")]


@pytest.mark.parametrize("number", ["", "12", "x1001", "0100", "１００１"])
def test_no_route(number: str) -> None:
    assert PLAN.match(number) is None
    assert DialPlan.compile().match(number) is None


def test_routes_are_values() -> None:
    assert found("1001") == found("1001")
    assert hash(found("4846048")) == hash(found("4846048"))
    assert found("1001") != found("4846048")
    assert found("1001") != "1001"
    assert "id='desk'" in repr(found("1001"))
    with pytest.raises(TypeError, match=r"DialPlan\.match"):
        Route()
    with pytest.raises(AttributeError):
        found("1001").id = "other"  # type: ignore[misc]


def test_a_route_outlives_its_plan() -> None:
    route = found("4846048", plan(rewrites=(LOCAL,), carriers=(ACME,)))
    assert [hop.resource_id for hop in route.hops] == ["acme"]
    assert route.classification == ""


def test_extension_as_typed_wins_over_rewrite_and_carrier() -> None:
    assert found("1001", plan((DESK,), (RewriteRule("^1001$", "9"),), (BULK,))).id == "desk"


def test_first_matching_rewrite_wins_and_only_one_applies() -> None:
    rules = (RewriteRule("^9(.+)$"), RewriteRule("^(.+)$", prefix="7"), RewriteRule("^1"))
    rewriting = plan(rewrites=rules, carriers=(ANY,))
    assert [found(number, rewriting).number for number in ("911", "811", "111")] == [
        "11",
        "7811",
        "7111",
    ]


def test_equal_weights_keep_the_order_given() -> None:
    carriers = tuple(CarrierRule(name, name, (".",), weight_cost=5) for name in "cab")
    route = found("1", plan(carriers=(*carriers, CarrierRule("z", "z", (".",), 1))))
    assert [hop.resource_id for hop in route.hops] == ["z", "c", "a", "b"]


@pytest.mark.parametrize("many", [1, 40])
def test_many_rules_keep_their_order(many: int) -> None:
    rules = tuple(RewriteRule(f"^{index}(.)", prefix=f"{index}:") for index in range(many))
    both = (RewriteRule("^0"), RewriteRule("^0(.)", prefix="late"), RewriteRule("1(2)", prefix="x"))
    rewriting = plan(rewrites=(*rules, *both), carriers=(ANY,))
    assert [found(number, rewriting).number for number in ("05", "312", "812")] == (
        ["0:5", "x2", "x2"] if many == 1 else ["0:5", "3:1", "8:1"]
    )
    carriers = tuple(CarrierRule(str(i), "c", (f"^{i}", f"{i}$")) for i in range(many))
    hunting = plan(carriers=(*carriers, CarrierRule("other", "c", ("^7", "0$"))))
    expected = ["0", "other"] if many == 1 else ["0", "7", "other"]
    assert [hop.resource_id for hop in found("70", hunting).hops] == expected


def test_rules_too_large_for_one_pass_are_asked_one_by_one() -> None:
    # Each fits into the memory of a pattern; all of them do not fit into that of a set.
    large = tuple(RewriteRule(rf"^{index:03}\pL{{10}}") for index in range(300))
    rewriting = plan(rewrites=(*large, RewriteRule("^5(.)$", prefix="x")), carriers=(ANY,))
    assert found("57", rewriting).number == "x7"
    assert found("123" + "é" * 10 + "b", rewriting).number == "123" + "é" * 10


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


def test_carriers_are_asked_for_the_e164_form_before_the_number_as_it_stands() -> None:
    both = CarrierRule("both", "c", ("^4", r"^\+(.*)"))
    bare = CarrierRule("bare", "c", (r"^4(.*)",))
    route = found("4154846048", DialPlan.compile(carriers=CarrierRules.compile([both, bare])))
    assert [(hop.resource_id, hop.number) for hop in route.hops] == [
        ("both", "14154846048"),
        ("bare", "154846048"),
    ]
    assert route.e164 == "+14154846048"


def test_letters_of_a_vanity_number_are_keys() -> None:
    carrier = CarrierRules.compile([ANY])
    spelled = DialPlan.compile(carriers=carrier)
    assert found("1800FLOWERS", spelled).number == "+18003569377"
    assert found("+1800flowers", spelled).number == "+18003569377"
    for name in ("FLOWERS1800", "800abc", "1800FLÖWERS", "1800-FLOWERS", "+", "1234567"):
        assert found(name, spelled).number == name
    named = DialPlan.compile(
        extensions=ExtensionIndex.compile([ExtensionRule("1800FLOWERS", "user", "florist")]),
        carriers=carrier,
    )
    assert found("1800FLOWERS", named).id == "florist"


def test_blocked_numbers_are_refused_in_every_form() -> None:
    blocked = {"Main": ["+14154846048", "1002"], "Other": ["4154846048", "00493012345"]}
    rules = plan(
        (ExtensionRule("1002", "device", "d"), DESK),
        (RewriteRule("^9(.*)"),),
        (ANY,),
        Numbering.compile(),
        blocked,
    )
    for number, name in (
        ("+14154846048", "Main"),
        ("4154846048", "Other"),
        ("14154846048", "Main"),
        ("94154846048", "Other"),
        ("1415GTGM048", "Main"),
        ("1002", "Main"),
        ("+493012345", "Other"),
    ):
        route = found(number, rules)
        assert (route.kind, route.refusal) == (RouteKind.REFUSED, "blocked"), number
        assert (route.id, route.hops, route.endpoint_type) == ("", (), None)
        assert f"blocklist {name!r}" in route.rule
        assert f"blocklist {name!r}" in route.reason
    assert found("1001", rules).id == "desk"
    assert found("4154846049", rules).refusal == ""


def test_denied_classes_are_refused_and_only_toward_carriers() -> None:
    rules = DialPlan.compile(
        extensions=ExtensionIndex.compile([ExtensionRule("911", "user", "nurse")]),
        carriers=CarrierRules.compile([CarrierRule("c", "c", (r"^\+?\d{3,}$",))]),
    )
    assert found("911", rules).id == "nurse"
    for number, name in (("933", "emergency"), ("19005551234", "toll_us")):
        route = found(number, rules)
        assert (route.kind, route.refusal) == (RouteKind.REFUSED, "restricted")
        assert (route.classification, route.id, route.hops) == (name, "", ())
        assert f"classifier {name}" in route.reason
    assert rules.match("33") is None
    assert found("8335551234", rules).classification == "tollfree_us"


def test_denied_classes_are_the_plans_own() -> None:
    carriers = CarrierRules.compile([ANY])
    rules = DialPlan.compile(carriers=carriers, denied=frozenset({"caribbean"}))
    assert found("911", rules).refusal == ""
    assert found("8765551234", rules).refusal == "restricted"
    with pytest.raises(DialPlanError, match=r"denied\[0\] 'carribean': is no classifier"):
        DialPlan.compile(carriers=carriers, denied=frozenset({"carribean"}))


def test_carriers_that_would_send_a_refused_number_are_dropped() -> None:
    carriers = (
        CarrierRule("strips", "c", (r"^\+9(\d{3})$",)),
        CarrierRule("adds", "c", (r"^\+9\d{3}$",), prefix="*"),
        CarrierRule("blocked", "c", (r"^\+(9)",), prefix="+1415484604"),
    )
    rules = plan(carriers=carriers, numbering=Numbering.compile(), blocked={"Main": ["4154846049"]})
    route = found("+9911", rules)
    assert [(hop.resource_id, hop.number) for hop in route.hops] == [("adds", "*+9911")]
    first = plan(carriers=carriers[:1], numbering=Numbering.compile())
    assert (found("+9911", first).refusal, found("+9912", first).number) == ("restricted", "912")
    last = plan(
        carriers=carriers[2:], numbering=Numbering.compile(), blocked={"Main": ["4154846049"]}
    )
    assert found("+9911", last).refusal == "blocked"


def test_a_number_changed_after_the_match_is_judged_again() -> None:
    rules = plan(numbering=Numbering.compile(), blocked={"Main": ["+14154846048"]})
    assert rules.refusal_of("4154846049") == ("", "")
    assert rules.refusal_of("911") == (
        "restricted",
        f"'911' is refused by classifier emergency {EMERGENCY}",
    )
    assert rules.refusal_of("4154846048") == (
        "blocked",
        "'4154846048' is refused by blocklist 'Main'",
    )
    assert rules.refusal_of("1" * 300) == ("", "")
    assert rules.refusal_of("") == ("", "")


def test_the_number_itself_is_classified_when_its_e164_form_is_not() -> None:
    numbering = Numbering.compile(classifiers=[Classifier("short", r"^\d{8}$")])
    rules = DialPlan.compile(
        carriers=CarrierRules.compile([ANY]), numbering=numbering, denied=frozenset({"short"})
    )
    assert found("23456789", rules).refusal == "restricted"
    assert found("234567890", rules).classification == ""


def test_bad_rewrite_names_its_place() -> None:
    error = refused(rewrites=(LOCAL, RewriteRule(r"^1(?=2)")))
    assert (error.where, error.index, error.pattern, error.position) == (
        "rewrites[1].regex",
        1,
        r"^1(?=2)",
        2,
    )
    assert "look-ahead" in error.reason


def test_bad_carrier_rule_names_its_place_as_given() -> None:
    error = refused(carriers=(BULK, CarrierRule("c", "c", (r"^1", r"^(2"), weight_cost=1)))
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
    error = refused(extensions=(DESK, ExtensionRule(number, "device", "other")))
    assert (error.where, error.index, error.pattern) == ("extensions[1].number", 1, number)
    assert words in error.reason


@pytest.mark.parametrize(
    ("number", "words"), [("", "empty"), ("1" * 129, "at most 128"), ("1\ud800", "surrogate")]
)
def test_bad_blocked_number(number: str, words: str) -> None:
    error = refused(blocked={"Main": ["1"], "Other": ["2", number]})
    assert (error.where, error.index, error.pattern) == ("blocked['Other'][1]", 1, number)
    assert words in error.reason


@pytest.mark.parametrize("name", ["prefix", "suffix"])
@pytest.mark.parametrize(("text", "position"), [("1" * 65, 64), ("12\udc00", 2)])
def test_bad_affix(name: str, text: str, position: int) -> None:
    bad = {name: text}
    error = refused(rewrites=(RewriteRule("^1", **bad),))
    assert (error.where, error.position) == (f"rewrites[0].{name}", position)
    error = refused(carriers=(ACME, CarrierRule("c", "c", ("^1",), 50, **bad)))
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
    hostile = plan(rewrites=(RewriteRule(pattern),), carriers=(CarrierRule("c", "c", (pattern,)),))
    assert hostile.match("a" * 127 + "!") is None
