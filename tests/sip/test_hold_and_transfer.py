"""Hold and transfer asked for through the HTTP API, as the phones see it."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def _act(engine: EngineUnderTest, name: str, **data: object) -> httpx.Response:
    path = f"/v2/accounts/{engine.account}/channels/{name}"
    return await engine.http.post(path, json={"data": data})


async def test_a_phone_is_held_and_talks_again(engine: EngineUnderTest) -> None:
    async with Sipp("uas-reoffer") as alice, Sipp("uas-answer") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", call_id="order-17")
        await engine.event("CHANNEL_BRIDGE", count=2)
        assert (await _act(engine, "order-17", action="hold")).status_code == 202
        held = await engine.event("CHANNEL_HOLD")
        assert (held.call_id, held.payload["Channel-Call-State"]) == ("order-17", "HELD")
        assert (await _act(engine, "order-17", action="unhold")).status_code == 202
        await engine.event("CHANNEL_UNHOLD", "order-17")
        await alice.succeeded()
        await bob.succeeded()
    assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"


async def test_a_phone_is_transferred(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-answer") as alice,
        Sipp("uas-answer") as bob,
        Sipp("uas-ring-answer") as carol,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.device("carol", "1003", carol.uri)
        await engine.quickcall(device, "1002", call_id="order-17")
        await engine.event("CHANNEL_BRIDGE", count=2)
        response = await _act(engine, "order-17", action="transfer", target="1003")
        assert response.status_code == 202, response.text
        leaving = await engine.event("CHANNEL_TRANSFEROR")
        assert leaving.payload["Transfer-To"] == "1003"
        await bob.succeeded()
        staying = await engine.event("CHANNEL_TRANSFEREE", "order-17")
        target = str(staying.payload["Target-Call-ID"])
        await engine.event("CHANNEL_BRIDGE", target)
        assert (await _act(engine, target, action="hangup")).status_code == 202
        await alice.succeeded()
        await carol.succeeded()
    assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"
    gone = await _act(engine, "order-17", action="hold")
    assert gone.status_code == 404
