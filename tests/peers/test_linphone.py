"""linphone, registered at the engine, talking to baresip."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.kit.baresip import Baresip
from tests.kit.digit_phone import digits_told
from tests.kit.engine import EngineUnderTest
from tests.kit.linphone import ENDED, RINGING, TALKING, Linphone

pytestmark = pytest.mark.sip

ASKED = "The caller asked to automatically answer the call"
"""What liblinphone logs when it has understood Call-Info: answer-after."""

ANSWERED = ["INVITE +SDP", "100 Trying (INVITE)", "180 Ringing (INVITE)", "200 Ok (INVITE) +SDP"]
BYE = ["BYE", "200 Ok (BYE)"]


@asynccontextmanager
async def _talking(engine: EngineUnderTest) -> AsyncIterator[tuple[Linphone, Baresip]]:
    """Alice's linphone and bob's baresip, joined by a quickcall."""
    # Packets are relayed as they are, so the first phone must choose a codec the other knows too.
    media = {"audio": {"codecs": ["PCMU"]}}
    device = await engine.device("alice", "1001", media=media)
    await engine.device("bob", "1002")
    registrar = engine.sip_address()
    async with Linphone("alice", registrar) as alice, Baresip("bob", registrar) as bob:
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await alice.answer()
        await bob.answer()
        assert (await quickcall).status_code == 202
        await engine.event("CHANNEL_BRIDGE", count=2)
        yield alice, bob


@pytest.mark.parametrize("auto_answer", [True, False])
async def test_it_registers_with_any_digest_and_answers(tmp_path: Path, auto_answer: bool) -> None:
    """It is offered SHA-256 and MD5, and told by Call-Info whether to answer by itself."""
    async with EngineUnderTest(tmp_path, trace=True) as engine:
        device = await engine.device("alice", "1001")
        async with Linphone("alice", engine.sip_address(), auto_answer=auto_answer) as alice:
            quickcall = asyncio.create_task(
                engine.quickcall(device, "4711", auto_answer=auto_answer, answer_after=60)
            )
            if not auto_answer:
                await alice.answer()
            assert (await quickcall).status_code == 202
            end = await engine.end()
            await alice.state(ENDED)
            asked = ASKED in alice.log()
        assert asked is auto_answer
        assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
        assert alice.states()[0] == RINGING
        answered = (await engine.event("CHANNEL_ANSWER")).payload
        assert answered.get("Auto-Answer-Honoured", False) is auto_answer
        ringing = [] if auto_answer else ["180 Ringing (INVITE)"]
        assert engine.messages(0) == [*ANSWERED[:2], *ringing, *ANSWERED[3:], "ACK", *BYE]


async def test_it_declines(engine: EngineUnderTest) -> None:
    device = await engine.device("alice", "1001")
    async with Linphone("alice", engine.sip_address()) as alice:
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await alice.state(RINGING)
        await alice.command("terminate")
        await quickcall
        end = await engine.end()
    assert (end["Hangup-Cause"], end["Hangup-Code"]) == ("CALL_REJECTED", "sip:603")
    assert engine.messages(0) == [*ANSWERED[:3], "603 Decline (INVITE)", "ACK"]


@pytest.mark.parametrize("first", ["alice", "bob"])
async def test_either_hangs_up(engine: EngineUnderTest, first: str) -> None:
    async with _talking(engine) as (alice, bob):
        if first == "alice":
            await alice.command("terminate")
            await bob.event("CALL_CLOSED")
        else:
            await bob.command("hangup")
            await alice.state(ENDED)
        end = await engine.end()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    bye = "200 OK (BYE)" if first == "alice" else "200 Ok (BYE)"
    assert engine.messages(0) == [*ANSWERED, "ACK", "BYE", bye]
    cdrs = await engine.cdrs()
    sides = [cdrs[leg]["hangup_party"] for leg in engine.legs()]
    assert sides == (["remote", "local"] if first == "alice" else ["local", "remote"])


async def test_digits_pass_also_after_a_hold(engine: EngineUnderTest) -> None:
    """RFC 4733 events pass the relay both ways."""
    async with _talking(engine) as (alice, bob):
        await alice.state(TALKING)
        await alice.command("dtmf 5")
        await bob.event("CALL_DTMF_START", count=1)
        await bob.press("7")
        await alice.hears("7")
        await bob.release()
        await alice.command("call-pause")
        await alice.state("LinphoneCallPaused")
        await alice.command("call-resume 1")
        await alice.state(TALKING, count=2)
        await alice.command("dtmf #")
        await bob.event("CALL_DTMF_START", count=2)
        # Without sound of its own it sends no end of the event.
        await engine.event("DTMF", count=3)
        await alice.command("terminate")
        await bob.event("CALL_CLOSED")
        await engine.end()
    digits = [event["param"] for event in bob.events if event["type"] == "CALL_DTMF_START"]
    assert digits == ["5", "#"]
    assert digits_told(engine) == ["5#", "7"]
    held = ["INVITE +SDP", "200 OK (INVITE) +SDP", "ACK"]
    bye = ["BYE", "200 OK (BYE)"]
    assert engine.messages(0) == [*ANSWERED, "ACK", *held, *held, *bye]
    names = [name for name in engine.names(engine.legs()[0]) if name != "DTMF"]
    assert names[3:6] == ["CHANNEL_BRIDGE", "CHANNEL_HOLD", "CHANNEL_UNHOLD"]
