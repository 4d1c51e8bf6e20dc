"""Ending a call by any id its caller knows, in every state, through the HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

IDS = ["planned Call-ID", "request id"]


async def _placed(engine: EngineUnderTest, alice: Sipp, **options: Any) -> dict[str, str]:
    """Ask for a call; return its ids by name."""
    device = await engine.device("alice", "1001", alice.uri)
    response = await engine.quickcall(device, "1002", method="GET", **options)
    assert response.status_code == 202, response.text
    (endpoint,) = response.json()["data"]["endpoints"]
    request_id = response.headers["x-request-id"]
    return {"planned Call-ID": endpoint["outbound_call_id"], "request id": request_id}


async def _delete(engine: EngineUnderTest, name: str) -> httpx.Response:
    return await engine.http.delete(f"/v2/accounts/{engine.account}/channels/{name}")


@pytest.mark.parametrize("by", IDS)
async def test_before_the_phone_has_said_anything(engine: EngineUnderTest, by: str) -> None:
    async with Sipp("uas-cancelled-before-ringing") as alice:
        ids = await _placed(engine, alice)
        assert (await _delete(engine, ids[by])).status_code == 202
        end = await engine.end()
        messages = await alice.succeeded()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert end["Hangup-Party"] == "local"
    assert [m.method for m in messages if m.method] == ["INVITE", "CANCEL", "ACK"]
    assert messages[0].header("Call-ID") == ids["planned Call-ID"]


@pytest.mark.parametrize("by", [*IDS, "Call-ID of B"])
async def test_while_the_second_phone_rings(engine: EngineUnderTest, by: str) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-no-answer") as bob:
        await engine.device("bob", "1002", bob.uri)
        ids = await _placed(engine, alice)
        await engine.event("CHANNEL_PROGRESS", count=2)
        ids["Call-ID of B"] = engine.legs()[1]
        response = await _delete(engine, ids[by])
        assert response.status_code == 202
        assert response.json()["data"]["msg_id"] == ids["request id"]
        end = await engine.end()
        await alice.succeeded()
        messages = await bob.succeeded()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert [m.method for m in messages if m.method] == ["INVITE", "CANCEL", "ACK"]
    for gone in ids.values():
        assert (await _delete(engine, gone)).status_code == 404


async def test_once_more_while_it_ends(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=50) as engine,
        Sipp("uas-silent", options=("-d", "1500")) as alice,
    ):
        ids = await _placed(engine, alice)
        for name in (*ids.values(), *ids.values()):
            # A phone that has said nothing cannot be cancelled yet (RFC 3261 9.1); it is given up
            # after 64*T1.
            assert (await _delete(engine, name)).status_code == 202
        await alice.succeeded()
        end = await engine.end()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert [event.name for event in engine.events].count("QUICKCALL_END") == 1


@pytest.mark.parametrize("by", IDS)
async def test_while_its_delay_runs(engine: EngineUnderTest, by: str) -> None:
    async with Sipp("uas-no-answer") as alice:
        ids = await _placed(engine, alice, endpoint_delay=3600, timeout=7200)
        channels = f"/v2/accounts/{engine.account}/channels"
        assert (await engine.http.get(channels)).json()["data"] == []
        response = await _delete(engine, ids[by])
        assert response.status_code == 202
        assert response.json()["data"]["msg_id"] == ids["request id"]
        end = await engine.end()
        await alice.never_called()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    assert [event.name for event in engine.events] == ["QUICKCALL_END"]


async def test_while_it_waits_for_another_to_be_tried_first(engine: EngineUnderTest) -> None:
    async with Sipp("uas-no-answer") as first, Sipp("uas-no-answer") as second:
        owner = await engine.user("Ann")
        for name, phone in (("first", first), ("second", second)):
            await engine.device(name, name, phone.uri, owner_id=owner)
        response = await engine.quickcall(
            owner, "1002", kind="users", dial_method="single", call_id="order-17", method="GET"
        )
        asked = response.json()["data"]
        assert asked["dial_endpoint_method"] == "single"
        assert asked["outbound_call_id"] == "order-17"
        rung = (await engine.event("CHANNEL_PROGRESS")).call_id
        assert rung == "order-17"
        planned = [endpoint["outbound_call_id"] for endpoint in asked["endpoints"]]
        assert planned == ["order-17", "order-17-2"]
        assert (await _delete(engine, "order-17-2")).status_code == 202
        end = await engine.end()
        phones = {"first": first, "second": second}
        tried = next(e["to_user"] for e in asked["endpoints"] if e["outbound_call_id"] == rung)
        messages = await phones.pop(tried).succeeded()
        (waiting,) = phones.values()
        await waiting.never_called()
    assert [m.method for m in messages if m.method] == ["INVITE", "CANCEL", "ACK"]
    assert messages[0].header("Call-ID") == "order-17"
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"


async def test_a_call_id_that_lives_is_not_taken_twice(engine: EngineUnderTest) -> None:
    async with Sipp("uas-no-answer") as alice, Sipp("uas-no-answer") as carol:
        device = await engine.device("alice", "1001", alice.uri)
        other_device = await engine.device("carol", "1003", carol.uri)
        assert (await _order(engine, device)).status_code == 202
        await engine.event("CHANNEL_PROGRESS")
        ours = engine.account
        refused = [await _order(engine, other_device)]
        other = await engine.put("/v2/accounts", {"name": "Other", "realm": "other.local"})
        engine.account = str(other["id"])
        theirs = await engine.device("bob", "1001", carol.uri)
        refused.append(await _order(engine, theirs))
        for response in refused:
            assert response.status_code == 409
            (why,) = response.json()["data"]["call_id"].values()
            assert "order-17" in why["message"]
            assert ours not in response.text
        assert (await _delete(engine, "order-17")).status_code == 404
        engine.account = ours
        assert (await _delete(engine, "order-17")).status_code == 202
        await engine.end()
        assert (await _order(engine, other_device)).status_code == 202
        await engine.event("CHANNEL_PROGRESS", count=2)
        assert (await _delete(engine, "order-17")).status_code == 202
        await engine.end(2)
        messages = [*await alice.succeeded(), *await carol.succeeded()]
    assert {message.header("Call-ID") for message in messages} == {"order-17"}
    records = (await engine.http.get(f"/v2/accounts/{ours}/cdrs")).json()["data"]
    assert [record["call_id"] for record in records] == ["order-17"] * 2
    assert len({record["id"] for record in records}) == 2


async def _order(engine: EngineUnderTest, device: str) -> httpx.Response:
    return await engine.quickcall(device, "1002", method="GET", call_id="order-17")
