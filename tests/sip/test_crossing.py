"""Hang-ups that cross what the phone sends: whatever it answers, nothing of the call is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.engine import Document, EngineUnderTest
from tests.kit.ladder import told, wire
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

QUICK_T1 = 50
"""T1 in milliseconds where a test waits for 64*T1: 3.2 s instead of 32."""

SDP = "Content-Type: application/sdp"
MEDIA = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
AUDIO = "m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
ANSWERS = {
    "valid": (SDP, MEDIA + AUDIO.format(port=40000)),
    "without": ("Allow: INVITE, ACK, BYE, CANCEL", ""),
    "broken": (SDP, "v=0\r\no=never finished\r\nm=audio\r\nc="),
    "no-audio": (SDP, MEDIA + "m=video 40000 RTP/AVP 31\r\n"),
    "rejected-audio": (SDP, MEDIA + AUDIO.format(port=0)),
    "other-type": ("Content-Type: text/plain", "v=0, but this is no SDP\r\n"),
    "empty": (SDP, ""),
}
"""What a 200 may carry: a header line and the body."""


def answering(scenario: str, answer: str) -> Sipp:
    """Return a phone whose 200 carries the named answer."""
    describing, body = ANSWERS[answer]
    return Sipp(scenario, keys={"describing": describing, "body": body})


async def hang_up(engine: EngineUnderTest) -> int:
    """Hang up the first leg through the API and return the status."""
    path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
    return (await engine.http.delete(path)).status_code


async def ring(engine: EngineUnderTest, alice: Sipp, awaited: str = "CHANNEL_PROGRESS") -> None:
    """Start a quickcall of Alice's phone and wait until the event says how far it is."""
    device = await engine.device("alice", "1001", alice.uri)
    assert (await engine.quickcall(device, "1002", method="GET")).status_code == 202
    await engine.event(awaited)


async def ended_once(engine: EngineUnderTest, cause: str) -> Document:
    """Require one terminal event with this cause, one end and one CDR of each leg; return it."""
    end = await engine.end()
    assert end["Hangup-Cause"] == cause
    assert [event.name for event in engine.events].count("QUICKCALL_END") == 1
    for call_id in engine.legs():
        assert engine.names(call_id).count("CHANNEL_DESTROY") == 1
    assert set(await engine.cdrs()) == set(engine.legs())
    return end


async def test_the_cancel_waits_for_the_first_provisional(engine: EngineUnderTest) -> None:
    async with Sipp("uas-late-ringing", options=("-d", "2500")) as alice:
        await ring(engine, alice, "CHANNEL_CREATE")
        assert await hang_up(engine) == 202
        messages = await alice.succeeded()
        await ended_once(engine, "ORIGINATOR_CANCEL")
    assert wire(messages) == ["INVITE <", "180 >", "CANCEL <", "200 >", "487 >", "ACK <"]
    invite, cancels = told(messages, "INVITE")[0], told(messages, "CANCEL")
    # RFC 3261 9.1: the branch of the INVITE, or no phone finds what it is about.
    assert {cancel.header("Via") for cancel in cancels} == {invite.header("Via")}
    assert cancels[0].header("CSeq") == invite.header("CSeq").replace("INVITE", "CANCEL")
    assert cancels[0].request_uri == invite.request_uri


async def test_a_phone_that_never_speaks_is_never_cancelled(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=QUICK_T1) as engine,
        Sipp("uas-silent", options=("-d", "4500")) as alice,
    ):
        await ring(engine, alice, "CHANNEL_CREATE")
        assert await hang_up(engine) == 202
        await ended_once(engine, "ORIGINATOR_CANCEL")
        assert wire(await alice.succeeded()) == ["INVITE <"]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_crosses_the_cancel(engine: EngineUnderTest, answer: str) -> None:
    async with answering("uas-200-crosses-cancel", answer) as alice:
        await ring(engine, alice)
        assert await hang_up(engine) == 202
        messages = await alice.succeeded()
        end = await ended_once(engine, "ORIGINATOR_CANCEL")
    ladder = [line for line in wire(messages) if line not in ("100 >", "481 >")]
    assert ladder == ["INVITE <", "180 >", "CANCEL <", "200 >", "ACK <", "BYE <"]
    assert end["Hangup-Party"] == "local"
    assert "CHANNEL_ANSWER" not in engine.names(engine.legs()[0])


@pytest.mark.parametrize("answer", [name for name in ANSWERS if name != "valid"])
async def test_an_answer_that_cannot_be_used(engine: EngineUnderTest, answer: str) -> None:
    async with answering("uas-answer-body", answer) as alice:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.quickcall(device, "1002")
        messages = await alice.succeeded()
        await ended_once(engine, "INCOMPATIBLE_DESTINATION")
    assert wire(messages) == ["INVITE <", "180 >", "200 >", "ACK <", "BYE <"]
    assert "CHANNEL_ANSWER" not in engine.names(engine.legs()[0])


async def test_no_final_answer_after_the_cancel(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=QUICK_T1) as engine,
        Sipp("uas-cancel-never-final", options=("-d", "4500")) as alice,
    ):
        await ring(engine, alice)
        assert await hang_up(engine) == 202
        await ended_once(engine, "ORIGINATOR_CANCEL")
        assert wire(await alice.succeeded()) == ["INVITE <", "180 >", "CANCEL <", "200 >"]


@pytest.mark.parametrize("scenario", ["uas-cancel-487-late", "uas-cancel-unanswered"])
async def test_the_487_comes_late_or_alone(engine: EngineUnderTest, scenario: str) -> None:
    async with Sipp(scenario, options=("-d", "1000")) as alice:
        await ring(engine, alice)
        assert await hang_up(engine) == 202
        await ended_once(engine, "ORIGINATOR_CANCEL")
        messages = await alice.succeeded()
    late = ["200 >"] if scenario == "uas-cancel-487-late" else []
    assert wire(messages) == ["INVITE <", "180 >", "CANCEL <", *late, "487 >", "ACK <"]


async def _talking(engine: EngineUnderTest, alice: Sipp, bob: Sipp) -> None:
    """Connect Alice to Bob."""
    device = await engine.device("alice", "1001", alice.uri)
    await engine.device("bob", "1002", bob.uri)
    await engine.quickcall(device, "1002")
    await engine.event("CHANNEL_BRIDGE", count=2)


async def test_both_hang_up_at_once(engine: EngineUnderTest) -> None:
    async with Sipp("uas-bye-crosses-bye") as alice, Sipp("uas-bye-crosses-bye") as bob:
        await _talking(engine, alice, bob)
        assert await hang_up(engine) == 202
        for phone in (alice, bob):
            messages = await phone.succeeded()
            assert wire(messages)[-3:] == ["BYE <", "BYE >", "200 <"]
        await ended_once(engine, "NORMAL_CLEARING")


async def test_nobody_answers_the_bye(tmp_path: Path) -> None:
    silent = ("-d", "4500")
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=QUICK_T1) as engine,
        Sipp("uas-bye-unanswered", options=silent) as alice,
        Sipp("uas-bye-unanswered", options=silent) as bob,
    ):
        await _talking(engine, alice, bob)
        assert await hang_up(engine) == 202
        await ended_once(engine, "NORMAL_CLEARING")
        for phone in (alice, bob):
            byes = told(await phone.succeeded(), "BYE")
            assert len(byes) > 1
            assert len({bye.text for bye in byes}) == 1


async def test_hanging_up_before_the_dialled_phone_has_said_a_word(
    engine: EngineUnderTest,
) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-late-ringing", options=("-d", "2500")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.event("CHANNEL_CREATE", count=2)
        assert await hang_up(engine) == 202
        assert wire(await alice.succeeded())[-2:] == ["ACK <", "BYE <"]
        messages = await bob.succeeded()
        await ended_once(engine, "ORIGINATOR_CANCEL")
    assert wire(messages) == ["INVITE <", "180 >", "CANCEL <", "200 >", "487 >", "ACK <"]


async def test_hanging_up_twice(engine: EngineUnderTest) -> None:
    async with Sipp("uas-cancel-487-late", options=("-d", "1500")) as alice:
        await ring(engine, alice)
        assert await hang_up(engine) == 202
        # Still there: the phone has not answered yet. Asking again changes nothing.
        assert await hang_up(engine) == 202
        messages = await alice.succeeded()
        await ended_once(engine, "ORIGINATOR_CANCEL")
        assert await hang_up(engine) == 404
    assert len(told(messages, "CANCEL")) == 1
