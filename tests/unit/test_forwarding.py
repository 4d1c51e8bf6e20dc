"""Call forward, and what else of a document decides who rings: on a real directory."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.values import CallerId, Endpoint
from tests.unit.test_resolve import House, house

__all__ = ["house"]

CARRIER = {"server": "192.0.2.3"}
EXTERNAL = {"external": {"name": "Acme", "number": "+14155550100"}}


def away(number: str, **fields: Any) -> dict[str, Any]:
    return {"enabled": True, "number": number, **fields}


def ways(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [contact.uri for endpoint in endpoints for contact in endpoint.contacts]


async def forwarding(house: House, **fields: Any) -> None:
    """Device d1 is registered and forwards to a number that two carriers take."""
    await house.device("d1", call_forward=away("0123456", **fields), caller_id=EXTERNAL)
    house.bind("d1", "sip:d1@192.0.2.1")
    await house.carrier("r1", r"^0(\d{6})$", 1, CARRIER, {"server": "192.0.2.4"})
    await house.carrier("r2", r"^0(\d{6})$", 2, {"server": "192.0.2.5"})


async def test_a_forward_takes_the_place_of_the_device(house: House) -> None:
    await forwarding(house)
    (endpoint,) = house.rung("d1")
    assert (endpoint.kind, endpoint.id, endpoint.number) == ("resource", "r1", "123456")
    assert ways((endpoint, *endpoint.fallbacks)) == [
        "sip:123456@192.0.2.3",
        "sip:123456@192.0.2.4",
        "sip:123456@192.0.2.5",
    ]
    assert endpoint.diversions == ("<sip:+14155550100@acme.test>;reason=unconditional;counter=1",)
    assert [e.forwarded_by for e in (endpoint, *endpoint.fallbacks)] == ["d1"] * 3
    assert endpoint.shown is None
    assert endpoint.ignore_early_media is True
    # Who is dialled sees who forwarded, not the carrier.
    assert endpoint.caller_id == CallerId("Acme", "+14155550100")


async def test_a_forward_may_stand_beside_the_device_and_show_its_caller_id(house: House) -> None:
    await forwarding(house, substitute=False, keep_caller_id=False)
    phone, carrier = house.rung("d1")
    assert (ways((phone,)), phone.forwarded_by) == (["sip:d1@192.0.2.1"], "")
    assert carrier.shown == CallerId("Acme", "+14155550100")


async def test_a_forward_to_an_extension_goes_no_further(house: House) -> None:
    await house.device("d1", call_forward=away("d2"))
    await house.device("d2", call_forward=away("d1"))
    house.bind("d1", "sip:d1@192.0.2.1")
    house.bind("d2", "sip:d2@192.0.2.2")
    (endpoint,) = house.rung("d1")
    assert (endpoint.id, endpoint.forwarded_by) == ("d2", "d1")
    assert ways((endpoint,)) == ["sip:d2@192.0.2.2"]
    assert endpoint.diversions == ("<sip:d1@acme.test>;reason=unconditional;counter=1",)
    assert [e.id for e in house.dialled("d1", "d2").endpoints] == ["d2"]


async def test_a_forward_of_a_user_counts_once_for_devices_without_their_own(house: House) -> None:
    user = {"first_name": "U", "last_name": "X", "call_forward": away("d9", substitute=False)}
    await house.put("user", user, "u1")
    for device in ("d1", "d2"):
        await house.device(device, owner_id="u1")
    await house.device("d3", owner_id="u1", call_forward=away("d8"))
    for device in ("d8", "d9"):
        await house.device(device)
    found = [(e.id, e.forwarded_by) for e in house.rung("u1", "user")]
    assert found == [("d1", ""), ("d9", "d1"), ("d2", ""), ("d8", "d3")]


@pytest.mark.parametrize("substitute", [True, False])
async def test_nobody_is_called_whom_the_device_may_not_call(
    house: House, *, substitute: bool
) -> None:
    await forwarding(house, substitute=substitute)
    await house.put("blocklist", {"name": "Main", "numbers": {"0123456": {}}}, "b1")
    endpoints = house.rung("d1")
    assert [e.id for e in endpoints] == ["d1"]
    assert ways(endpoints) == ([] if substitute else ["sip:d1@192.0.2.1"])


@pytest.mark.parametrize(
    "changes",
    [{"enabled": False}, {"do_not_disturb": {"enabled": True}}],
)
async def test_what_may_not_ring_forwards_nothing(house: House, changes: dict[str, Any]) -> None:
    await forwarding(house)
    await house.directory.patch("device", house.account, "d1", changes)
    assert house.rung("d1") == ()


async def test_a_user_who_wants_no_calls_gets_none(house: House) -> None:
    user = {"first_name": "U", "last_name": "X", "do_not_disturb": {"enabled": True}}
    await house.put("user", user, "u1")
    await house.device("d1", owner_id="u1")
    assert house.rung("u1", "user") == house.rung("d1") == ()


async def test_a_forward_that_is_off_changes_nothing(house: House) -> None:
    await forwarding(house)
    await house.directory.patch("device", house.account, "d1", {"call_forward": {"enabled": False}})
    assert ways(house.rung("d1")) == ["sip:d1@192.0.2.1"]


# --- other fields ---


async def test_a_device_says_how_it_is_rung(house: House) -> None:
    sip = {"ignore_completed_elsewhere": True, "number": "+14155550123", "static_route": "line1"}
    await house.device("d1", sip=sip, media={"progress_timeout": 7})
    (endpoint,) = house.rung("d1")
    assert endpoint.ignore_completed_elsewhere is True
    assert (endpoint.number, endpoint.request_user) == ("+14155550123", "line1")
    assert endpoint.progress_timeout == 7.0
    assert endpoint.may_auto_answer is True
    await house.directory.patch(
        "account", house.account, house.account, {"allow_auto_answer": False}
    )
    assert house.rung("d1")[0].may_auto_answer is False


async def test_a_gateway_says_how_it_is_asked(house: House) -> None:
    await house.device("d1")
    gateway = {**CARRIER, "sip_cid_type": "pid", "progress_timeout": 4}
    await house.carrier("r1", r"^(\d{6})$", 1, gateway, CARRIER)
    asked, plain = house.dialled("123456").endpoints
    assert (asked.cid_type, asked.progress_timeout) == ("pid", 4.0)
    assert (plain.cid_type, plain.progress_timeout) == ("rpid", None)


async def test_a_device_that_is_reached_through_another_address(house: House) -> None:
    sip = {"invite_format": "forward", "forward": "pbx.test:5070", "proxy": "edge.test"}
    await house.device("d1", sip=sip)
    house.bind("d1", "sip:d1@192.0.2.1")
    (endpoint,) = house.rung("d1")
    assert (ways((endpoint,)), endpoint.proxy) == (["sip:d1@acme.test"], "pbx.test:5070")
