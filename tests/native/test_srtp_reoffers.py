"""SRTP and offers inside the dialog: keys that stay, keys that change, keys that are missing."""

from __future__ import annotations

import pytest

from engine.core.commands import Reoffer
from engine.core.events import (
    LegEnded,
    LegRenegotiated,
    LegReofferFailed,
)
from engine.core.media_values import Encryption
from engine.core.values import Party
from tests.kit.rtp import RtpPeer
from tests.kit.srtp import Key, SrtpPeer, read_lines
from tests.kit.srtp_calls import (
    A_SSRC,
    AVP,
    B_SSRC,
    CM_80,
    GCM,
    NO_KEY,
    SAVP,
    address,
    answered,
    both_hear,
    hang_up,
    join,
    offers,
    only,
    ours,
    phone,
)
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


def again(media: SrtpPeer) -> dict[str, str]:
    """Return what a phone answers to a re-INVITE: the key it has."""
    return {"profile_again": SAVP, "crypto_again": media.key.line(1)}


async def test_numbers_wrap_before_and_after_a_reinvite(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(CM_80)) as near, RtpPeer(B_SSRC) as far:
        kept = again(near) | {"profile_offered": SAVP, "crypto_offered": near.key.line(1)}
        async with (
            phone(near, near.key.line(1), scenario="uas-srtp-reinvite", **kept) as one,
            phone(far, NO_KEY, AVP) as two,
        ):
            leg, other = await answered(stack, one, only(CM_80)), await answered(stack, two)
            near.hear(await ours(one))
            await join(stack, leg, near, other, far)
            to_near, to_far = await address(stack, leg), await address(stack, other)
            await _count_up(near, to_near, far, to_far, range(2000, 150_000, 1500))
            stack.submit(Reoffer(leg, hold=False))
            # It re-INVITEs in turn as soon as it has our ACK, with the key it had.
            await one.has_received("ACK", 2)
            await one.has_sent("ACK")
            await _count_up(near, to_near, far, to_far, range(150_000, 300_000, 1500))
            first, second = offers(one)
            accepted = [m for m in one.messages_now() if m.status == 200 and not m.sent]
            await hang_up(stack, (leg, one), (other, two))
        assert near.unreadable == []
    key = read_lines(first)[1]
    assert read_lines(second) == {1: key}
    assert read_lines(accepted[0].body) == {1: key}
    assert _version(second) == _version(first) + 1
    # What the peer offered changed nothing.
    assert [e.by_us for e in stack.events if isinstance(e, LegRenegotiated)] == [True]


async def _count_up(
    one: RtpPeer, to_one: tuple[str, int], other: RtpPeer, to_other: tuple[str, int], numbers: range
) -> None:
    """Send packets with these sequence numbers each way; those between them were lost."""
    for number in numbers:
        there = one.send(to_one, f"there {number}".encode(), sequence=number)
        assert await other.payload() == there
        back = other.send(to_other, f"back {number}".encode(), sequence=number)
        assert await one.payload() == back


def _version(sdp: str) -> int:
    """Return the version in the o= line."""
    (origin,) = (line for line in sdp.splitlines() if line.startswith("o="))
    return int(origin.split(" ")[2])


async def test_a_new_key_of_the_peer_is_used_at_once(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(GCM)) as near, RtpPeer(B_SSRC) as far:
        old, new = near.key, Key.new(GCM)
        keys = again(near) | {"profile_offered": SAVP, "crypto_offered": new.line(7)}
        async with (
            phone(near, near.key.line(1), scenario="uas-srtp-reinvite", **keys) as one,
            phone(far, NO_KEY, AVP) as two,
        ):
            leg, other = await answered(stack, one, only(GCM)), await answered(stack, two)
            near.hear(await ours(one))
            await join(stack, leg, near, other, far)
            to_near, to_far = await address(stack, leg), await address(stack, other)
            await both_hear(near, to_near, far, to_far, "before")
            stack.submit(Reoffer(leg, hold=False))
            await one.has_sent("ACK")
            # What was still under way when the answer came: the old key.
            await both_hear(near, to_near, far, to_far, "meanwhile")
            near.speak(new)
            await both_hear(near, to_near, far, to_far, "after")
            near.speak(old)
            near.send(to_near, b"late", sequence=1000)
            assert await far.payload() == b"late"
            near.speak(new)
            for number in range(1100, 1200):
                near.send(to_near, b"settled", sequence=number)
                assert await far.payload() == b"settled"
            near.speak(old)
            near.send(to_near, b"too late", sequence=1300)
            near.speak(new)
            near.send(to_near, b"last", sequence=1301)
            assert await far.payload() == b"last"
            accepted = [m for m in one.messages_now() if m.status == 200 and not m.sent]
            await hang_up(stack, (leg, one), (other, two))
        assert near.unreadable == []
    assert list(read_lines(accepted[0].body)) == [7]


async def test_a_mandatory_leg_stays_encrypted_when_the_peer_offers_the_clear(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(CM_80)) as near, RtpPeer(B_SSRC) as far:
        keys = again(near) | {"profile_offered": AVP, "crypto_offered": NO_KEY}
        async with (
            phone(near, near.key.line(1), scenario="uas-srtp-reinvite-refused", **keys) as one,
            phone(far, NO_KEY, AVP) as two,
        ):
            leg, other = await answered(stack, one, only(CM_80)), await answered(stack, two)
            near.hear(await ours(one))
            await join(stack, leg, near, other, far)
            stack.submit(Reoffer(leg, hold=False))
            await one.has_received("SIP/2.0 488")
            await both_hear(near, await address(stack, leg), far, await address(stack, other), "")
            await hang_up(stack, (leg, one), (other, two))
        assert near.unreadable == []


async def test_an_optional_leg_follows_the_peer_into_the_clear(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(CM_80)) as near, RtpPeer(B_SSRC) as far:
        keys = again(near) | {"profile_offered": AVP, "crypto_offered": NO_KEY}
        keys |= {"profile_again": AVP}
        async with (
            phone(near, near.key.line(1), AVP, "uas-srtp-reinvite", **keys) as one,
            phone(far, NO_KEY, AVP) as two,
        ):
            policy = only(CM_80, Encryption.OPTIONAL)
            leg, other = await answered(stack, one, policy), await answered(stack, two)
            await join(stack, leg, near, other, far)
            stack.submit(Reoffer(leg, hold=False))
            _ours, changed = await stack.events_of(LegRenegotiated, leg, 2)
            far.send(await address(stack, other), b"in the clear")
            near.send_as_it_is(
                await address(stack, leg), b"\x80\x00\x00\x01" + bytes(8) + b"as well"
            )
            assert await far.payload() == b"as well"
            await hang_up(stack, (leg, one), (other, two))
        assert [packet[12:] for packet in near.unreadable] == [b"in the clear"]
    assert changed.media.security == ""


async def test_a_mandatory_leg_ends_when_the_peer_answers_a_reinvite_in_the_clear(
    stack: Stack,
) -> None:
    async with SrtpPeer(A_SSRC, Key.new(CM_80)) as near:
        keys = {"profile_again": AVP, "crypto_again": NO_KEY}
        async with phone(near, near.key.line(1), scenario="uas-srtp-reoffer", **keys) as called:
            leg = await answered(stack, called, only(CM_80))
            stack.submit(Reoffer(leg, hold=True))
            failed = await stack.event(LegReofferFailed, leg)
            ended = await stack.event(LegEnded, leg)
            messages = await called.succeeded()
    methods = [m.method for m in messages if not m.sent and m.method]
    assert methods == ["INVITE", "ACK", "INVITE", "ACK", "BYE"]
    assert 'SIP;cause=488;text="Not Acceptable Here"' in messages[-2].header("Reason")
    assert failed.sip_status == 200
    assert (ended.sip_status, ended.party) == (488, Party.POLICY)
    assert ended.reason == "the media would not be encrypted"


async def test_an_offer_that_was_asked_for_has_the_key_in_use(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(CM_80)) as near, RtpPeer(B_SSRC) as far:
        async with (
            phone(near, near.key.line(1), scenario="uas-srtp-offerless", **again(near)) as one,
            phone(far, NO_KEY, AVP) as two,
        ):
            leg, other = await answered(stack, one, only(CM_80)), await answered(stack, two)
            near.hear(await ours(one))
            await join(stack, leg, near, other, far)
            await one.has_sent("ACK")
            await both_hear(near, await address(stack, leg), far, await address(stack, other), "")
            (accepted,) = [m for m in one.messages_now() if m.status == 200 and not m.sent]
            assert read_lines(accepted.body) == read_lines(offers(one)[0])
            await hang_up(stack, (leg, one), (other, two))
        assert near.unreadable == []


async def test_an_ack_in_the_clear_ends_a_mandatory_leg(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(CM_80)) as near:
        keys = {"profile_again": SAVP, "crypto_again": NO_KEY}
        async with phone(near, near.key.line(1), scenario="uas-srtp-offerless", **keys) as called:
            leg = await answered(stack, called, only(CM_80))
            ended = await stack.ended(leg)
            messages = await called.succeeded()
    assert [m.method for m in messages if not m.sent and m.method][-1] == "BYE"
    assert (ended.sip_status, ended.party) == (488, Party.POLICY)
    assert ended.reason == "RTP/SAVP without an SRTP key"


async def test_hold_and_resume_keep_the_keys(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(GCM)) as near, RtpPeer(B_SSRC) as far:
        async with (
            phone(near, near.key.line(1), scenario="uas-srtp-reoffer", **again(near)) as one,
            phone(far, NO_KEY, AVP) as two,
        ):
            leg, other = await answered(stack, one, only(GCM)), await answered(stack, two)
            near.hear(await ours(one))
            await join(stack, leg, near, other, far)
            to_near, to_far = await address(stack, leg), await address(stack, other)
            await both_hear(near, to_near, far, to_far, "before")
            stack.submit(Reoffer(leg, hold=True))
            await one.has_received("ACK", 2)
            far.send(to_far, b"music")
            assert await near.payload() == b"music"
            first, second = offers(one)
            await hang_up(stack, (leg, one), (other, two))
        assert near.unreadable == []
    assert "a=sendonly" in second
    assert read_lines(first) == read_lines(second)
