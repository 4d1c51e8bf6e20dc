"""baresip, registered at the engine: as the phone that is rung, and as the one that is dialled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.kit.baresip import Baresip
from tests.kit.digit_phone import digits_told
from tests.kit.engine import REALM, EngineUnderTest
from tests.kit.kamailio import Kamailio
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

ANSWERED = ["INVITE +SDP", "180 Ringing (INVITE)", "200 Answering (INVITE) +SDP", "ACK"]
"""What a leg says until it is answered."""


@asynccontextmanager
async def _talking(engine: EngineUnderTest) -> AsyncIterator[tuple[Baresip, Baresip]]:
    """Two phones, alice and bob, that a quickcall has joined."""
    device = await engine.device("alice", "1001")
    await engine.device("bob", "1002")
    registrar = engine.sip_address()
    async with Baresip("alice", registrar) as alice, Baresip("bob", registrar) as bob:
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await alice.answer()
        await bob.answer()
        assert (await quickcall).status_code == 202
        await engine.event("CHANNEL_BRIDGE", count=2)
        yield alice, bob


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_it_registers_rings_and_answers(engine: EngineUnderTest, transport: str) -> None:
    device = await engine.device("alice", "1001")
    async with Baresip("alice", engine.sip_address(transport), transport=transport) as alice:
        quickcall = asyncio.create_task(engine.quickcall(device, "4711"))
        incoming = await alice.event("CALL_INCOMING")
        await engine.event("CHANNEL_PROGRESS")
        await alice.answer()
        await alice.event("CALL_CLOSED")
        await quickcall
        end = await engine.end()
    assert incoming["peerdisplayname"] == "Device QuickCall"
    assert incoming["peeruri"] == f"sip:4711@{REALM}"
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert engine.messages(0) == [*ANSWERED, "BYE", "200 OK (BYE)"]


async def test_it_answers_by_itself(engine: EngineUnderTest) -> None:
    """Its account says so: version 1.0 knows no header for it."""
    device = await engine.device("alice", "1001")
    async with Baresip("alice", engine.sip_address(), answer="auto"):
        # However busy the machine, it answers within that minute and the three seconds of grace.
        response = await engine.quickcall(device, "4711", auto_answer=True, answer_after=60)
        await engine.end()
    assert response.status_code == 202
    answered = (await engine.event("CHANNEL_ANSWER")).payload
    assert (answered["Auto-Answer-Applied"], answered["Auto-Answer-Honoured"]) == (True, True)
    assert engine.messages(0) == [*ANSWERED, "BYE", "200 OK (BYE)"]


async def test_it_declines(engine: EngineUnderTest) -> None:
    device = await engine.device("alice", "1001")
    async with Baresip("alice", engine.sip_address()) as alice:
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await alice.event("CALL_INCOMING")
        await alice.command("hangup")
        response = await quickcall
        end = await engine.end()
    assert response.json()["data"]["error_message"] == end["Hangup-Cause"] == "USER_BUSY"
    assert (end["Hangup-Code"], end["Hangup-Reason"]) == ("sip:486", "Rejected")
    assert engine.messages(0) == [*ANSWERED[:2], "486 Rejected (INVITE)", "ACK"]


async def test_it_is_given_up(engine: EngineUnderTest) -> None:
    device = await engine.device("alice", "1001")
    async with Baresip("alice", engine.sip_address()) as alice:
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await engine.event("CHANNEL_PROGRESS")
        await engine.http.delete(f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}")
        await alice.event("CALL_CLOSED")
        await quickcall
        end = await engine.end()
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"
    # 200 to the CANCEL and 487 to the INVITE may come in either order.
    messages = engine.messages(0)
    assert messages[:3] == [*ANSWERED[:2], "CANCEL"]
    assert sorted(messages[3:]) == ["200 OK (CANCEL)", "487 Request Terminated (INVITE)", "ACK"]


@pytest.mark.parametrize("first", ["alice", "bob"])
async def test_either_hangs_up(engine: EngineUnderTest, first: str) -> None:
    async with _talking(engine) as (alice, bob):
        hanging, hearing = (alice, bob) if first == "alice" else (bob, alice)
        await hanging.command("hangup")
        await hearing.event("CALL_CLOSED")
        end = await engine.end()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    for leg in (0, 1):
        assert engine.messages(leg) == [*ANSWERED, "BYE", "200 OK (BYE)"]
    cdrs = await engine.cdrs()
    sides = [cdrs[leg]["hangup_party"] for leg in engine.legs()]
    assert sides == (["remote", "local"] if first == "alice" else ["local", "remote"])


async def test_digits_are_heard_by_the_other(engine: EngineUnderTest) -> None:
    """RFC 4733 events pass the relay, also after the call was held and taken back."""
    async with _talking(engine) as (alice, bob):
        await _dial(alice, bob, "12#")
        await _dial(bob, alice, "90*")
        await alice.command("hold")
        # The engine's answer to each re-INVITE of hers.
        await alice.event("CALL_REMOTE_SDP", count=2)
        await alice.command("resume")
        await alice.event("CALL_REMOTE_SDP", count=3)
        await _dial(alice, bob, "5")
        await alice.command("hangup")
        await bob.event("CALL_CLOSED")
        await engine.end()
    assert digits_told(engine) == ["12#5", "90*"]
    held = ["INVITE +SDP", "200 OK (INVITE) +SDP", "ACK"]
    bye = ["BYE", "200 OK (BYE)"]
    assert engine.messages(0) == [*ANSWERED, *held, *held, *bye]
    assert engine.messages(1) == [*ANSWERED, *bye]
    names = [name for name in engine.names(engine.legs()[0]) if name != "DTMF"]
    assert names[3:6] == ["CHANNEL_BRIDGE", "CHANNEL_HOLD", "CHANNEL_UNHOLD"]


async def _dial(dialling: Baresip, hearing: Baresip, digits: str) -> None:
    """Send digits one by one, each when the other has heard the one before."""
    heard = hearing.types().count("CALL_DTMF_START")
    for count, digit in enumerate(digits, heard + 1):
        await dialling.press(digit)
        assert (await hearing.event("CALL_DTMF_START", count=count))["param"] == digit
        await dialling.release()
        await hearing.event("CALL_DTMF_END", count=count)


async def test_it_is_found_behind_the_proxy(tmp_path: Path) -> None:
    """A fork of Kamailio to baresip and SIPp; baresip answers."""
    async with (
        Kamailio() as proxy,
        EngineUnderTest(tmp_path, outbound_proxy=proxy.uri, trace=True) as engine,
    ):
        device = await engine.device("alice", "1001")
        await engine.device("bob", "1002")
        mobile = Sipp("uas-proxied-completed-elsewhere")
        await proxy.register("alice", mobile)
        async with (
            mobile,
            Baresip("alice", proxy.address) as alice,
            Baresip("bob", proxy.address) as bob,
        ):
            quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
            await alice.answer()
            await mobile.succeeded()
            await bob.answer()
            await engine.event("CHANNEL_BRIDGE", count=2)
            await _dial(alice, bob, "1")
            await alice.command("hold")
            await alice.event("CALL_REMOTE_SDP", count=2)
            await bob.command("hangup")
            await alice.event("CALL_CLOSED")
            await quickcall
            end = await engine.end()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
