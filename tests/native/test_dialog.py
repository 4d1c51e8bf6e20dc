"""Offers and answers inside the dialog of a leg, from either side, against SIPp as the phone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from engine.core.commands import Join, Reoffer
from engine.core.events import LegAnswered, LegDialed, LegRang, LegRenegotiated, LegReofferFailed
from engine.core.values import LegId, Party
from engine.sip.port import Listener, SipConfig
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

HELD_ADDRESS = "0.0.0.0"


def quick() -> Stack:
    """A stack that gives a silent peer up after 3.2 s."""
    return Stack(SipConfig(listeners=(Listener("udp", "127.0.0.1", 0),), t1_ms=50))


def offers(messages: list[SippMessage]) -> list[SippMessage]:
    """The INVITEs a phone got, retransmissions left out."""
    return list(
        {m.header("CSeq"): m for m in messages if m.method == "INVITE" and not m.sent}.values()
    )


def answers(messages: list[SippMessage], method: str = "INVITE") -> list[SippMessage]:
    """The 200s a phone got to its requests of that method, retransmissions left out."""
    found = [
        m for m in messages if m.status == 200 and not m.sent and m.header("CSeq").endswith(method)
    ]
    return list({m.header("CSeq"): m for m in found}.values())


def version(message: SippMessage) -> tuple[int, int]:
    """Session id and version of an o= line."""
    found = re.search(r"^o=\S+ (\d+) (\d+) ", message.body, re.MULTILINE)
    assert found, message.body
    return int(found[1]), int(found[2])


def direction(message: SippMessage) -> str:
    """The direction of the audio stream of a description, empty when it has none."""
    found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", message.body, re.MULTILINE)
    return found[1] if found else ""


def media(**changes: str) -> Mapping[str, str]:
    """The keys of the scenario uas-reinvite: nothing changes but what is said."""
    nothing = dict.fromkeys(("session", "line", "more"), "a=X-none")
    usual = {"conn": "127.0.0.1", "port": "40000", "media": "a=sendrecv", "formats": "0 101"}
    return nothing | usual | changes


async def answered(stack: Stack, phone: Sipp) -> LegId:
    """Dial a phone and wait for its answer."""
    leg = stack.dial(phone.uri)
    await stack.event(LegAnswered, leg)
    return leg


def changes(stack: Stack, leg: LegId) -> list[tuple[bool, str]]:
    """What became of the media of a leg: held, codec."""
    return [
        (e.held, e.codec) for e in stack.events if isinstance(e, LegRenegotiated) and e.leg == leg
    ]


# --- offers of ours -----------------------------------------------------------------------------


async def test_a_phone_is_put_on_hold_and_taken_back(stack: Stack) -> None:
    async with Sipp("uas-reoffer") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True), Reoffer(leg, hold=True), Reoffer(leg, hold=False))
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    first, hold, talk = offers(messages)
    assert [direction(message) for message in (first, hold, talk)] == [
        "sendrecv",
        "sendonly",
        "sendrecv",
    ]
    identity, number = version(first)
    assert [version(hold), version(talk)] == [(identity, number + 1), (identity, number + 2)]
    assert "m=audio" in hold.body
    assert re.search(r"RTP/AVP 0 \d+\s", hold.body), hold.body
    # Of the two to hold the later one waited and was replaced; what was taken is told.
    assert (ended.party, stack.story(leg)) == (
        Party.REMOTE,
        ["LegDialed", "LegAnswered", "LegRenegotiated", "LegRenegotiated", "LegEnded"],
    )
    assert all(e.by_us for e in stack.events if isinstance(e, LegRenegotiated))


async def test_glare_is_tried_again(stack: Stack) -> None:
    async with Sipp("uas-reoffer-491") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        await stack.ended(leg)
        messages = await phone.succeeded()
    first, refused, taken = offers(messages)
    assert direction(refused) == direction(taken) == "sendonly"
    # RFC 3261 14.1: the owner of the Call-ID waits for 2.1 s or longer.
    assert taken.at - refused.at > 2.0
    # The offer that was refused never counted.
    assert version(refused) == version(taken) == (version(first)[0], version(first)[1] + 1)
    assert "LegReofferFailed" not in stack.story(leg)


async def test_glare_without_end_is_given_up_after_three_tries(stack: Stack) -> None:
    async with Sipp("uas-reoffer-491-thrice") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        failed = await stack.event(LegReofferFailed, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert failed.sip_status == 491
    assert len(offers(messages)) == 4


async def test_hanging_up_while_glare_waits_leaves_nothing(stack: Stack) -> None:
    async with Sipp("uas-reoffer-491-bye") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        await phone.has_sent("SIP/2.0 491")
        stack.hang_up(leg)
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert len(offers(messages)) == 2
    assert stack.story(leg) == ["LegDialed", "LegAnswered", "LegEnded"]


async def test_a_refused_offer_leaves_the_media_as_they_were(stack: Stack) -> None:
    async with Sipp("uas-reoffer-488-bye") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        failed = await stack.event(LegReofferFailed, leg)
        assert stack.sip.stats().media_ports == 1
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    assert (failed.sip_status, failed.reason) == (488, "Not Acceptable Here")


async def test_a_challenge_that_nobody_can_answer_is_a_refusal(stack: Stack) -> None:
    async with Sipp("uas-reoffer-401") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        failed = await stack.event(LegReofferFailed, leg)
        stack.submit(Reoffer(leg, hold=True))
        await stack.ended(leg)
        await phone.succeeded()
    assert failed.sip_status == 401


@pytest.mark.parametrize("status", [481, 408])
async def test_a_phone_that_knows_the_call_no_more_is_told_bye(stack: Stack, status: int) -> None:
    async with Sipp(f"uas-reoffer-{status}-bye") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert (ended.party, ended.sip_status) == (Party.TIMEOUT, status)
    assert "LegReofferFailed" not in stack.story(leg)


async def test_a_phone_that_says_nothing_to_an_offer_is_gone() -> None:
    async with quick() as stack, Sipp("uas-reoffer-unanswered") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert (ended.party, ended.sip_status) == (Party.TIMEOUT, 408)
    assert [m.method for m in messages if not m.sent][-1] == "BYE"


async def test_a_phone_may_hang_up_while_an_offer_waits(stack: Stack) -> None:
    async with Sipp("uas-reoffer-bye-crossing") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert (ended.party, ended.sip_status) == (Party.REMOTE, 200)
    assert stack.story(leg) == ["LegDialed", "LegAnswered", "LegEnded"]


async def test_a_leg_may_be_hung_up_while_an_offer_waits(stack: Stack) -> None:
    async with Sipp("uas-reoffer-hung-up") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        await phone.has_sent("SIP/2.0 100", count=2)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert ended.party is Party.LOCAL
    assert stack.story(leg) == ["LegDialed", "LegAnswered", "LegEnded"]


async def test_a_leg_follows_the_codec_of_another(stack: Stack) -> None:
    async with Sipp("uas-reoffer-pcma") as phone, Sipp("uas-answer-pcma") as other:
        leg, model = await answered(stack, phone), await answered(stack, other)
        stack.submit(Reoffer(leg, hold=False, codec_of=model))
        changed = await stack.event(LegRenegotiated, leg)
        await stack.ended(leg)
        stack.hang_up(model)
        await stack.ended(model)
        await phone.succeeded()
        await other.succeeded()
    assert (changed.held, changed.codec) == (False, "PCMA/8000")
    assert "a=rtpmap:8 PCMA" in changed.remote_sdp


async def test_an_unanswered_leg_is_offered_nothing(stack: Stack) -> None:
    async with Sipp("uas-no-answer") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegRang, leg)
        stack.submit(Reoffer(leg, hold=True), Reoffer(LegId(10**9), hold=True))
        failed = await stack.event(LegReofferFailed, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert failed.sip_status == 0
    assert len(offers(messages)) == 1


async def test_an_offer_of_ours_waits_for_the_end_of_theirs(stack: Stack) -> None:
    async with Sipp("uas-reinvite-slow-ack") as phone:
        leg = await answered(stack, phone)
        # They meet on the phone's side otherwise, which then counts as glare.
        await phone.has_received("SIP/2.0 200")
        stack.submit(Reoffer(leg, hold=True))
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert not any(message.status == 491 for message in messages)
    assert len(offers(messages)) == 2


# --- glare on the other side --------------------------------------------------------------------


async def test_offers_of_the_phone_wait_while_ours_does(stack: Stack) -> None:
    async with Sipp("uas-glare") as phone:
        leg = await answered(stack, phone)
        stack.submit(Reoffer(leg, hold=True))
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert [m.header("CSeq") for m in messages if m.status == 491 and not m.sent] == [
        "1 INVITE",
        "2 UPDATE",
    ]
    assert "LegReofferFailed" not in stack.story(leg)


async def test_a_second_offer_before_the_ack_is_told_to_come_back(stack: Stack) -> None:
    async with Sipp("uas-reinvite-before-ack") as phone:
        leg = await answered(stack, phone)
        held = await stack.event(LegRenegotiated, leg)
        await stack.ended(leg)
        messages = await phone.succeeded()
    (later,) = [message for message in messages if message.status == 500]
    assert 0 <= int(later.header("Retry-After")) <= 10
    assert held.held
    assert changes(stack, leg) == [(True, "PCMU/8000")]


# --- offers of the phone ------------------------------------------------------------------------

SPELLINGS = {
    "media sendonly": ({"media": "a=sendonly"}, "recvonly"),
    "media inactive": ({"media": "a=inactive"}, "inactive"),
    "session sendonly": ({"session": "a=sendonly", "media": "a=X-none"}, "recvonly"),
    "session inactive": ({"session": "a=inactive", "media": "a=X-none"}, "inactive"),
    "no address": ({"conn": HELD_ADDRESS}, "recvonly"),
    "no address, nothing said": ({"conn": HELD_ADDRESS, "media": "a=X-none"}, "recvonly"),
    "no address, inactive": ({"conn": HELD_ADDRESS, "media": "a=inactive"}, "inactive"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_of_hold_is_understood(stack: Stack, spelling: str) -> None:
    lines, answer = SPELLINGS[spelling]
    async with Sipp("uas-reinvite", keys=media(**lines), options=("-d", "50")) as phone:
        leg = await answered(stack, phone)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert changes(stack, leg) == [(True, "PCMU/8000"), (False, "PCMU/8000")]
    (first,) = offers(messages)
    hold, resume = answers(messages)
    assert (direction(hold), direction(resume)) == (answer, "sendrecv")
    # The engine's own address stays: it is the phone that takes nothing.
    assert HELD_ADDRESS not in hold.body
    # Both answers differ from what was sent before, and say so (RFC 3264 8).
    assert [version(m)[1] - version(first)[1] for m in (hold, resume)] == [1, 2]
    assert ended.party is Party.REMOTE


@pytest.mark.parametrize(
    "lines", [{"media": "a=recvonly"}, {"session": "a=recvonly", "media": "a=X-none"}]
)
async def test_a_phone_that_only_listens_holds_nobody(stack: Stack, lines: dict[str, str]) -> None:
    async with Sipp("uas-reinvite", keys=media(**lines), options=("-d", "50")) as phone:
        leg = await answered(stack, phone)
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert not any(held for held, _ in changes(stack, leg))
    assert direction(answers(messages)[0]) == "sendonly"


async def test_a_session_level_direction_is_overruled_by_the_stream(stack: Stack) -> None:
    lines = media(session="a=sendonly", media="a=sendrecv")
    async with Sipp("uas-reinvite", keys=lines, options=("-d", "50")) as phone:
        leg = await answered(stack, phone)
        await stack.ended(leg)
        messages = await phone.succeeded()
    assert not any(held for held, _ in changes(stack, leg))
    assert direction(answers(messages)[0]) == "sendrecv"


async def test_streams_that_nobody_takes_keep_their_place(stack: Stack) -> None:
    lines = media(line="m=video 40002 RTP/AVP 31", more="m=audio 40004 RTP/AVP 0")
    async with Sipp("uas-reinvite", keys=lines, options=("-d", "50")) as phone:
        leg = await answered(stack, phone)
        await stack.ended(leg)
        messages = await phone.succeeded()
    answer, again = answers(messages)
    streams = re.findall(r"^m=(\w+) (\d+) ", answer.body, re.MULTILINE)
    assert [kind for kind, _ in streams] == ["audio", "video", "audio"]
    assert [port == "0" for _, port in streams] == [False, True, True]
    assert [kind for kind, _ in re.findall(r"^m=(\w+) (\d+) ", again.body, re.MULTILINE)] == [
        "audio"
    ]
    assert stack.sip.stats().media_ports == 0


async def test_packets_follow_the_phone_to_its_new_address(stack: Stack) -> None:
    async with RtpPeer(1) as old, RtpPeer(2) as new, RtpPeer(3) as far:
        keys = {"rtp_ip": far.host, "rtp_port": str(far.port)}
        moved = media(conn=new.host, port=str(new.port))
        async with (
            Sipp("uas-rtp-peer", keys=keys) as other,
            Sipp(
                "uas-reinvite-moves", keys={**moved, "old_ip": old.host, "old_port": str(old.port)}
            ) as phone,
        ):
            leg, joined = await answered(stack, phone), await answered(stack, other)
            stack.submit(Join(leg, joined))
            changed = await stack.event(LegRenegotiated, leg)
            sdp = (await stack.event(LegDialed, joined)).local_sdp
            spoken = far.send(audio_address(sdp), b"to the new address")
            assert await new.payload() == spoken
            back = new.send(new.source, b"from the new address")
            assert await far.payload() == back
            stack.hang_up(leg)
            stack.hang_up(joined)
            await stack.ended(leg)
            await stack.ended(joined)
            await phone.succeeded()
            await other.succeeded()
    assert (changed.held, changed.codec) == (False, "PCMU/8000")


async def test_a_held_phone_is_sent_no_packets(stack: Stack) -> None:
    async with RtpPeer(1) as near, RtpPeer(2) as far:
        keys = {"rtp_ip": far.host, "rtp_port": str(far.port)}
        held = media(conn=near.host, port=str(near.port), media="a=sendonly")
        async with (
            Sipp("uas-rtp-peer", keys=keys) as other,
            Sipp(
                "uas-reinvite-moves", keys={**held, "old_ip": near.host, "old_port": str(near.port)}
            ) as phone,
        ):
            leg, joined = await answered(stack, phone), await answered(stack, other)
            stack.submit(Join(leg, joined))
            assert (await stack.event(LegRenegotiated, leg)).held
            sdp = audio_address((await stack.event(LegDialed, joined)).local_sdp)
            mine = audio_address((await stack.event(LegDialed, leg)).local_sdp)
            far.send(sdp, b"into the void")
            # Music on hold still comes through, and shows that the packet before had its chance.
            music = near.send(mine, b"music")
            assert await far.payload() == music
            stack.hang_up(leg)
            stack.hang_up(joined)
            await stack.ended(leg)
            await stack.ended(joined)
            await phone.succeeded()
            await other.succeeded()
        assert near.source == ("", 0)


@pytest.mark.parametrize(("formats", "answer"), [("0 101", "PCMU/8000"), ("8 101", "PCMA/8000")])
async def test_an_offerless_reinvite_gets_every_codec(
    stack: Stack, formats: str, answer: str
) -> None:
    async with Sipp(
        "uas-reinvite-offerless", keys={"formats": formats}, options=("-d", "50")
    ) as phone:
        leg = await answered(stack, phone)
        await stack.ended(leg)
        messages = await phone.succeeded()
    (offer,) = answers(messages)
    # The one in use, then the others as the engine prefers them.
    assert re.search(r"RTP/AVP 0 96 9 8 101\s", offer.body), offer.body
    assert "a=rtpmap:96 opus/48000/2" in offer.body
    assert [codec for _, codec in changes(stack, leg)] == (
        [] if answer == "PCMU/8000" else [answer]
    )


@pytest.mark.parametrize(
    "lines",
    [
        {"formats": "3"},
        {"port": "0"},
        {"conn": "media.invalid"},
    ],
    ids=["codec the leg may not use", "no stream", "name for an address"],
)
async def test_an_offer_that_cannot_be_taken_is_refused_and_the_call_goes_on(
    stack: Stack, lines: dict[str, str]
) -> None:
    keys = {"conn": "127.0.0.1", "port": "40000", "formats": "0 101"} | lines
    async with (
        Sipp("uas-answer") as other,
        Sipp("uas-reinvite-refused", keys=keys, options=("-d", "50")) as phone,
    ):
        joined, leg = await answered(stack, other), stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(Join(leg, joined))
        ended = await stack.ended(leg)
        stack.hang_up(joined)
        await stack.ended(joined)
        await phone.succeeded()
        await other.succeeded()
    assert (ended.party, ended.sip_status) == (Party.REMOTE, 200)
    assert changes(stack, leg) == []


async def test_a_codec_may_change_while_nobody_is_joined(stack: Stack) -> None:
    lines = media(formats="8 101", line="a=rtpmap:8 PCMA/8000")
    async with Sipp("uas-reinvite", keys=lines, options=("-d", "50")) as phone:
        leg = await answered(stack, phone)
        await stack.ended(leg)
        await phone.succeeded()
    assert changes(stack, leg) == [(False, "PCMA/8000"), (False, "PCMU/8000")]


async def test_an_answer_that_is_never_acknowledged_ends_the_call() -> None:
    async with quick() as stack, Sipp("uas-reinvite-no-ack") as phone:
        leg = await answered(stack, phone)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert (ended.party, ended.sip_status) == (Party.TIMEOUT, 408)
    assert [m.method for m in messages if m.method and not m.sent][-1] == "BYE"


async def test_update_refreshes_and_renegotiates(stack: Stack) -> None:
    async with Sipp("uas-update", options=("-d", "50")) as phone:
        leg = await answered(stack, phone)
        await stack.ended(leg)
        await phone.succeeded()
    assert changes(stack, leg) == [(True, "PCMU/8000"), (False, "PCMU/8000")]
