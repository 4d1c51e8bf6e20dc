"""Audio both ways, proven by numbered RTP packets from peers inside the test."""

from __future__ import annotations

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

PACKETS = 50
A_SSRC, B_SSRC = 0xA11CE, 0xB0B


def _phone(media: RtpPeer) -> Sipp:
    """Return a phone whose audio is at an RTP peer."""
    return Sipp("uas-rtp-peer", keys={"rtp_ip": media.host, "rtp_port": str(media.port)})


async def _every_packet_arrives(
    sender: RtpPeer, engine_sdp: str, receiver: RtpPeer, through: str
) -> None:
    """Send numbered packets and require each at the other side, in order, from the engine."""
    destination = audio_address(engine_sdp)
    await sender.reach(destination, receiver)
    for number in range(PACKETS):
        payload = sender.send(destination, f"{number:05}".encode() * 32)
        assert await receiver.payload() == payload
    assert receiver.source == audio_address(through)


async def test_rtp_is_relayed_both_ways(engine: EngineUnderTest) -> None:
    async with RtpPeer(A_SSRC) as a_media, RtpPeer(B_SSRC) as b_media:
        async with _phone(a_media) as alice, _phone(b_media) as bob:
            device = await engine.device("alice", "1001", alice.uri)
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(device, "1002")
            await engine.event("CHANNEL_BRIDGE", count=2)
            a_leg, b_leg = engine.legs()
            to_a, to_b = engine.local_sdp(a_leg), engine.local_sdp(b_leg)
            await _every_packet_arrives(a_media, to_a, b_media, through=to_b)
            await _every_packet_arrives(b_media, to_b, a_media, through=to_a)
            path = f"/v2/accounts/{engine.account}/channels/{a_leg}"
            assert (await engine.http.delete(path)).is_success
            await engine.end()
            await alice.succeeded()
            await bob.succeeded()
        assert engine.engine.stats().relayed_packets >= 2 * PACKETS


async def test_the_first_phone_hears_the_early_media_of_the_second(
    engine: EngineUnderTest,
) -> None:
    async with RtpPeer(A_SSRC) as a_media, RtpPeer(B_SSRC) as b_media:
        early = Sipp(
            "uas-rtp-peer-early", keys={"rtp_ip": b_media.host, "rtp_port": str(b_media.port)}
        )
        async with _phone(a_media) as alice, early as carrier:
            device = await engine.device("alice", "1001", alice.uri)
            await engine.carrier(carrier)
            await engine.quickcall(device, "4930123456")
            await engine.event("CHANNEL_PROGRESS_MEDIA")
            a_leg, b_leg = engine.legs()
            to_a, to_b = engine.local_sdp(a_leg), engine.local_sdp(b_leg)
            await _every_packet_arrives(b_media, to_b, a_media, through=to_a)
            assert "CHANNEL_BRIDGE" not in [event.name for event in engine.events]
            path = f"/v2/accounts/{engine.account}/channels/{a_leg}"
            assert (await engine.http.delete(path)).is_success
            await engine.end()
            await alice.succeeded()
            await carrier.succeeded()
