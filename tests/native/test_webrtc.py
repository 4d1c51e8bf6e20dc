"""ICE and DTLS-SRTP against aiortc's, packet by packet, with a plain PCMU leg at the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from engine.core.commands import Join, Reoffer
from engine.core.events import LegAnswered, LegDialed, LegEnded, LegMediaFailed, LegRenegotiated
from engine.core.media_values import MediaPolicy
from engine.core.values import LegId
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sip_phone import SipPhone
from tests.kit.sipp import Sipp
from tests.kit.stack import GUARD_S, Stack
from tests.kit.webrtc_phone import WebRtcPhone, attribute

pytestmark = [pytest.mark.native, pytest.mark.sip]

PLAIN_SSRC = 0xB0B
PACKETS = 30


def _dial(stack: Stack, uri: str) -> LegId:
    """Call a WebRTC phone; return the leg."""
    leg = stack.next_leg()
    command = stack.dial_command(leg, uri)
    policy = MediaPolicy(webrtc=True)
    stack.submit(replace(command, media=policy, codecs=("PCMU/8000",)))
    return leg


@asynccontextmanager
async def _talking(
    stack: Stack, phone: WebRtcPhone
) -> AsyncIterator[tuple[SipPhone, LegId, RtpPeer]]:
    """A WebRTC phone and a plain one, answered and joined."""
    async with SipPhone(phone.answer) as sip, RtpPeer(PLAIN_SSRC) as plain:
        keys = {"rtp_ip": plain.host, "rtp_port": str(plain.port)}
        async with Sipp("uas-rtp-peer", keys=keys) as other:
            leg, second = _dial(stack, sip.uri), stack.dial(other.uri)
            await stack.event(LegAnswered, leg)
            await stack.event(LegAnswered, second)
            stack.submit(Join(leg, second))
            await phone.connected()
            yield sip, leg, plain
            stack.hang_up(second)
            await stack.ended(second)
            stack.hang_up(leg)
            await stack.ended(leg)
            await other.succeeded()


async def _every_packet_arrives(stack: Stack, phone: WebRtcPhone, plain: RtpPeer) -> None:
    """Numbered packets, both ways, each as it was sent."""
    to_plain = audio_address((await stack.event(LegDialed, LegId(2))).local_sdp)
    for number in range(PACKETS):
        payload = await phone.send(f"{number:05}".encode() * 32)
        assert await plain.payload() == payload
        payload = plain.send(to_plain, f"{number:05}".encode()[::-1] * 32)
        assert await phone.payload() == payload
    assert plain.source == to_plain


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_numbered_packets_pass_both_ways(stack: Stack, setup: str) -> None:
    async with WebRtcPhone(setup=setup) as phone, _talking(stack, phone) as (_, leg, plain):
        await _every_packet_arrives(stack, phone, plain)
        media = (await stack.event(LegAnswered, leg)).media
        assert (media.security, media.ice) == ("DTLS-SRTP", True)
        offer = phone.offers[0]
        assert "m=audio" in offer
        assert " UDP/TLS/RTP/SAVPF 0 " in offer
        assert "a=ice-lite\r\n" in offer
        assert "a=rtcp-mux\r\n" in offer
        assert "a=rtcp:" not in offer
        assert attribute(offer, "setup") == "actpass"
        assert attribute(offer, "group") == "BUNDLE 0"
        assert attribute(offer, "mid") == "0"


async def test_a_phone_that_takes_itself_for_the_controlled_side_is_told(stack: Stack) -> None:
    """487 Role Conflict (RFC 8445 7.3.1.1): the lite side never controls."""
    phone = WebRtcPhone(controlling=False)
    async with phone, _talking(stack, phone) as (_, _, plain):
        await _every_packet_arrives(stack, phone, plain)
        assert phone.is_controlling


async def _fails(stack: Stack, phone: WebRtcPhone) -> tuple[LegId, str]:
    """Call a phone whose media come to nothing; return the leg and the reason."""
    async with SipPhone(phone.answer) as sip:
        leg = _dial(stack, sip.uri)
        await stack.event(LegAnswered, leg)
        failed = await stack.event(LegMediaFailed, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        return leg, failed.reason


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_another_certificate_than_the_sdp_names_gets_no_media(
    stack: Stack, setup: str
) -> None:
    async with WebRtcPhone(setup=setup, fingerprint=":".join(["AB"] * 32)) as phone:
        leg, reason = await _fails(stack, phone)
        assert reason == "the DTLS certificate is not the one that the SDP names"
        ended = await stack.event(LegEnded, leg)
        assert ended.report is None or ended.report.packets_received == 0


async def test_without_the_password_of_the_offer_nobody_is_sent_anything(stack: Stack) -> None:
    """401 to each check, no DTLS, no RTP."""
    async with WebRtcPhone(ice_password="x" * 24) as phone, SipPhone(phone.answer) as sip:
        leg = _dial(stack, sip.uri)
        await stack.event(LegAnswered, leg)
        async with asyncio.timeout(GUARD_S):
            assert [await phone.stun_errors.get() for _ in range(3)] == [401] * 3
        assert phone.others_received == 0
        stack.hang_up(leg)
        await stack.ended(leg)


async def test_an_answer_in_the_clear_ends_the_call(stack: Stack) -> None:
    async def answer(offer: str) -> str:
        host = sip.host
        return (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n"
        )

    async with SipPhone(answer) as sip:
        leg = _dial(stack, sip.uri)
        ended = await stack.ended(leg)
        assert ended.sip_status == 488
        assert ended.reason == "the SDP has no usable a=fingerprint"
        await sip.request("ACK")
        await sip.request("BYE")
        assert [request.method for request in sip.requests] == ["INVITE", "ACK", "BYE"]


async def test_a_stranger_is_neither_heard_nor_answered(stack: Stack) -> None:
    """Its RTP does not get in, its checks and its DTLS move nothing, and nothing comes back."""
    async with WebRtcPhone() as phone, _talking(stack, phone) as (_, _, plain), RtpPeer(1) as bad:
        engine = audio_address(phone.offers[0])
        await _every_packet_arrives(stack, phone, plain)
        for kind in (b"\x80\x00", b"\x16\xfe\xfd", b"\x00\x01\x00\x00!\x12\xa4B"):
            for _ in range(20):
                bad.send_raw(engine, kind + bytes(60))
        for number in range(20):
            bad.send(engine, f"{number:05}".encode() * 32)
        await _every_packet_arrives(stack, phone, plain)
        assert bad.received_now() == 0


async def test_hold_by_the_engine_and_resume_keep_the_association(stack: Stack) -> None:
    async with WebRtcPhone() as phone, _talking(stack, phone) as (sip, leg, plain):
        await _every_packet_arrives(stack, phone, plain)
        for hold, direction in ((True, "a=sendonly\r\n"), (False, "a=sendrecv\r\n")):
            stack.submit(Reoffer(leg, hold))
            offers = 2 if hold else 3
            await sip.request("ACK", offers)
            assert direction in phone.offers[-1]
            for name in ("ice-ufrag", "ice-pwd", "fingerprint"):
                assert attribute(phone.offers[-1], name) == attribute(phone.offers[0], name)
        await _every_packet_arrives(stack, phone, plain)


async def test_hold_by_the_phone_and_resume_keep_the_association(stack: Stack) -> None:
    async with WebRtcPhone() as phone, _talking(stack, phone) as (sip, leg, plain):
        for count, direction in ((1, "sendonly"), (2, "sendrecv")):
            response = await sip.reinvite(phone.describe("setup:actpass", direction))
            assert response.status == 200
            # Whoever goes on with an association keeps its role in it (RFC 8842 5.3).
            assert attribute(response.body, "setup") == "passive"
            assert attribute(response.body, "ice-ufrag") == attribute(phone.offers[0], "ice-ufrag")
            renegotiated = (await stack.events_of(LegRenegotiated, leg, count))[-1]
            assert renegotiated.held == (direction == "sendonly")
        await _every_packet_arrives(stack, phone, plain)


async def test_ice_is_restarted_at_another_address(stack: Stack) -> None:
    """New credentials on both sides; DTLS, and with it the keys and the stream, goes on."""
    async with WebRtcPhone() as phone, _talking(stack, phone) as (sip, _, plain):
        await _every_packet_arrives(stack, phone, plain)
        response = await sip.reinvite(await phone.restart())
        assert response.status == 200
        for name in ("ice-ufrag", "ice-pwd"):
            assert attribute(response.body, name) != attribute(phone.offers[0], name)
        await phone.resume(response.body)
        await _every_packet_arrives(stack, phone, plain)


async def test_an_offer_in_the_clear_is_refused(stack: Stack) -> None:
    async with WebRtcPhone() as phone, _talking(stack, phone) as (sip, _, plain):
        lines = phone.describe("setup:actpass").split("\r\n")
        clear = [line for line in lines if not line.startswith(("a=fingerprint", "a=setup"))]
        assert (await sip.reinvite("\r\n".join(clear))).status == 488
        await _every_packet_arrives(stack, phone, plain)
