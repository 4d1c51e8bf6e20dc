"""Garbage on the wire while a call is up: the call lives, nothing leaks, the engine goes on."""

from __future__ import annotations

import pytest

from tests.kit.datagrams import send_storm
from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def test_a_storm_of_malformed_datagrams(engine: EngineUnderTest) -> None:
    host, _, port = engine.sip_address().rpartition(":")
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-ring-answer") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.event("CHANNEL_BRIDGE", count=2)
        await send_storm((host, int(port)), 2000)
        assert len(engine.engine.channels(engine.account)) == 2
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"
        await alice.succeeded()
        await bob.succeeded()
    assert len(engine.legs()) == 2


async def test_calls_go_on_after_a_storm(engine: EngineUnderTest) -> None:
    host, _, port = engine.sip_address().rpartition(":")
    await send_storm((host, int(port)), 1000, seed=7)
    async with Sipp("uas-busy-486", calls=3) as alice:
        device = await engine.device("alice", "1001", alice.uri)
        for number in range(3):
            response = await engine.quickcall(device, "1002")
            assert response.json()["data"]["error_message"] == "USER_BUSY"
            await engine.end(count=number + 1)
        await alice.succeeded()


async def test_a_strangers_call_is_refused_without_a_leg(engine: EngineUnderTest) -> None:
    async with Sipp("uac-invite-refused", remote=engine.sip_address()) as stranger:
        await stranger.succeeded()
    assert engine.events == []
    assert engine.engine.stats().legs == 0
