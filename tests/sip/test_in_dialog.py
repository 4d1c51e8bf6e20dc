"""What a phone does inside a call, through the whole engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def _talking(engine: EngineUnderTest, alice: Sipp, bob: Sipp) -> None:
    """Have a quickcall ring `alice` and connect her with `bob`."""
    device = await engine.device("alice", "1001", alice.uri)
    await engine.device("bob", "1002", bob.uri)
    await engine.quickcall(device, "1002")
    await engine.event("CHANNEL_BRIDGE", count=2)


async def test_a_phone_transfers_and_hears_how_it_goes(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-refer-and-stay") as bob,
        Sipp("uas-ring-answer") as carol,
    ):
        await engine.device("carol", "1003", carol.uri)
        await _talking(engine, alice, bob)
        messages = await bob.succeeded()
        await engine.event("CHANNEL_BRIDGE", count=4)
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        await engine.end()
        await alice.succeeded()
        to_carol = (await carol.succeeded())[0]
    fragments = [message.body.strip() for message in messages if message.method == "NOTIFY"]
    assert fragments[0] == "SIP/2.0 100 Trying"
    assert fragments[-1].startswith("SIP/2.0 200")
    assert to_carol.request_uri == carol.uri


async def test_a_phone_may_not_transfer_when_the_engine_says_so(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, allow_transfer=False) as engine,
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-refer-refused") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await bob.succeeded()
        await alice.succeeded()
        await engine.end()
    assert len(engine.legs()) == 2


async def test_a_bye_says_why(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-bye-reason") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.end()
        await bob.succeeded()
        (bye,) = [message for message in await alice.succeeded() if message.method == "BYE"]
    cdr = (await engine.cdrs())[engine.legs()[1]]
    assert cdr["hangup_cause"] == "USER_BUSY"
    assert "cause=17" in bye.header("Reason")
