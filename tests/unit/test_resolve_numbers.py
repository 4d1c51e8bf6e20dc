"""Blocked and restricted numbers, shared dial plans, route tables: on a real directory."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.values import EndpointType, Refusal
from engine.numbers.route_table import RouteRow, RouteTable
from engine.store.directory import SHARED
from tests.unit.test_resolve import House, cause, house

__all__ = ["house"]

EVERYTHING = r"^(.*)$"


def refusal(house: House, number: str, endpoint_id: str = "d1", kind: str = "device") -> str:
    """The cause before any INVITE, empty: there is none. It is that of the destination too."""
    found = house.resolver.refusal(house.request(endpoint_id, kind, number), number)
    if found is not None:
        assert house.dialled(number, endpoint_id, kind).refusal == found
        assert found.reason
    return found.cause if found else ""


def sent(house: House, number: str) -> list[tuple[str, str]]:
    """Carrier and user part of every contact, in hunt order."""
    return [
        (endpoint.id, contact.uri.removeprefix("sip:").partition("@")[0])
        for endpoint in house.dialled(number).endpoints
        for contact in endpoint.contacts
    ]


async def gateways(house: House, endpoint_id: str, *fields: dict[str, Any]) -> None:
    """A carrier without rules: only a route table leads to it."""
    listed = [{"server": f"192.0.2.{place}", **more} for place, more in enumerate(fields, 1)]
    await house.put("resource", {"name": endpoint_id, "gateways": listed}, endpoint_id)


# --- blocklists ---


@pytest.mark.parametrize("number", ["+14154846048", "4154846048", "14154846048", "415484604T"])
async def test_a_blocked_number_is_refused_in_every_spelling(house: House, number: str) -> None:
    await house.device("d1")
    await house.carrier("r1", EVERYTHING, 1, {"server": "192.0.2.1"})
    await house.put("blocklist", {"name": "Main", "numbers": {"(415) x": {}}}, "b0")
    await house.put("blocklist", {"name": "Main", "numbers": {"+14154846048": {}}}, "b1")
    assert refusal(house, number) == "NUMBER_BLOCKED"
    found = house.dialled(number)
    assert found.endpoints == ()
    assert "Main" in (found.refusal or Refusal("", "")).reason


async def test_a_blocked_extension_is_refused(house: House) -> None:
    await house.device("d1")
    await house.device("1002")
    assert refusal(house, "1002") == ""
    await house.put("blocklist", {"name": "Main", "numbers": {"1002": {}}}, "b1")
    assert refusal(house, "1002") == "NUMBER_BLOCKED"
    await house.directory.patch("blocklist", house.account, "b1", {"enabled": False})
    assert refusal(house, "1002") == ""


async def test_an_account_chooses_its_lists(house: House) -> None:
    await house.device("d1")
    await house.device("1002")
    await house.put("blocklist", {"name": "Main", "numbers": {"1002": {}}}, "b1")
    await house.directory.patch("account", house.account, house.account, {"blacklists": []})
    assert refusal(house, "1002") == ""
    await house.directory.patch("account", house.account, house.account, {"blacklists": ["b1"]})
    assert refusal(house, "1002") == "NUMBER_BLOCKED"


# --- restrictions ---


@pytest.mark.parametrize("number", ["911", "999", "19005550100", "+19005550100", "9005550100"])
async def test_emergency_and_premium_numbers_need_to_be_allowed(house: House, number: str) -> None:
    await house.device("d1")
    await house.carrier("r1", EVERYTHING, 1, {"server": "192.0.2.1"})
    assert refusal(house, number) == "OUTGOING_CALL_BARRED"
    allow = {"call_restriction": {name: {"action": "allow"} for name in ("emergency", "toll_us")}}
    await house.directory.patch("account", house.account, house.account, allow)
    assert refusal(house, number) == ""
    assert len(house.dialled(number).endpoints) == 1


async def test_the_nearest_level_that_decides_decides(house: House) -> None:
    def says(action: str) -> dict[str, Any]:
        return {"call_restriction": {"international": {"action": action}}}

    await house.put("user", {"first_name": "U"}, "u1")
    await house.device("d1", owner_id="u1")
    await house.carrier("r1", EVERYTHING, 1, {"server": "192.0.2.1"})
    number = "+442079460000"
    assert refusal(house, number) == ""
    await house.directory.patch("account", house.account, house.account, says("deny"))
    assert refusal(house, number) == refusal(house, number, "u1", "user") == "OUTGOING_CALL_BARRED"
    await house.directory.patch("user", house.account, "u1", says("allow"))
    assert refusal(house, number) == refusal(house, number, "u1", "user") == ""
    await house.directory.patch("device", house.account, "d1", says("inherit"))
    assert refusal(house, number) == ""
    await house.directory.patch("device", house.account, "d1", says("deny"))
    assert refusal(house, number) == "OUTGOING_CALL_BARRED"
    assert refusal(house, number, "u1", "user") == ""


async def test_an_extension_is_no_call_to_the_outside(house: House) -> None:
    await house.device("d1")
    await house.device("911")
    assert refusal(house, "911") == ""


@pytest.mark.parametrize(
    ("number", "gateway"),
    [
        ("11", {"prefix": "9"}),
        ("91", {"suffix": "1"}),
    ],
)
async def test_no_gateway_makes_a_forbidden_number_of_another(
    house: House, number: str, gateway: dict[str, Any]
) -> None:
    await house.device("d1")
    await gateways(house, "r1", gateway, {"prefix": "77"})
    house.table = RouteTable.compile([RouteRow("regex", r"^\+?\d+$", "resource", "r1")])
    assert sent(house, number) == [("r1", f"77{number}")]
    assert "'911' is refused by classifier emergency" in house.dialled(number).rule
    await house.put("resource", {"name": "r1", "gateways": [{"server": "x", **gateway}]}, "r1")
    assert refusal(house, number) == "OUTGOING_CALL_BARRED"


async def test_no_gateway_makes_a_blocked_number_of_another(house: House) -> None:
    await house.device("d1")
    await gateways(house, "r1", {"prefix": "1415"})
    house.table = RouteTable.compile([RouteRow("prefix", "555", "resource", "r1")])
    assert refusal(house, "5550100") == ""
    await house.put("blocklist", {"name": "Main", "numbers": {"+14155550100": {}}}, "b1")
    assert refusal(house, "5550100") == "NUMBER_BLOCKED"


# --- shared dial plans ---


async def test_shared_plans_come_after_own_rules_by_name(house: House) -> None:
    await house.carrier("r1", EVERYTHING, 1, {"server": "192.0.2.1"})
    await house.directory.put("dial_plan", SHARED, {r"^(\d)$": {"prefix": "B"}}, "b")
    plan = {r"^(\d)$": {"prefix": "A"}, r"^(\d\d)$": {"prefix": "A"}}
    await house.directory.put("dial_plan", SHARED, plan, "a")
    own = {"system": ["b", "a"], r"^(\d\d)$": {"prefix": "D"}}
    await house.device("d1", dial_plan=own)
    account = {"dial_plan": {r"^(\d+)$": {"prefix": "C"}}}
    await house.directory.patch("account", house.account, house.account, account)
    numbers = [house.dialled(number).number for number in ("1", "12", "123")]
    assert numbers == ["A1", "D12", "C123"]
    await house.directory.put("dial_plan", SHARED, {r"^(\d)$": {"prefix": "N"}}, "a")
    assert house.dialled("1").number == "N1"


# --- route tables ---


async def test_a_row_leads_to_a_carrier_and_its_gateways_in_order(house: House) -> None:
    await house.device("d1")
    await gateways(house, "r1", {}, {"enabled": False}, {"prefix": "00", "suffix": "#"})
    house.table = RouteTable.compile(
        [RouteRow("prefix", "4930", "resource", "r1", strip=2, prepend="0")]
    )
    assert sent(house, "+4930123456") == [("r1", "030123456"), ("r1", "00030123456%23")]
    assert cause(house.dialled("4931123456")) == "NO_ROUTE_DESTINATION"


async def test_a_hunt_goes_from_the_longest_prefix_by_priority_then_weight(house: House) -> None:
    await house.device("d1")
    for name in ("long", "first", "light", "heavy"):
        await gateways(house, name, {})
    house.table = RouteTable.compile(
        [
            RouteRow("prefix", "49", "resource", "light", priority=2, weight=1),
            RouteRow("prefix", "49", "resource", "heavy", priority=2, weight=3),
            RouteRow("prefix", "49", "resource", "first", priority=1),
            RouteRow("prefix", "4930", "resource", "long", priority=9),
        ]
    )
    house.draws = [2]
    assert [name for name, _ in sent(house, "4930123456")] == ["long", "first", "heavy", "light"]
    house.draws = [3]
    assert [name for name, _ in sent(house, "4930123456")] == ["long", "first", "light", "heavy"]


async def test_a_row_leads_to_a_device_or_a_user(house: House) -> None:
    await house.put("user", {"first_name": "U"}, "u1")
    await house.device("d1", owner_id="u1")
    await house.device("d2")
    house.table = RouteTable.compile(
        [
            RouteRow("pattern", "_7XX", "device", "d2"),
            RouteRow("prefix", "88", "user", "u1"),
            RouteRow("extension", "799", "device", "gone"),
        ]
    )
    assert [endpoint.id for endpoint in house.dialled("712").endpoints] == ["d2"]
    assert [endpoint.id for endpoint in house.dialled("8812").endpoints] == ["d1"]
    found = house.dialled("799")
    assert found.refusal == Refusal(
        "NO_ROUTE_DESTINATION",
        f"no route for 799: {found.rule.partition(': ')[0]}: no device 'gone'",
    )


async def test_carriers_that_are_gone_or_disabled_are_passed_over_with_a_word(
    house: House,
) -> None:
    await house.device("d1")
    for name in ("off", "on"):
        await gateways(house, name, {})
    await house.directory.patch("resource", house.account, "off", {"enabled": False})
    rows = [
        RouteRow("prefix", "49", "resource", name, priority=place)
        for place, name in enumerate(("gone", "off", "on"))
    ]
    house.table = RouteTable.compile(rows)
    found = house.dialled("4930")
    assert [endpoint.id for endpoint in found.endpoints] == ["on"]
    assert found.rule.endswith("passed over: carrier gone is not there, carrier off is disabled")
    await house.directory.delete("resource", house.account, "on")
    found = house.dialled("4930")
    assert cause(found) == "NO_ROUTE_DESTINATION"
    assert "carrier on is not there" in (found.refusal or Refusal("", "")).reason


async def test_a_new_table_is_seen_by_the_next_call(house: House) -> None:
    await house.device("d1")
    await gateways(house, "r1", {})
    assert cause(house.dialled("4930")) == "NO_ROUTE_DESTINATION"
    house.table = RouteTable.compile([RouteRow("prefix", "49", "resource", "r1")])
    assert sent(house, "4930") == [("r1", "4930")]
    house.table = None
    assert cause(house.dialled("4930")) == "NO_ROUTE_DESTINATION"


# --- what is compiled ---


async def test_only_what_has_changed_is_compiled_again(house: House) -> None:
    await house.device("d1")
    await house.carrier("r1", EVERYTHING, 1, {"server": "192.0.2.1"})
    await house.put("blocklist", {"name": "Main", "numbers": {"1": {}}}, "b1")
    first = house.plan_of("d1")
    await house.directory.patch("device", house.account, "d1", {"name": "New"})
    second = house.plan_of("d1")
    assert first is not None
    assert second is not None
    assert first is not second
    assert first.extensions is second.extensions
    assert first.blocked is second.blocked
    assert first.carriers is second.carriers
    await house.directory.patch("resource", house.account, "r1", {"weight_cost": 2})
    await house.directory.patch("blocklist", house.account, "b1", {"numbers": {"2": {}}})
    third = house.plan_of("d1")
    assert third is not None
    assert third.extensions is second.extensions
    assert third.blocked is not second.blocked
    assert third.carriers is not second.carriers
    await house.device("d2")
    fourth = house.plan_of("d1")
    assert fourth is not None
    assert fourth.extensions is not third.extensions
    assert fourth.carriers is third.carriers


async def test_parts_are_shared_by_the_plans_of_an_account(house: House) -> None:
    await house.device("d1")
    await house.device("d2", call_restriction={"did_us": {"action": "deny"}})
    plans = [house.plan_of(name) for name in ("d1", "d2")]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0] is not plans[1]
    assert plans[0].extensions is plans[1].extensions
    assert "did_us" in plans[1].denied


async def test_a_deleted_account_leaves_nothing_compiled(house: House) -> None:
    await house.device("d1")
    plan = house.plan_of("d1")
    await house.directory.delete("account", house.account, house.account)
    await house.directory.put("account", "", {"name": "A", "realm": "acme.test"}, house.account)
    await house.device("d1")
    assert house.plan_of("d1") is not plan


async def test_an_extension_too_long_to_be_dialled_keeps_no_other_from_it(house: House) -> None:
    long = {"caller_id": {"internal": {"number": "1" * 200}}}
    await house.device("d1", **long)
    await house.device("1002")
    assert [endpoint.id for endpoint in house.dialled("1002").endpoints] == ["1002"]


async def test_the_account_alone_has_a_plan(house: House) -> None:
    await house.device("1002", dial_plan={"^1$": {"prefix": "x"}})
    plan = house.plans.plan_for(house.account)
    assert plan is not None
    assert plan.rewrites == ()
    route = plan.match("1002")
    assert route is not None
    assert route.id == "1002"
    assert house.plans.plan_for(house.account, EndpointType.DEVICE, "1002") is not plan
