"""Why a call ended, told to the phones and taken from them (RFC 3326)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.causes import reason_header
from tests.kit.engine import Document, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def call(engine: EngineUnderTest, rung: str, dialled: str) -> tuple[Document, str]:
    """Let one phone be rung and another dialled; return the end and the Reason the first got."""
    async with Sipp(rung) as alice, Sipp(dialled) as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await bob.succeeded()
        messages = await alice.succeeded()
    (bye,) = [message for message in messages if message.method == "BYE"]
    return end, bye.header("Reason")


@pytest.mark.parametrize(
    ("scenario", "cause", "status"),
    [
        ("uas-busy-486", "USER_BUSY", 486),
        ("uas-not-found-404", "UNALLOCATED_NUMBER", 404),
        ("uas-unavailable-480", "NO_USER_RESPONSE", 480),
    ],
)
async def test_the_rung_phone_hears_why_the_dialled_one_failed(
    engine: EngineUnderTest, scenario: str, cause: str, status: int
) -> None:
    end, reason = await call(engine, "uas-answer", scenario)
    assert (end["Hangup-Cause"], end["Hangup-Code"]) == (cause, f"sip:{status}")
    assert reason == reason_header(cause)


@pytest.mark.parametrize(
    ("honour", "cause"),
    [
        ("both", "USER_BUSY"),
        ("q850", "USER_BUSY"),
        ("sip", "USER_BUSY"),
        ("none", "NORMAL_CLEARING"),
    ],
)
async def test_the_reason_of_a_hang_up_counts_as_configured(
    tmp_path: Path, honour: str, cause: str
) -> None:
    async with EngineUnderTest(tmp_path, honour_remote_reason=honour) as engine:
        end, reason = await call(engine, "uas-answer", "uas-bye-reason")
        cdrs = await engine.cdrs()
    assert end["Hangup-Cause"] == cause
    assert {cdr["hangup_cause"] for cdr in cdrs.values()} == {cause}
    assert reason == reason_header(cause)


@pytest.mark.parametrize(
    ("honour", "cause"),
    [("both", "UNALLOCATED_NUMBER"), ("sip", "UNALLOCATED_NUMBER"), ("none", "NO_USER_RESPONSE")],
)
async def test_the_reason_of_a_refusal_counts_as_configured(
    tmp_path: Path, honour: str, cause: str
) -> None:
    async with (
        EngineUnderTest(tmp_path, honour_remote_reason=honour) as engine,
        Sipp("uas-refused-reason") as phone,
    ):
        device = await engine.device("alice", "1001", phone.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await phone.succeeded()
    assert (end["Hangup-Cause"], end["Hangup-Code"]) == (cause, "sip:480")


async def test_a_call_ends_when_it_has_lasted_long_enough(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, max_call_s=1) as engine,
        Sipp("uas-answer") as alice,
        Sipp("uas-ring-answer") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        heard = [await alice.succeeded(), await bob.succeeded()]
    assert end["Hangup-Cause"] == "ALLOTTED_TIMEOUT"
    for messages in heard:
        (bye,) = [message for message in messages if message.method == "BYE"]
        assert bye.header("Reason") == reason_header("ALLOTTED_TIMEOUT")
