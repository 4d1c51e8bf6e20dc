"""Damaged requests to the listeners and damaged responses to INVITEs, with calls going on."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.hostile_phone import HostilePhone
from tests.kit.mutations import mutated
from tests.kit.raw_sip import RawSip
from tests.kit.sipp import Sipp
from tests.torture.messages import message, names

pytestmark = pytest.mark.sip

CALLS = 40


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_damaged_requests_leave_calls_alone(engine: EngineUnderTest, transport: str) -> None:
    dice = random.Random(4475)
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-ring-answer") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.event("CHANNEL_BRIDGE", count=2)
        for name in names():
            for _ in range(20 if transport == "udp" else 4):
                async with RawSip(transport, engine.sip_address(transport)) as sender:
                    await sender.send(mutated(dice, message(name, sender.via, transport)))
        async with RawSip("udp", engine.sip_address()) as sender:
            assert await sender.ping() == 200
        assert len(engine.engine.channels(engine.account)) == 2
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"
        await alice.succeeded()
        await bob.succeeded()


@pytest.mark.parametrize("seed", [1, 2])
async def test_damaged_responses_end_each_call_once(tmp_path: Path, seed: int) -> None:
    """Whatever such a phone makes of its calls, each ends once, and nothing of it is left."""
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=50) as engine,
        HostilePhone(seed, damaged=30) as phone,
        Sipp("uas-load-answer-bye", calls=1000, options=("-d", "200")) as bob,
    ):
        device = await engine.device("alice", "1001", phone.uri)
        await engine.device("bob", "1002", bob.uri)
        requests = [
            asyncio.create_task(engine.quickcall(device, "1002", method="GET", timeout=3))
            for _ in range(CALLS)
        ]
        responses = await asyncio.gather(*requests)
        assert {response.status_code for response in responses} == {202}
        await engine.end(count=CALLS)
        assert phone.calls >= CALLS
        assert [event.name for event in engine.events].count("QUICKCALL_END") == CALLS
        for call_id in engine.legs():
            assert engine.names(call_id).count("CHANNEL_DESTROY") == 1
        assert set(await engine.cdrs()) == set(engine.legs())
