"""One leg at a time through the native stack, against SIPp as the phone."""

from __future__ import annotations

import pytest

from engine.core.commands import HangUp
from engine.core.events import LegAnswered, LegEnded, LegGaveEarlyMedia, LegRang
from engine.core.values import LegId, Party
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


async def test_an_answered_leg_reports_every_step_in_order(stack: Stack) -> None:
    async with Sipp("uas-ring-answer") as phone:
        leg = stack.dial(phone.uri)
        answered = await stack.event(LegAnswered, leg)
        stack.hang_up(leg, 'Q.850;cause=16;text="Normal call clearing"')
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert stack.story(leg) == ["LegDialed", "LegRang", "LegAnswered", "LegEnded"]
    assert answered.codec == "PCMU/8000"
    assert answered.user_agent == "sipp-phone"
    assert answered.to_tag
    assert "m=audio" in answered.remote_sdp
    assert (ended.party, ended.sip_status) == (Party.LOCAL, 200)
    (bye,) = [message for message in messages if message.method == "BYE"]
    assert bye.header("Reason") == 'Q.850;cause=16;text="Normal call clearing"'


async def test_the_invite_is_what_the_command_says(stack: Stack) -> None:
    async with Sipp("uas-busy-486") as phone:
        leg = stack.dial(phone.uri)
        await stack.ended(leg)
        invite = (await phone.succeeded())[0]
    assert invite.request_uri == phone.uri
    assert invite.header("X-KAZOO-AOR") == "sip:alice@test.local"
    assert invite.header("From").startswith('"Device QuickCall" <sip:1000@test.local>;tag=')
    assert invite.header("To") == "<sip:alice@test.local>"
    assert invite.header("Call-ID") == stack.dial_command(leg, "").call_id
    for codec in ("opus/48000", "G722/8000", "PCMU/8000", "PCMA/8000", "telephone-event/8000"):
        assert f"{codec}" in invite.body, invite.body


async def test_the_first_response_may_be_the_answer(stack: Stack) -> None:
    async with Sipp("uas-answer") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    assert stack.story(leg) == ["LegDialed", "LegAnswered", "LegEnded"]


async def test_the_peer_hangs_up(stack: Stack) -> None:
    async with Sipp("uas-ring-answer-bye", options=("-d", "50")) as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert stack.story(leg) == ["LegDialed", "LegRang", "LegAnswered", "LegEnded"]
    assert (ended.party, ended.sip_status) == (Party.REMOTE, 200)


@pytest.mark.parametrize(
    ("scenario", "status"),
    [
        ("uas-busy-486", 486),
        ("uas-decline-603", 603),
        ("uas-unavailable-480", 480),
        ("uas-not-found-404", 404),
        ("uas-service-unavailable-503", 503),
    ],
)
async def test_a_refusal_ends_the_leg_with_its_status(
    stack: Stack, scenario: str, status: int
) -> None:
    async with Sipp(scenario) as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert (ended.sip_status, ended.party) == (status, Party.REMOTE)
    assert ended.reason


async def test_early_media_is_told_from_ringing(stack: Stack) -> None:
    async with Sipp("uas-early-media-183-answer") as phone:
        leg = stack.dial(phone.uri)
        early = await stack.event(LegGaveEarlyMedia, leg)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await phone.succeeded()
        await stack.ended(leg)
    assert (early.sip_status, early.codec) == (183, "PCMU/8000")
    assert stack.story(leg) == ["LegDialed", "LegGaveEarlyMedia", "LegAnswered", "LegEnded"]


async def test_early_media_then_refused(stack: Stack) -> None:
    async with Sipp("uas-early-media-183-404") as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert ended.sip_status == 404
    assert stack.story(leg) == ["LegDialed", "LegGaveEarlyMedia", "LegEnded"]


async def test_hanging_up_while_it_rings_cancels(stack: Stack) -> None:
    async with Sipp("uas-completed-elsewhere") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegRang, leg)
        stack.hang_up(leg, 'SIP;cause=200;text="Call completed elsewhere"')
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert (ended.sip_status, ended.party) == (487, Party.LOCAL)


async def test_hanging_up_before_any_response_ends_the_leg(stack: Stack) -> None:
    async with Sipp("uas-cancelled-before-ringing") as phone:
        leg = stack.dial(phone.uri)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert (ended.sip_status, ended.party) == (487, Party.LOCAL)
    assert stack.story(leg) == ["LegDialed", "LegEnded"]


async def test_an_answer_that_crosses_the_cancel_is_taken_down(stack: Stack) -> None:
    async with Sipp("uas-late-200-crossing-cancel") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegRang, leg)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert ended.party is Party.LOCAL
    assert "LegAnswered" not in stack.story(leg)


async def test_an_answer_without_sdp_is_acknowledged_and_ended(stack: Stack) -> None:
    async with Sipp("uas-answer-without-sdp") as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert "LegAnswered" not in stack.story(leg)
    assert ended.sip_status == 488
    assert "SDP" in ended.reason


async def test_hanging_up_twice_and_unknown_legs_is_harmless(stack: Stack) -> None:
    async with Sipp("uas-answer") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(HangUp(leg), HangUp(leg), HangUp(LegId(10**9)))
        await stack.ended(leg)
        await phone.succeeded()
    stack.hang_up(leg)
    assert stack.story(leg).count("LegEnded") == 1


@pytest.mark.parametrize(
    "uri", ["", "alice", "sip:", "http://127.0.0.1/", "sip:a@127.0.0.1:99999", "sip:a@[::1"]
)
async def test_a_bad_uri_ends_the_leg_and_says_why(stack: Stack, uri: str) -> None:
    leg = stack.dial(uri)
    ended = await stack.ended(leg)
    assert (ended.party, ended.sip_status) == (Party.POLICY, 0)
    assert ended.warning
    assert stack.story(leg) == ["LegEnded"]


async def test_many_legs_at_once(stack: Stack) -> None:
    async with Sipp("uas-ring-answer", calls=200, messages=False) as phone:
        legs = [stack.dial(phone.uri) for _ in range(200)]
        for leg in legs:
            await stack.event(LegAnswered, leg)
        assert stack.sip.stats().legs == 200
        stack.submit(*(HangUp(leg) for leg in legs))
        for leg in legs:
            await stack.ended(leg)
        await phone.succeeded()
    ends = [event for event in stack.leg_events() if isinstance(event, LegEnded)]
    assert len(ends) == 200
