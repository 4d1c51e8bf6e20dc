"""SRTP with keys in SDP (RFC 4568): what is offered and taken, and what goes over the wire."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from engine.core.commands import Join, Reoffer
from engine.core.events import (
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegRenegotiated,
    LegReofferFailed,
    SipMessageSeen,
)
from engine.core.values import PLAIN_MEDIA, SRTP_SUITES, Encryption, LegId, MediaPolicy, Party
from engine.sip.port import Listener, SipConfig
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp
from tests.kit.srtp import SUITES, Key, SrtpPeer, read_lines
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

AVP, SAVP = "RTP/AVP", "RTP/SAVP"
CM_80, CM_32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"
NO_KEY = "a=ptime:20"
A_SSRC, B_SSRC = 0xA11CE, 0xB0B

OPTIONAL = MediaPolicy(Encryption.OPTIONAL)
MANDATORY = MediaPolicy(Encryption.MANDATORY)


def only(suite: str, encryption: Encryption = Encryption.MANDATORY) -> MediaPolicy:
    """Return a policy with one suite, which is offered with the tag 1."""
    return MediaPolicy(encryption, (suite,))


def phone(
    media: RtpPeer, crypto: str, profile: str = SAVP, scenario: str = "uas-srtp", **keys: str
) -> Sipp:
    """Return a phone with its media at an RTP peer that answers so."""
    where = {"rtp_ip": media.host, "rtp_port": str(media.port)}
    return Sipp(scenario, keys={**where, "profile": profile, "crypto": crypto, **keys})


def dial(stack: Stack, called: Sipp, policy: MediaPolicy = PLAIN_MEDIA) -> LegId:
    """Call a phone with that policy."""
    leg = stack.next_leg()
    command = stack.dial_command(leg, called.uri)
    stack.submit(dataclasses.replace(command, media=policy))
    return leg


async def answered(stack: Stack, called: Sipp, policy: MediaPolicy = PLAIN_MEDIA) -> LegId:
    leg = dial(stack, called, policy)
    await stack.event(LegAnswered, leg)
    return leg


def offers(called: Sipp) -> list[str]:
    """Return the bodies of the INVITEs that a phone was sent, as they were on the wire."""
    return [m.body for m in called.messages_now() if not m.sent and m.method == "INVITE"]


async def ours(called: Sipp, tag: int = 1) -> Key:
    """Return the key that the first INVITE offered to a phone with that tag."""
    await called.has_received("INVITE")
    return read_lines(offers(called)[0])[tag]


async def address(stack: Stack, leg: LegId) -> tuple[str, int]:
    """Return where a leg is sent RTP."""
    return audio_address((await stack.event(LegDialed, leg)).local_sdp)


async def hang_up(stack: Stack, *calls: tuple[LegId, Sipp]) -> None:
    """End legs; every phone must have seen what it wants to see."""
    for leg, _ in calls:
        stack.hang_up(leg)
    for leg, called in calls:
        await stack.ended(leg)
        await called.succeeded()


async def join(stack: Stack, leg: LegId, one: RtpPeer, other_leg: LegId, other: RtpPeer) -> None:
    """Join two legs, and wait until a packet comes through."""
    stack.submit(Join(leg, other_leg))
    to_one = await address(stack, leg)
    while not other.waiting():
        one.send(to_one, b"probe")
        await asyncio.sleep(0.01)
    one.send(to_one, b"joined")
    while await other.payload() != b"joined":
        pass


async def both_hear(
    one: RtpPeer, to_one: tuple[str, int], other: RtpPeer, to_other: tuple[str, int], word: str
) -> None:
    """Send a few packets each way and require them at the other end, whole."""
    for number in range(5):
        there = one.send(to_one, f"{word} there {number}".encode().ljust(160))
        assert await other.payload() == there
        back = other.send(to_other, f"{word} back {number}".encode().ljust(160))
        assert await one.payload() == back


# --- what is offered ---


async def test_a_plain_leg_offers_no_keys(stack: Stack) -> None:
    async with Sipp("uas-not-acceptable-488") as called:
        ended = await stack.ended(dial(stack, called))
        await called.succeeded()
        (offer,) = offers(called)
    assert f" {AVP} " in offer
    assert "crypto" not in offer
    assert (ended.sip_status, ended.party) == (488, Party.REMOTE)


@pytest.mark.parametrize(("policy", "profile"), [(OPTIONAL, AVP), (MANDATORY, SAVP)])
async def test_every_suite_is_offered_with_a_key_of_its_own(
    stack: Stack, policy: MediaPolicy, profile: str
) -> None:
    lines = []
    for _ in range(2):
        async with Sipp("uas-not-acceptable-488") as called:
            ended = await stack.ended(dial(stack, called, policy))
            assert (ended.sip_status, ended.party) == (488, Party.REMOTE)
            await called.succeeded()
            (offer,) = offers(called)
        assert f" {profile} " in offer
        lines.append(read_lines(offer))
    assert [key.suite for key in lines[0].values()] == list(SRTP_SUITES) == list(SUITES)
    assert list(lines[0]) == [1, 2, 3, 4, 5, 6]
    secrets = [key.secret for keys in lines for key in keys.values()]
    assert len(set(secrets)) == 12


async def test_an_unknown_suite_is_refused(stack: Stack) -> None:
    async with Sipp("uas-answer") as called:
        ended = await stack.ended(dial(stack, called, only("AES_CM_64")))
        await called.never_called()
    assert ended.party is Party.POLICY
    assert ended.warning == "there is no SRTP suite 'AES_CM_64'"


# --- what goes over the wire ---


@pytest.mark.parametrize("suite", SRTP_SUITES)
async def test_a_leg_in_srtp_and_a_plain_one_hear_each_other(stack: Stack, suite: str) -> None:
    async with SrtpPeer(A_SSRC, Key.new(suite)) as near, RtpPeer(B_SSRC) as far:
        async with (
            phone(near, near.key.line(1)) as secure,
            phone(far, NO_KEY, AVP) as plain,
        ):
            leg = await answered(stack, secure, only(suite))
            other = await answered(stack, plain)
            near.hear(await ours(secure))
            await join(stack, leg, near, other, far)
            await both_hear(
                near, await address(stack, leg), far, await address(stack, other), "hello"
            )
            media = (await stack.event(LegAnswered, leg)).media
            assert media.security == suite
            assert (await stack.event(LegAnswered, other)).media.security == ""
            await hang_up(stack, (leg, secure), (other, plain))
        assert near.unreadable == []
        assert b"hello" not in near.last_sent


async def test_two_legs_in_srtp_with_different_suites_hear_each_other(stack: Stack) -> None:
    async with SrtpPeer(A_SSRC, Key.new(GCM)) as near, SrtpPeer(B_SSRC, Key.new(CM_32)) as far:
        async with (
            phone(near, near.key.line(2)) as one,
            phone(far, far.key.line(6), AVP) as two,
        ):
            leg = await answered(stack, one, MANDATORY)
            other = await answered(stack, two, OPTIONAL)
            near.hear(await ours(one, 2))
            far.hear(await ours(two, 6))
            await join(stack, leg, near, other, far)
            await both_hear(near, await address(stack, leg), far, await address(stack, other), "")
            await hang_up(stack, (leg, one), (other, two))
        assert near.unreadable == far.unreadable == []


async def test_an_optional_leg_is_in_the_clear_when_the_peer_takes_no_key(stack: Stack) -> None:
    async with (
        RtpPeer(A_SSRC) as near,
        RtpPeer(B_SSRC) as far,
        phone(near, NO_KEY, AVP) as one,
        phone(far, NO_KEY, AVP) as two,
    ):
        leg = await answered(stack, one, OPTIONAL)
        other = await answered(stack, two)
        await join(stack, leg, near, other, far)
        await both_hear(near, await address(stack, leg), far, await address(stack, other), "")
        assert (await stack.event(LegAnswered, leg)).media.security == ""
        await hang_up(stack, (leg, one), (other, two))


async def test_what_is_forged_replayed_or_plain_is_not_passed_on(stack: Stack) -> None:
    async with (
        SrtpPeer(A_SSRC, Key.new(CM_80)) as near,
        SrtpPeer(A_SSRC, Key.new(CM_80)) as stranger,
        RtpPeer(B_SSRC) as far,
    ):
        async with phone(near, near.key.line(1)) as one, phone(far, NO_KEY, AVP) as two:
            leg, other = await answered(stack, one, only(CM_80)), await answered(stack, two)
            await join(stack, leg, near, other, far)
            to_leg = await address(stack, leg)
            near.send(to_leg, b"first")
            near.send_as_it_is(to_leg, near.last_sent)
            RtpPeer.send(near, to_leg, b"second")
            damaged = bytearray(near.last_sent)
            damaged[2:4] = (9).to_bytes(2, "big")
            near.send_as_it_is(to_leg, bytes(damaged))
            near.send_as_it_is(to_leg, b"\x80\x00" + bytes(10) + b"plain".ljust(160))
            near.send_as_it_is(to_leg, b"\x80")
            for _ in range(10):
                stranger.send(to_leg, b"stranger")
            near.send(to_leg, b"third")
            heard = [await far.payload() for _ in range(3)]
            await hang_up(stack, (leg, one), (other, two))
        assert heard == [b"first", b"second", b"third"]
        assert far.waiting() == []


async def test_keys_show_neither_in_events_nor_in_the_trace() -> None:
    config = SipConfig(listeners=(Listener("udp", "127.0.0.1", 0),), trace=True, log_level=5)
    async with Stack(config) as stack, SrtpPeer(A_SSRC, Key.new(CM_80)) as near:
        async with phone(near, near.key.line(1)) as called:
            leg = await answered(stack, called, only(CM_80))
            key = await ours(called)
            await hang_up(stack, (leg, called))
        seen = [event.text for event in stack.events if isinstance(event, SipMessageSeen)]
        told = repr(stack.events)
    hidden = f"a=crypto:1 {CM_80} inline:{'*' * 40}"
    assert hidden in (await stack.event(LegDialed, leg)).local_sdp
    assert hidden in (await stack.event(LegAnswered, leg)).remote_sdp
    assert sum(hidden in text for text in seen) >= 2
    for one in (key, near.key):
        assert one.line(1).rpartition(":")[2] not in told


# --- what is refused ---

SHORT = f"a=crypto:1 {CM_80} inline:{'A' * 36}"
GOOD = Key(CM_80, b"0123456789" * 3).line(1)


@pytest.mark.parametrize(
    ("profile", "crypto", "reason"),
    [
        (AVP, NO_KEY, "the media would not be encrypted"),
        (SAVP, NO_KEY, "RTP/SAVP without an SRTP key"),
        (SAVP, GOOD.replace(":1 ", ":2 "), "the answer takes none of the SRTP keys offered"),
        (SAVP, GOOD.replace(CM_80, CM_32), "the answer takes none of the SRTP keys offered"),
        (SAVP, SHORT, "the answer takes none of the SRTP keys offered"),
        (SAVP, f"{GOOD}|1:4", "the answer takes none of the SRTP keys offered"),
        (SAVP, f"{GOOD}|2^20|1:4", "the answer takes none of the SRTP keys offered"),
        (SAVP, f"{GOOD}|soon", "the answer takes none of the SRTP keys offered"),
        (SAVP, f"{GOOD};inline:x", "the answer takes none of the SRTP keys offered"),
        (SAVP, f"{GOOD} UNENCRYPTED_SRTP", "the answer takes none of the SRTP keys offered"),
        (SAVP, f"{GOOD} KDR=1", "the answer takes none of the SRTP keys offered"),
        (SAVP, GOOD.replace("inline", "other"), "the answer takes none of the SRTP keys offered"),
        (SAVP, "a=crypto:x", "the answer takes none of the SRTP keys offered"),
        (SAVP, "a=crypto:1", "the answer takes none of the SRTP keys offered"),
    ],
)
async def test_a_mandatory_leg_ends_when_the_answer_is_not_encrypted(
    stack: Stack, profile: str, crypto: str, reason: str
) -> None:
    async with RtpPeer(A_SSRC) as media, phone(media, crypto, profile) as called:
        leg = dial(stack, called, only(CM_80))
        ended = await stack.ended(leg)
        messages = await called.succeeded()
        assert media.source == ("", 0)
    assert [m.method for m in messages if not m.sent] == ["INVITE", "ACK", "BYE"]
    assert stack.story(leg) == ["LegDialed", "LegEnded"]
    assert (ended.sip_status, ended.party, ended.reason) == (488, Party.POLICY, reason)


@pytest.mark.parametrize(
    "parameters",
    ["|2^20", "|1048576", " WSH=64", " -SOMETHING=1", "|2^31 WSH=128"],
)
async def test_what_does_not_matter_to_srtp_is_passed_over(stack: Stack, parameters: str) -> None:
    async with RtpPeer(A_SSRC) as media, phone(media, GOOD + parameters) as called:
        leg = await answered(stack, called, only(CM_80))
        await hang_up(stack, (leg, called))
    assert (await stack.event(LegAnswered, leg)).media.security == CM_80


async def test_a_leg_without_srtp_refuses_an_encrypted_answer(stack: Stack) -> None:
    async with RtpPeer(A_SSRC) as media, phone(media, GOOD) as called:
        ended = await stack.ended(dial(stack, called))
        await called.succeeded()
    assert (ended.sip_status, ended.party) == (488, Party.POLICY)
    assert ended.reason == "RTP/SAVP without an SRTP key"


async def test_early_media_in_the_clear_end_a_mandatory_leg(stack: Stack) -> None:
    async with (
        RtpPeer(A_SSRC) as media,
        phone(media, NO_KEY, AVP, "uas-srtp-early") as called,
    ):
        leg = dial(stack, called, MANDATORY)
        ended = await stack.ended(leg)
        await called.succeeded()
    assert LegGaveEarlyMedia.__name__ not in stack.story(leg)
    assert (ended.sip_status, ended.party) == (488, Party.POLICY)
    assert ended.reason == "the media would not be encrypted"


# --- offers inside the dialog ---


def again(media: SrtpPeer, key: Key | None = None) -> dict[str, str]:
    """Return what a phone answers to a re-INVITE: the same key, or another."""
    return {"profile_again": SAVP, "crypto_again": (key or media.key).line(1)}


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
    assert LegRenegotiated.__name__ not in stack.story(leg)


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
            changed = await stack.event(LegRenegotiated, leg)
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
