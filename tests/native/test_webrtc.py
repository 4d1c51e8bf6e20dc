"""ICE and DTLS-SRTP against aiortc's, packet by packet, with a plain PCMU leg at the other side."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.core.commands import Join
from engine.core.events import LegAnswered, LegDialed, LegEnded, LegMediaFailed, LegRenegotiated
from engine.core.values import LegId, MediaPolicy
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sip_phone import SipPhone
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack
from tests.kit.webrtc_phone import WebRtcPhone, attribute

pytestmark = [pytest.mark.native, pytest.mark.sip]

PLAIN_SSRC = 0xB0B
PACKETS = 30


def _dial(stack: Stack, uri: str) -> LegId:
    """Call a WebRTC phone; return the leg."""
    leg = stack.next_leg()
    command = stack.dial_command(leg, uri)
    policy = MediaPolicy(webrtc=True)
    stack.submit(dataclasses.replace(command, media=policy, codecs=("PCMU/8000",)))
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
