"""What the engine encodes is what others decode: FFmpeg hears the tone, and the way back too."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.sip.port import Listener, SipConfig
from tests.kit.codecs import answering
from tests.kit.rtp import RtpPacket, RtpPeer
from tests.kit.sipp import Sipp
from tests.kit.speech_codecs import SPOKEN, TONE_HZ, Spoken, decoded, level_of, share_of, tone
from tests.kit.stack import Stack
from tests.native.media_legs import MediaLeg, legs

pytestmark = [pytest.mark.native, pytest.mark.sip]

ALL = tuple("/".join(spoken.name.split("/")[:2]) for spoken in SPOKEN.values())
CONFIG = SipConfig((Listener("udp", "127.0.0.1", 0),), codecs=ALL)
PACKETS = 40
SETTLED = 8
"""Packets until a coder has caught up with what it hears."""


def phone(spoken: Spoken, media: RtpPeer, *lines: str) -> Sipp:
    return answering(media.host, media.port, {spoken.payload_type: spoken.name}, *lines)


@asynccontextmanager
async def joined(
    one: Spoken, other: Spoken, *lines: str
) -> AsyncIterator[tuple[list[MediaLeg], RtpPeer, RtpPeer]]:
    async with (
        RtpPeer(1) as a,
        RtpPeer(2) as b,
        Stack(CONFIG) as stack,
        legs(stack, phone(one, a), phone(other, b, *lines)) as made,
    ):
        yield made, a, b


async def pass_through(
    payloads: list[bytes], spoken: Spoken, port: tuple[str, int], one: RtpPeer, other: RtpPeer
) -> list[RtpPacket]:
    """Send payloads at one end; return what comes out at the other, at least half as many."""
    heard = []
    for payload in payloads:
        one.send(port, payload, payload_type=spoken.payload_type, step=spoken.step)
        heard += other.waiting()
    while len(heard) < len(payloads) - 2:
        heard.append(await other.packet())
    return heard


def is_the_tone(spoken: Spoken, heard: list[RtpPacket]) -> None:
    samples = decoded(spoken, [packet.payload for packet in heard])
    settled = samples[SETTLED * 160 :]
    assert share_of(TONE_HZ, settled) > 0.9
    assert 2500 < level_of(settled) < 8000, "as loud as it was, 3 dB more or less"


@pytest.mark.parametrize("name", [name for name in SPOKEN if name != "PCMU"])
async def test_a_tone_is_heard_in_every_codec_and_comes_back(name: str) -> None:
    spoken, plain = SPOKEN[name], SPOKEN["PCMU"]
    async with joined(plain, spoken) as (made, a, b):
        heard = await pass_through(tone(PACKETS), plain, made[0].port, a, b)
        assert {packet.payload_type for packet in heard} == {spoken.payload_type}
        for before, after in itertools.pairwise(heard):
            assert (after.sequence - before.sequence) & 0xFFFF == 1
            assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == spoken.step
        is_the_tone(spoken, heard)
        returned = await pass_through(
            [packet.payload for packet in heard], spoken, made[1].port, b, a
        )
        assert {packet.payload_type for packet in returned} == {0}
        is_the_tone(plain, returned)


PAIRS = [
    *(("opus", "G722"), ("opus", "AMR-WB"), ("opus", "G729"), ("G722", "AMR-WB")),
    *(("G729", "AMR"), ("speex", "GSM"), ("AMR", "AMR-WB"), ("speex", "opus")),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
async def test_coded_speech_becomes_coded_speech_of_another_kind(one: str, other: str) -> None:
    source, target = SPOKEN[one], SPOKEN[other]
    async with joined(SPOKEN["PCMU"], source) as (made, a, b):
        coded = await pass_through(tone(PACKETS), SPOKEN["PCMU"], made[0].port, a, b)
    async with joined(source, target) as (made, a, b):
        payloads = [packet.payload for packet in coded]
        heard = await pass_through(payloads, source, made[0].port, a, b)
        is_the_tone(target, heard)
        returned = await pass_through(
            [packet.payload for packet in heard], target, made[1].port, b, a
        )
        is_the_tone(source, returned)


async def test_events_pass_between_transcoded_sounds() -> None:
    events = (
        {0: "PCMU/8000", 101: "telephone-event/8000"},
        {8: "PCMA/8000", 110: "telephone-event/8000"},
    )
    async with RtpPeer(1) as a, RtpPeer(2) as b, Stack(CONFIG) as stack:
        phones = [answering(m.host, m.port, e) for m, e in zip((a, b), events, strict=True)]
        async with legs(stack, *phones) as made:
            sounds = tone(4)
            a.send(made[0].port, sounds[0])
            a.send(made[0].port, sounds[1])
            digit = a.send(made[0].port, bytes([5, 10, 1, 64]), payload_type=101, marker=True)
            a.send(made[0].port, sounds[3], sequence=4)
            heard = [await b.packet() for _ in range(4)]
    assert [packet.payload_type for packet in heard] == [8, 8, 110, 8]
    assert heard[2].payload == digit
    steps = [(y.sequence - x.sequence) & 0xFFFF for x, y in itertools.pairwise(heard)]
    assert steps == [1, 1, 1]
    assert len({packet.ssrc for packet in heard}) == 1
