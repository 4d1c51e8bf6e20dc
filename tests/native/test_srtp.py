"""SRTP with keys in SDP (RFC 4568): what is offered and taken, and what goes over the wire."""

from __future__ import annotations

import pytest

from engine.core.events import (
    LegAnswered,
    LegDialed,
    LegGaveEarlyMedia,
    SipMessageSeen,
)
from engine.core.media_values import SRTP_SUITES, MediaPolicy
from engine.core.values import Party
from engine.sip.port import Listener, SipConfig
from tests.kit.rtp import RtpPeer
from tests.kit.sipp import Sipp
from tests.kit.srtp import SUITES, Direction, Key, SrtpPeer, read_lines
from tests.kit.srtp_calls import (
    A_SSRC,
    AVP,
    B_SSRC,
    CM_32,
    CM_80,
    GCM,
    MANDATORY,
    NO_KEY,
    OPTIONAL,
    SAVP,
    address,
    answered,
    both_hear,
    dial,
    hang_up,
    join,
    offers,
    only,
    ours,
    phone,
)
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

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


@pytest.mark.parametrize("suite", [GCM, CM_80, CM_32])
async def test_rtcp_is_encrypted_too(stack: Stack, suite: str) -> None:
    async with (
        SrtpPeer(A_SSRC, Key.new(suite)) as near,
        RtpPeer(0, near.host, near.port + 1) as rtcp,
        RtpPeer(B_SSRC) as far,
        phone(near, near.key.line(1)) as one,
        phone(far, NO_KEY, AVP) as two,
    ):
        leg, other = await answered(stack, one, only(suite)), await answered(stack, two)
        key = await ours(one)
        near.hear(key)
        await join(stack, leg, near, other, far)
        far.send(await address(stack, other), b"hello")
        ssrc = (await near.packet()).ssrc
        report, decrypting = b"", Direction(key)
        while report[:2] != b"\x81\xc8":  # a sender report with one block
            report = decrypting.unprotect_rtcp(await rtcp.datagram()) or b""
            assert report
        await hang_up(stack, (leg, one), (other, two))
    assert int.from_bytes(report[4:8], "big") == ssrc
    assert int.from_bytes(report[28:32], "big") == A_SSRC


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
