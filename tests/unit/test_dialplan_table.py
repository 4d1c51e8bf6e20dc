"""The dial plan with a route table: which rows are asked, with which form of the number, when."""

import pytest

from engine.numbers.dialplan import (
    BlockedNumbers,
    CarrierRule,
    CarrierRules,
    DialPlan,
    ExtensionIndex,
    ExtensionRule,
    Hop,
    RewriteRule,
    Route,
    RouteKind,
)
from engine.numbers.route_table import RouteRow, RouteTable

CARRIER = CarrierRules.compile([CarrierRule("carrier", "Carrier", (r"(?s)^.*$",))])


def plan(
    *rows: RouteRow, rewrites: tuple[RewriteRule, ...] = (), blocked: tuple[str, ...] = ()
) -> DialPlan:
    return DialPlan.compile(
        extensions=ExtensionIndex.compile([ExtensionRule("1001", "device", "desk")]),
        rewrites=rewrites,
        table=RouteTable.compile(rows),
        carriers=CARRIER,
        blocked=BlockedNumbers.compile({"Main": blocked}),
    )


def found(number: str, using: DialPlan) -> Route:
    route = using.match(number)
    assert route is not None
    return route


def hops(number: str, using: DialPlan) -> list[tuple[str, str]]:
    return [(hop.resource_id, hop.number) for hop in found(number, using).hops]


def test_extension_rows_come_after_the_accounts_extensions_and_before_rewrites() -> None:
    rules = plan(
        RouteRow("extension", "1001", "user", "never"),
        RouteRow("extension", "1002", "user", "bob"),
        RouteRow("extension", "912", "user", "front"),
        RouteRow("extension", "0", "device", "door"),
        rewrites=(RewriteRule("^9(.*)$"),),
    )
    assert [found(n, rules).id for n in ("1001", "1002", "91002", "912", "90")] == [
        "desk",
        "bob",
        "bob",
        "front",
        "door",
    ]
    route = found("91002", rules)
    assert (route.kind, route.endpoint_type, route.number) == (
        RouteKind.EXTENSION,
        "user",
        "1002",
    )
    assert route.rule == "rewrite 1 ^9(.*)$, then line 2 extension 1002"
    assert route.hops == ()


def test_patterns_are_asked_for_the_number_then_its_e164_form() -> None:
    rules = plan(
        RouteRow("pattern", "_NXXNXXXXXX", "resource", "dialled"),
        RouteRow("pattern", "_+1XXXXXXXXXX", "resource", "e164", prepend="8"),
        RouteRow("prefix", "1415484", "resource", "prefix"),
    )
    assert hops("4154846048", rules) == [("dialled", "4154846048")]
    assert hops("14154846048", rules) == [("e164", "814154846048")]
    assert hops("+14154846048", rules) == [("e164", "814154846048")]


def test_prefixes_are_asked_for_the_e164_form_then_the_number() -> None:
    rules = plan(
        RouteRow("prefix", "1415", "resource", "far", strip=1),
        RouteRow("prefix", "415484", "resource", "near"),
        RouteRow("prefix", "0", "resource", "zero"),
    )
    assert hops("4154846048", rules) == [("far", "4154846048")]
    assert hops("+14154846048", rules) == [("far", "4154846048")]
    assert hops("+4154846048", rules) == [("near", "+4154846048")]
    assert hops("0123", rules) == [("zero", "0123")]
    assert hops("00493012345", rules) == [("zero", "00493012345")]


def test_regex_rows_are_asked_for_the_e164_form_then_the_number() -> None:
    rules = plan(
        RouteRow("regex", r"^415(\d{7})$", "resource", "number", prepend="9"),
        RouteRow("regex", r"^\+1(\d{10})$", "resource", "e164"),
        RouteRow("regex", r"^7\d*$", "device", "seven"),
    )
    assert hops("4154846048", rules) == [("e164", "4154846048")]
    assert found("77", rules).id == "seven"
    assert hops("88", rules) == [("carrier", "88")]


def test_the_stages_of_the_table_in_order() -> None:
    kinds = [
        RouteRow("extension", "+14154846048", "resource", "extension"),
        RouteRow("pattern", "_+1.", "resource", "pattern"),
        RouteRow("prefix", "1", "resource", "prefix"),
        RouteRow("regex", "4", "resource", "regex"),
    ]
    while kinds:
        assert found("+14154846048", plan(*kinds)).id == kinds[0].kind
        kinds.pop(0)
    assert found("+14154846048", plan()).id == "carrier"


def test_hunt_of_a_prefix_goes_on_with_shorter_ones() -> None:
    rules = plan(
        RouteRow("prefix", "1", "resource", "wide", 5),
        RouteRow("prefix", "14", "device", "never"),
        RouteRow("prefix", "1415", "resource", "second", 2, 7),
        RouteRow("prefix", "1415", "resource", "first", 1, 3, strip=1, description="cheap"),
    )
    assert found("+14154846048", rules).hops == (
        Hop("first", "4154846048", 1, 3, 4, "line 4 'cheap' prefix 1415"),
        Hop("second", "+14154846048", 2, 7, 4, "line 3 prefix 1415"),
        Hop("wide", "+14154846048", 5, 1, 1, "line 1 prefix 1"),
    )
    assert found("+14254846048", rules).id == "never"


def test_rows_that_leave_nothing_to_dial_are_passed_over() -> None:
    rules = plan(
        RouteRow("extension", "12", "device", "e", strip=2),
        RouteRow("pattern", "_1X", "user", "p", strip=3),
        RouteRow("prefix", "12", "resource", "long", strip=9),
        RouteRow("prefix", "1", "resource", "short", strip=1),
    )
    assert hops("12", rules) == [("short", "2")]


def test_blocked_and_denied_numbers_do_not_leave_through_rows() -> None:
    rules = plan(
        RouteRow("extension", "4154846048", "resource", "a"),
        RouteRow("extension", "123", "resource", "a", strip=1, prepend="9"),
        RouteRow("extension", "911", "resource", "a"),
        RouteRow("pattern", "_9X.", "resource", "a", strip=1),
        RouteRow("pattern", "_9X.", "resource", "b", 1),
        RouteRow("pattern", "_8X.", "resource", "a", strip=1),
        RouteRow("pattern", "_7X.", "device", "d", strip=1),
        blocked=("+14154846048",),
    )
    assert [found(n, rules).refusal for n in ("4154846048", "123", "911", "84154846048")] == [
        "blocked",
        "",
        "restricted",
        "blocked",
    ]
    assert hops("9911", rules) == [("b", "9911")]
    assert found("8911", rules).refusal == "restricted"
    assert found("7911", rules).number == "911"
    assert hops("9415484604", rules) == [("a", "415484604"), ("b", "9415484604")]


def test_a_table_must_be_a_route_table() -> None:
    class Other:
        def capsule(self) -> object:
            return object()

    with pytest.raises(ValueError, match="PyCapsule"):
        DialPlan.compile(table=Other())  # type: ignore[arg-type]
