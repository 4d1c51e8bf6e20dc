"""Calls that go on to somebody else, on the wire."""

from __future__ import annotations

import pytest

from tests.kit.engine import REALM, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

NUMBER = "4930123456"
EXTERNAL = {"external": {"name": "Alice Away", "number": "4930999"}}


def away(number: str, **fields: object) -> dict[str, object]:
    return {"enabled": True, "number": number, **fields}


async def test_a_carrier_is_rung_instead_of_the_device(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as desk,
        Sipp("uas-carrier-answer") as carrier,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        device = await engine.device(
            *("alice", "1001", desk.uri), call_forward=away(NUMBER), caller_id=EXTERNAL
        )
        await engine.device("bob", "1002", bob.uri)
        await engine.carrier(carrier)
        await engine.quickcall(device, "1002", auto_answer="force")
        end = await engine.end()
        to_carrier = (await carrier.succeeded())[0]
        to_bob = (await bob.succeeded())[0]
        await desk.never_called()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert to_carrier.request_uri == f"sip:{NUMBER}@{carrier.address}"
    diversion = f"<sip:4930999@{REALM}>;reason=unconditional;counter=1"
    assert to_carrier.header("Diversion") == diversion
    # The caller id is kept on the way to the carrier; who is dialled sees who forwarded.
    assert to_carrier.header("From").startswith('"Device QuickCall" <sip:1002@')
    assert to_bob.header("From").startswith('"Alice Away" <sip:4930999@')
    assert to_bob.headers("Diversion") == []
    variables = (await engine.cdrs())[engine.legs()[0]]["custom_channel_vars"]
    assert (variables["call_forward"], variables["authorizing_id"]) == ("true", device)


async def test_device_and_forward_ring_at_once(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-completed-elsewhere") as desk,
        Sipp("uas-ring-answer") as mobile,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        forward = away("1003", substitute=False, keep_caller_id=False)
        device = await engine.device(
            *("alice", "1001", desk.uri), call_forward=forward, caller_id=EXTERNAL
        )
        await engine.device("bob", "1002", bob.uri)
        # Whom a call is forwarded to forwards it no further.
        await engine.device("carol", "1003", mobile.uri, call_forward=away("1001"))
        await engine.quickcall(device, "1002", auto_answer=True)
        end = await engine.end()
        await desk.succeeded()
        to_mobile = (await mobile.succeeded())[0]
        await bob.succeeded()
    assert sorted(a["Cause"] for a in end["Attempts"]) == ["LOSE_RACE", "SUCCESS", "SUCCESS"]
    assert to_mobile.header("From").startswith('"Alice Away" <sip:4930999@')
    assert to_mobile.header("Diversion").startswith(f"<sip:4930999@{REALM}>;reason=unconditional")


async def test_a_dialled_extension_forwards_too(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer") as bob,
        Sipp("uas-carrier-answer") as carrier,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri, call_forward=away(NUMBER))
        await engine.carrier(carrier)
        await engine.quickcall(device, "1002")
        await engine.event("CHANNEL_BRIDGE", count=2)
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        await engine.end()
        await alice.succeeded()
        to_carrier = (await carrier.succeeded())[0]
        await bob.never_called()
    assert to_carrier.header("From").startswith('"Alice" <sip:1001@')
    assert to_carrier.header("Diversion").startswith(f"<sip:1002@{REALM}>;")


async def test_nobody_is_rung_where_the_device_may_not_call(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as desk, Sipp("uas-carrier-answer") as carrier:
        device = await engine.device("alice", "1001", desk.uri, call_forward=away(NUMBER))
        await engine.carrier(carrier)
        await engine.put("blocklists", {"name": "Main", "numbers": {NUMBER: {}}})
        await engine.quickcall(device, "1002")
        assert (await engine.end())["Hangup-Cause"] == "DESTINATION_OUT_OF_ORDER"
        await desk.never_called()
        await carrier.never_called()


async def test_the_next_carrier_is_asked_when_the_first_cannot(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-service-unavailable-503") as first,
        Sipp("uas-carrier-answer") as second,
    ):
        device = await engine.device("alice", "1001", call_forward=away(NUMBER))
        await engine.carrier(first, weight=10)
        await engine.carrier(second, weight=20)
        await engine.quickcall(device, "no-such-number")
        end = await engine.end()
        await first.succeeded()
        to_second = (await second.succeeded())[0]
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert [a["Cause"] for a in end["Attempts"]] == ["NORMAL_TEMPORARY_FAILURE", "SUCCESS"]
    assert to_second.header("Diversion").startswith(f"<sip:1001@{REALM}>;")
