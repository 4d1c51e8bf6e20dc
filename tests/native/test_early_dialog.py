"""Before the answer: reliable provisional responses, forks, early media, UPDATE; against SIPp."""

from __future__ import annotations

import pytest

from engine.core.commands import Join
from engine.core.events import LegAnswered, LegDialed, LegEnded, LegGaveEarlyMedia, LegRang
from engine.core.values import LegId
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


async def call(stack: Stack, scenario: str) -> tuple[LegId, list[SippMessage]]:
    """Call a phone, hang up when it has answered; return the leg and what the phone saw."""
    async with Sipp(scenario) as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        return leg, await phone.succeeded()


def steps(stack: Stack, leg: LegId) -> list[tuple[str, int]]:
    """What was told of a leg before it was answered: the event, its status."""
    told = []
    for event in stack.events:
        if isinstance(event, LegRang | LegGaveEarlyMedia) and event.leg == leg:
            told.append((type(event).__name__, event.sip_status))
    return told


def racks(messages: list[SippMessage]) -> list[str]:
    """The RSeq of every PRACK a phone got."""
    pracks = [message for message in messages if message.method == "PRACK"]
    return [message.header("RAck").split(" ")[0] for message in pracks]


async def test_every_reliable_response_gets_one_prack(stack: Stack) -> None:
    leg, messages = await call(stack, "uas-prack")
    assert racks(messages) == ["1", "2", "3"]
    early = await stack.event(LegGaveEarlyMedia, leg)
    answer = await stack.event(LegAnswered, leg)
    # The 200 has no SDP: the first of the 183s was the answer (RFC 3262 5).
    assert early.codec == answer.codec == "PCMA/8000"
    assert "RTP/AVP 8 101" in answer.remote_sdp
    assert steps(stack, leg)[:2] == [("LegRang", 180), ("LegGaveEarlyMedia", 183)]


async def test_the_phones_of_a_fork_each_get_their_prack(stack: Stack) -> None:
    leg, messages = await call(stack, "uas-prack-forks")
    assert racks(messages) == ["7", "4", "8"]
    answer = await stack.event(LegAnswered, leg)
    assert answer.to_tag == "two"
    assert "m=audio 40002" in answer.remote_sdp


async def test_a_phone_changes_its_media_before_it_answers(stack: Stack) -> None:
    leg, _ = await call(stack, "uas-update-early")
    answer = await stack.event(LegAnswered, leg)
    assert "m=audio 40002" in answer.remote_sdp
    assert steps(stack, leg) == [("LegGaveEarlyMedia", 183)]


async def test_only_the_first_early_media_of_a_fork_count_and_the_winner_has_its_own(
    stack: Stack,
) -> None:
    leg, _ = await call(stack, "uas-early-fork")
    early = await stack.event(LegGaveEarlyMedia, leg)
    answer = await stack.event(LegAnswered, leg)
    assert (early.codec, answer.codec, answer.to_tag) == ("PCMU/8000", "PCMA/8000", "two")
    assert "m=audio 40000" in early.remote_sdp
    assert "m=audio 40002" in answer.remote_sdp
    assert steps(stack, leg) == [("LegGaveEarlyMedia", 183), ("LegRang", 183), ("LegRang", 199)]


async def test_ringing_after_early_media_is_told_and_the_first_sdp_stays(stack: Stack) -> None:
    leg, _ = await call(stack, "uas-early-then-rings")
    early = await stack.event(LegGaveEarlyMedia, leg)
    answer = await stack.event(LegAnswered, leg)
    told = [("LegGaveEarlyMedia", 183), ("LegRang", 180), ("LegRang", 183), ("LegRang", 199)]
    assert steps(stack, leg) == told
    # Gateways do answer with other media than they announced: the 200 has the last word.
    assert (early.codec, answer.codec) == ("PCMU/8000", "PCMA/8000")
    assert "m=audio 40002" in answer.remote_sdp
    assert [type(event) for event in stack.leg_events()][-2:] == [LegAnswered, LegEnded]


async def test_early_media_stay_where_the_first_sdp_put_them(stack: Stack) -> None:
    async with RtpPeer(1) as first, RtpPeer(2, first.host) as late, RtpPeer(3) as far:
        early = {"rtp_ip": first.host, "rtp_port": str(first.port), "late_port": str(late.port)}
        talks = {"rtp_ip": far.host, "rtp_port": str(far.port)}
        async with (
            Sipp("uas-rtp-peer", keys=talks) as other,
            Sipp("uas-early-moves", keys=early) as phone,
        ):
            leg, joined = stack.dial(phone.uri), stack.dial(other.uri)
            stack.submit(Join(leg, joined))
            await stack.event(LegAnswered, joined)
            await stack.event(LegRang, leg)  # the second 183: with the first came early media
            sdp = (await stack.event(LegDialed, joined)).local_sdp
            spoken = far.send(audio_address(sdp), b"to the first")
            assert await first.payload() == spoken
            stack.hang_up(leg)
            stack.hang_up(joined)
            await stack.ended(leg)
            await stack.ended(joined)
            await phone.succeeded()
            await other.succeeded()
        assert late.source == ("", 0)


async def test_a_response_without_tag_is_told_as_well(stack: Stack) -> None:
    leg, messages = await call(stack, "uas-rings-without-tag")
    assert steps(stack, leg) == [("LegRang", 180), ("LegGaveEarlyMedia", 183)]
    answer = await stack.event(LegAnswered, leg)
    assert answer.to_tag
    (ack,) = [message for message in messages if message.method == "ACK"]
    assert ack.header("To").endswith(f"tag={answer.to_tag}")
