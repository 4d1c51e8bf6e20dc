"""Several phones answer one call: those of a proxy that forks, and those we rang ourselves."""

from __future__ import annotations

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.ladder import to_tag, told, wire
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage

pytestmark = pytest.mark.sip

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'

REPEATING = ("-nr",)
"""SIPp would take the ACK of a repeated 200 for a repetition itself and answer with that 200."""


async def _until_bob_hangs_up(engine: EngineUnderTest, proxy: Sipp) -> list[SippMessage]:
    """Quickcall the phones behind `proxy` to Bob, who hangs up; return what the proxy saw."""
    async with Sipp("uas-ring-answer-bye", options=("-d", "1000")) as bob:
        device = await engine.device("alice", "1001", proxy.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).status_code == 202
        messages = await proxy.succeeded()
        await bob.succeeded()
        end = await engine.end()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert len(engine.legs()) == 2
    assert len(await engine.cdrs()) == 2
    assert [event.name for event in engine.events].count("QUICKCALL_END") == 1
    return messages


async def test_three_phones_of_a_proxy_answer(engine: EngineUnderTest) -> None:
    async with Sipp("uas-forked-three-200") as proxy:
        messages = await _until_bob_hangs_up(engine, proxy)
    acks, byes = told(messages, "ACK"), told(messages, "BYE")
    assert [to_tag(ack)[0] for ack in acks] == ["a", "b", "c"]
    assert [to_tag(bye)[0] for bye in byes] == ["b", "c", "a"]
    # An ACK has the number of its INVITE (RFC 3261 13.2.2.4), a BYE the next one of its dialog.
    number = int(told(messages, "INVITE")[0].header("CSeq").split()[0])
    assert {ack.header("CSeq") for ack in acks} == {f"{number} ACK"}
    assert {bye.header("CSeq") for bye in byes} == {f"{number + 1} BYE"}


async def test_three_phones_of_a_proxy_ring_and_one_answers(engine: EngineUnderTest) -> None:
    async with Sipp("uas-forked-ringing") as proxy:
        messages = await _until_bob_hangs_up(engine, proxy)
    assert wire(messages) == ["INVITE <", "180 >", "183 >", "200 >", "ACK <", "BYE <"]
    assert engine.names(engine.legs()[0]).count("CHANNEL_ANSWER") == 1


async def test_one_phone_of_a_proxy_declines_for_all(engine: EngineUnderTest) -> None:
    async with Sipp("uas-forked-603") as proxy:
        device = await engine.device("alice", "1001", proxy.uri)
        response = await engine.quickcall(device, "1002")
        messages = await proxy.succeeded()
        end = await engine.end()
    assert wire(messages) == ["INVITE <", "180 >", "603 >", "ACK <"]
    assert response.json()["data"]["error_message"] == end["Hangup-Cause"] == "CALL_REJECTED"
    assert to_tag(told(messages, "ACK")[0]).startswith("b")


async def test_an_answer_that_is_repeated_is_acknowledged_again(engine: EngineUnderTest) -> None:
    async with Sipp("uas-200-repeated", options=REPEATING) as phone:
        messages = await _until_bob_hangs_up(engine, phone)
    acks = told(messages, "ACK")
    assert len(acks) == 3
    assert len({ack.text for ack in acks}) == 1
    assert engine.names(engine.legs()[0]).count("CHANNEL_ANSWER") == 1


async def test_the_late_answer_of_a_fork_is_acknowledged_again(engine: EngineUnderTest) -> None:
    async with Sipp("uas-forked-200-repeated", options=REPEATING) as proxy:
        messages = await _until_bob_hangs_up(engine, proxy)
    assert [to_tag(ack)[0] for ack in told(messages, "ACK")] == ["a", "b", "b"]


async def test_two_phones_of_a_user_answer_at_once(engine: EngineUnderTest) -> None:
    """The second says 200 when the CANCEL comes: ACK and BYE; the first has the call."""
    late = Sipp(
        "uas-200-crosses-cancel", keys={"describing": "Content-Type: application/sdp", "body": ""}
    )
    async with Sipp("uas-ring-answer") as first, late:
        user = await engine.user("Alice")
        await engine.device("desk", "1011", first.uri, owner_id=user)
        await engine.device("mobile", "1012", late.uri, owner_id=user)
        async with Sipp("uas-ring-answer-bye", options=("-d", "500")) as bob:
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(user, "1002", kind="users")
            messages = await late.succeeded()
            await first.succeeded()
            await bob.succeeded()
            end = await engine.end()
    assert [told(messages, method)[0].header("Reason") for method in ("CANCEL", "BYE")] == [
        ELSEWHERE,
        ELSEWHERE,
    ]
    assert len(told(messages, "ACK")) == 1
    assert sorted(attempt["Cause"] for attempt in end["Attempts"]) == [
        "LOSE_RACE",
        "SUCCESS",
        "SUCCESS",
    ]
    answered = [event.name for event in engine.events].count("CHANNEL_ANSWER")
    assert answered == 2
    assert len(await engine.cdrs()) == 3
