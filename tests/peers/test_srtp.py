"""SRTP with real phones: pjsua2, baresip and linphone, against each other and plain ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.phone.process import PhoneProcess
from tests.kit.baresip import Baresip
from tests.kit.engine import PASSWORD, REALM, EngineUnderTest
from tests.kit.linphone import TALKING, Linphone

pytestmark = pytest.mark.sip

TONE_A, TONE_B = 700, 1100
BARESIPS_TONE = 440
"""What tests/kit/baresip.py has it say."""

CM_80, CM_256, CM_32 = (
    "AES_CM_128_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
)


def media(enforced: bool | None = None, *suites: str) -> dict[str, Any]:
    """Return the media settings of a device; `enforced` None: in the clear."""
    encryption: dict[str, Any] = {"methods": [] if enforced is None else ["srtp"]}
    if enforced is not None:
        encryption["enforce_security"] = enforced
    if suites:
        encryption["suites"] = list(suites)
    return {"audio": {"codecs": ["PCMU"]}, "encryption": encryption}


async def softphone(engine: EngineUnderTest, user: str, tone: int, srtp: str) -> PhoneProcess:
    """Start a pjsua2 phone that registers and says a tone."""
    phone = await PhoneProcess.start(
        user,
        *("--user", user, "--realm", REALM, "--server", engine.sip_address()),
        *("--codec", "PCMU", "--tone", str(tone), "--srtp", srtp, "--answer", "always"),
        password=PASSWORD,
    )
    await phone.wait_for("registered")
    return phone


@pytest.mark.parametrize(
    ("alice", "bob", "alices_phone", "bobs_phone"),
    [
        (media(True), media(), "mandatory", "off"),
        (media(True, CM_256), media(True, CM_80), "mandatory", "mandatory"),
        (media(False, CM_32), media(True, CM_80), "optional", "mandatory"),
        (media(False), media(False), "off", "optional"),
    ],
    ids=["secure and plain", "both secure", "best effort taken", "best effort refused"],
)
async def test_two_phones_hear_each_other(
    engine: EngineUnderTest,
    alice: dict[str, Any],
    bob: dict[str, Any],
    alices_phone: str,
    bobs_phone: str,
) -> None:
    device = await engine.device("alice", "1001", media=alice)
    await engine.device("bob", "1002", media=bob)
    async with (
        await softphone(engine, "alice", TONE_A, alices_phone) as one,
        await softphone(engine, "bob", TONE_B, bobs_phone) as two,
    ):
        response = await engine.quickcall(device, "1002")
        assert response.status_code == 202, response.text
        for phone in (one, two):
            await phone.wait_for("hearing")
        await one.stop()
        end = await engine.end()
        assert end["Hangup-Cause"] == "NORMAL_CLEARING"
        assert (await one.wait_for("heard"))["freq"] == TONE_B
        assert (await two.wait_for("heard"))["freq"] == TONE_A


async def test_a_phone_without_srtp_is_no_destination_for_a_mandatory_leg(
    engine: EngineUnderTest,
) -> None:
    device = await engine.device("alice", "1001", media=media(True))
    async with await softphone(engine, "alice", TONE_A, "off"):
        response = await engine.quickcall(device, "1002")
        end = await engine.end()
    assert response.json()["data"]["error_message"] == "INCOMPATIBLE_DESTINATION"
    assert (end["Hangup-Cause"], end["Hangup-Code"]) == ("INCOMPATIBLE_DESTINATION", "sip:488")


async def test_baresip_without_srtp_is_none_either(engine: EngineUnderTest) -> None:
    device = await engine.device("alice", "1001", media=media(True))
    async with Baresip("alice", engine.sip_address()):
        await engine.quickcall(device, "1002")
        end = await engine.end()
    assert (end["Hangup-Cause"], end["Hangup-Code"]) == ("INCOMPATIBLE_DESTINATION", "sip:488")


async def test_baresip_in_srtp_talks_to_a_plain_phone_also_after_a_hold(
    engine: EngineUnderTest,
) -> None:
    device = await engine.device("alice", "1001", media=media(True))
    await engine.device("bob", "1002", media=media())
    async with (
        Baresip("alice", engine.sip_address(), media=";mediaenc=srtp-mand") as alice,
        await softphone(engine, "bob", TONE_B, "off") as bob,
    ):
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await alice.answer()
        assert (await quickcall).status_code == 202
        await engine.event("CHANNEL_BRIDGE", count=2)
        await bob.wait_for("hearing")
        await alice.command("hold")
        await engine.event("CHANNEL_HOLD")
        await alice.command("resume")
        await engine.event("CHANNEL_UNHOLD")
        await alice.press("5")
        digit = (await engine.event("DTMF")).payload
        await alice.release()
        await alice.command("hangup")
        await engine.end()
        assert (await bob.wait_for("heard"))["freq"] == BARESIPS_TONE
    assert digit["DTMF-Digit"] == "5"


async def test_linphone_and_baresip_in_srtp_with_different_suites(engine: EngineUnderTest) -> None:
    device = await engine.device("alice", "1001", media=media(True, CM_256))
    await engine.device("bob", "1002", media=media(True, CM_32))
    registrar = engine.sip_address()
    async with (
        Linphone("alice", registrar, srtp=True) as alice,
        Baresip("bob", registrar, media=";mediaenc=srtp-mand") as bob,
    ):
        quickcall = asyncio.create_task(engine.quickcall(device, "1002"))
        await alice.answer()
        await bob.answer()
        assert (await quickcall).status_code == 202
        await engine.event("CHANNEL_BRIDGE", count=2)
        await alice.state(TALKING)
        await alice.command("dtmf 5")
        await bob.event("CALL_DTMF_START")
        await bob.press("7")
        await alice.hears("7")
        await bob.release()
        await alice.command("call-pause")
        await alice.state("LinphoneCallPaused")
        await alice.command("call-resume 1")
        await alice.state(TALKING, count=2)
        await alice.command("dtmf #")
        await bob.event("CALL_DTMF_START", count=2)
        await alice.command("terminate")
        await bob.event("CALL_CLOSED")
        await engine.end()
    digits = [event["param"] for event in bob.events if event["type"] == "CALL_DTMF_START"]
    assert digits == ["5", "#"]
    suites = [(await engine.event("CHANNEL_ANSWER", count=count)).payload for count in (1, 2)]
    assert [payload["Media-Encryption"] for payload in suites] == [CM_256, CM_32]
