"""Real sound through whole calls, and what a stranger sends to them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.kit.audio import PACKET, RATE, AudioPeer, from_ulaw, heard, share, to_ulaw
from tests.kit.engine import EngineUnderTest
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

PACKETS = 40
A_TONE, B_TONE = 440, 1000
CLEAR = 0.9
"""Share of the power of what is heard that must be in the tone that was said."""
RINGBACK = (440, 480)
"""Frequencies of the ringback tone of the United States, the engine's default."""


def _phone(media: RtpPeer, scenario: str = "uas-rtp-peer", *options: str) -> Sipp:
    """Return a phone whose audio is at an RTP peer."""
    keys = {"rtp_ip": media.host, "rtp_port": str(media.port)}
    return Sipp(scenario, keys=keys, options=options)


async def _bridged(engine: EngineUnderTest, alice: Sipp, bob: Sipp) -> list[tuple[str, int]]:
    """Connect the two and return where each sends its RTP."""
    device = await engine.device("alice", "1001", alice.uri)
    await engine.device("bob", "1002", bob.uri)
    await engine.quickcall(device, "1002", call_id="talk")
    await engine.event("CHANNEL_BRIDGE", count=2)
    return [audio_address(engine.local_sdp(leg)) for leg in engine.legs()]


async def _hang_up(engine: EngineUnderTest, *phones: Sipp) -> None:
    path = f"/v2/accounts/{engine.account}/channels/talk"
    assert (await engine.http.delete(path)).is_success
    await engine.end()
    for phone in phones:
        await phone.succeeded()


def _speech(seconds: float) -> list[int]:
    """Return what is made like speech: a voice of harmonics whose pitch and loudness wander, in
    syllables with pauses between them.
    """
    samples, phase = [], 0.0
    for place in range(round(seconds * RATE)):
        at = place / RATE
        phase += 2 * math.pi * (120 + 30 * math.sin(2 * math.pi * 0.7 * at)) / RATE
        voice = sum(math.sin(n * phase + n * n) / n for n in range(1, 20))
        samples.append(round(2500 * voice * max(0.0, math.sin(2 * math.pi * 2.5 * at))))
    return samples


async def test_tones_are_recognised_both_ways(engine: EngineUnderTest) -> None:
    async with (
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        _phone(a_media) as alice,
        _phone(b_media) as bob,
    ):
        to_a, to_b = await _bridged(engine, alice, bob)
        await a_media.reach(to_a, b_media)
        a_media.forget()
        b_media.forget()
        await a_media.say(to_a, A_TONE, 1.0)
        await b_media.say(to_b, B_TONE, 1.0)
        at_b = (await b_media.hear(50))[:50]
        at_a = (await a_media.hear(50))[:50]
        assert share(heard(at_b), A_TONE) > CLEAR
        assert share(heard(at_a), B_TONE) > CLEAR
        await _hang_up(engine, alice, bob)


async def test_speech_arrives_sample_by_sample(engine: EngineUnderTest) -> None:
    speech = to_ulaw(_speech(3.0))
    packets = [speech[at : at + PACKET] for at in range(0, len(speech), PACKET)]
    async with (
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        _phone(a_media) as alice,
        _phone(b_media) as bob,
    ):
        to_a, to_b = await _bridged(engine, alice, bob)
        await a_media.reach(to_a, b_media)
        a_media.forget()
        b_media.forget()
        for number, packet in enumerate(packets, 1):
            a_media.send(to_a, packet)
            await b_media.hear(number)
            b_media.send(to_b, packet)
            await a_media.hear(number)
        for listener in (a_media, b_media):
            assert heard(listener.packets) == from_ulaw(speech)
        await _hang_up(engine, alice, bob)


async def test_ringback_is_heard_until_the_other_phone_answers(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, ringback="us") as engine,
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        _phone(a_media) as alice,
        _phone(b_media, "uas-rtp-peer-rings", "-d", "2000") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", call_id="talk")
        ringing = heard((await a_media.hear(PACKETS))[:PACKETS])
        assert share(ringing, *RINGBACK) > CLEAR
        await engine.event("CHANNEL_BRIDGE", count=2)
        to_b = audio_address(engine.local_sdp(engine.legs()[1]))
        a_media.forget()
        # What comes between the order and the bridge itself is not passed on.
        await b_media.say(to_b, B_TONE, 1.4)
        talk = await a_media.hear(50)
        # The last packet of ringback may have been on its way.
        assert share(heard(talk[1:50]), B_TONE) > CLEAR
        assert len({packet.ssrc for packet in talk}) == 1
        await _hang_up(engine, alice, bob)


async def test_a_stranger_is_neither_heard_nor_sent_anything(engine: EngineUnderTest) -> None:
    async with (
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        AudioPeer(0xA) as stranger,
        _phone(a_media) as alice,
        _phone(b_media) as bob,
    ):
        to_a, to_b = await _bridged(engine, alice, bob)
        await b_media.reach(to_b, a_media)
        a_media.forget()
        for before in (0, PACKETS):
            # SSRC, payload type and numbers of the phone, before it has spoken and after.
            for number in range(1, PACKETS + 1):
                stranger.send(to_a, b"stranger".ljust(PACKET), sequence=before + number)
            for number in range(1, PACKETS + 1):
                a_media.send(to_a, b"alice".ljust(PACKET), sequence=before + number)
                await b_media.hear(before + number)
                b_media.send(to_b, b"bob".ljust(PACKET))
                await a_media.hear(before + number)
        assert {packet.payload.strip() for packet in b_media.packets} == {b"alice"}
        assert {packet.payload.strip() for packet in a_media.packets} == {b"bob"}
        assert (len(a_media.packets), len(b_media.packets)) == (2 * PACKETS, 2 * PACKETS)
        assert stranger.packets == []
        await _hang_up(engine, alice, bob)
