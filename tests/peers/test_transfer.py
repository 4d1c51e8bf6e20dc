"""Transfers that real phones ask for: baresip blind ones, linphone an attended one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.kit.baresip import Baresip
from tests.kit.engine import GUARD_S, EngineUnderTest
from tests.kit.linphone import ENDED, RINGING, TALKING, Linphone

pytestmark = pytest.mark.sip


def _fragments(engine: EngineUnderTest, leg: int) -> list[str]:
    """Return what the NOTIFYs of a leg say of the transfer (RFC 3515 2.4.5)."""
    trace = engine.engine.trace(engine.legs()[leg])
    notifies = [message.text for message in trace if message.text.startswith("NOTIFY")]
    return [text.rstrip().rpartition("\r\n")[2] for text in notifies]


async def _notified(engine: EngineUnderTest, count: int) -> None:
    """Wait until the first leg has taken that many NOTIFYs; the trace tells nobody, so look."""
    async with asyncio.timeout(GUARD_S):
        while True:
            if engine.messages(0).count("200 OK (NOTIFY)") >= count:
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _phones(engine: EngineUnderTest) -> AsyncIterator[tuple[str, Baresip, Baresip]]:
    """Three devices, of which bob and carol are there; yields alice's id and the two phones."""
    # Packets are relayed as they are, so all of them must know the codec that alice chooses.
    media = {"audio": {"codecs": ["PCMU"]}}
    device = await engine.device("alice", "1001", media=media)
    await engine.device("bob", "1002")
    await engine.device("carol", "1003")
    registrar = engine.sip_address()
    async with Baresip("bob", registrar) as bob, Baresip("carol", registrar) as carol:
        yield device, bob, carol


async def _call(
    engine: EngineUnderTest, device: str, number: str, dialled: Baresip, alice: Baresip | Linphone
) -> None:
    """Have alice call somebody, and wait until the two talk."""
    bridged = [event.name for event in engine.events].count("CHANNEL_BRIDGE")
    quickcall = asyncio.create_task(engine.quickcall(device, number))
    await alice.answer()
    await dialled.answer()
    assert (await quickcall).status_code == 202
    await engine.event("CHANNEL_BRIDGE", count=bridged + 2)


async def _hears(hearing: Baresip, saying: Baresip) -> None:
    """Require that a digit one of them presses reaches the other."""
    await saying.press("5")
    assert (await hearing.event("CALL_DTMF_START"))["param"] == "5"
    await saying.release()


async def test_a_blind_transfer(engine: EngineUnderTest) -> None:
    async with (
        _phones(engine) as (device, bob, carol),
        Baresip("alice", engine.sip_address()) as alice,
    ):
        await _call(engine, device, "1002", bob, alice)
        await alice.command("transfer", "1003")
        await carol.event("CALL_INCOMING")
        # Told before she answers, or what comes later is told instead (one NOTIFY at a time).
        await _notified(engine, 2)
        await carol.command("accept")
        await alice.event("CALL_CLOSED")
        await engine.event("CHANNEL_BRIDGE", count=4)
        await _hears(carol, bob)
        await carol.command("hangup")
        await bob.event("CALL_CLOSED")
        await engine.end()
    a, b, c = (engine.names(leg) for leg in engine.legs())
    assert engine.messages(0)[4:8] == [
        "REFER",
        "202 Accepted (REFER)",
        "NOTIFY",
        "200 OK (NOTIFY)",
    ]
    assert _fragments(engine, 0) == [
        *("SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"),
    ]
    assert "CHANNEL_TRANSFEROR" in a
    assert b[3:7] == ["CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE", "CHANNEL_TRANSFEREE", "CHANNEL_BRIDGE"]
    assert "CHANNEL_BRIDGE" in c
    # Bob was neither called again nor put on hold.
    assert engine.messages(1).count("INVITE +SDP") == 1


async def test_a_blind_transfer_that_leads_nowhere(engine: EngineUnderTest) -> None:
    """The phone is told why; baresip then hangs up by itself."""
    async with (
        _phones(engine) as (device, bob, carol),
        Baresip("alice", engine.sip_address()) as alice,
    ):
        await _call(engine, device, "1002", bob, alice)
        await alice.command("transfer", "4711")
        failed = await alice.event("TRANSFER_FAILED")
        await bob.event("CALL_CLOSED")
        end = await engine.end()
        assert "CALL_INCOMING" not in carol.types()
    assert failed["param"] == "404 NO_ROUTE_DESTINATION"
    assert _fragments(engine, 0) == ["SIP/2.0 100 Trying", "SIP/2.0 404 NO_ROUTE_DESTINATION"]
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    cdrs = await engine.cdrs()
    assert [cdrs[leg]["hangup_party"] for leg in engine.legs()] == ["remote", "local"]


async def test_an_attended_transfer(engine: EngineUnderTest) -> None:
    """Refer-To names the second call by its Replaces (RFC 5589 7)."""
    async with (
        _phones(engine) as (device, bob, carol),
        Linphone("alice", engine.sip_address()) as alice,
    ):
        await _call(engine, device, "1002", bob, alice)
        await alice.state(TALKING)
        quickcall = asyncio.create_task(engine.quickcall(device, "1003"))
        await alice.state(RINGING, count=2)
        await alice.command("answer 2")
        await carol.answer()
        assert (await quickcall).status_code == 202
        await engine.event("CHANNEL_BRIDGE", count=4)
        await alice.command("call-transfer 1 2")
        await alice.state(ENDED, count=2)
        await engine.event("CHANNEL_BRIDGE", count=6)
        await _hears(carol, bob)
        await carol.command("hangup")
        await bob.event("CALL_CLOSED")
        await engine.end(count=2)
    first, b, second, c = (engine.names(leg) for leg in engine.legs())
    messages = engine.messages(0)
    # Answering the second call put the first one on hold.
    assert messages[5:10] == [
        *("INVITE +SDP", "200 OK (INVITE) +SDP", "ACK"),
        *("REFER", "202 Accepted (REFER)"),
    ]
    # The final NOTIFY comes before the BYE, after which the phone would not take it.
    assert _fragments(engine, 0) == ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]
    assert [word for word in messages if word in ("NOTIFY", "BYE")][:2] == ["NOTIFY", "NOTIFY"]
    assert not [word for word in messages if word.startswith("481")]
    assert "CHANNEL_HOLD" in first
    assert "CHANNEL_TRANSFEROR" in first
    assert "CHANNEL_REPLACED" in second
    assert b.count("CHANNEL_BRIDGE") == c.count("CHANNEL_BRIDGE") == 2
    assert "CHANNEL_TRANSFEREE" in b
    for leg in (1, 3):
        assert engine.messages(leg).count("INVITE +SDP") == 1
