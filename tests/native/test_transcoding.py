"""Two joined legs of different codecs hear each other: a tone, known by frequency and level."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
from msgspec.structs import replace

from engine.core.commands import Join
from engine.core.events import LegAnswered, LegDialed
from engine.core.values import LegId
from engine.phone.tones import power_at
from tests.kit.audio import from_ulaw, to_ulaw
from tests.kit.codecs import answering, payload_types
from tests.kit.rtp import RtpPacket, RtpPeer, audio_address
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

TONE_HZ = 1000
AMPLITUDE = 8000
FAR = {
    "opus": ({96: "opus/48000/2"}, 960),
    "G722": ({9: "G722/8000"}, 160),
    "PCMA": ({8: "PCMA/8000"}, 160),
    "GSM": ({3: "GSM/8000"}, 160),
    "speex/8000": ({97: "speex/8000"}, 160),
    "speex/16000": ({98: "speex/16000"}, 320),
    "G729": ({18: "G729/8000"}, 160),
    "AMR": ({99: "AMR/8000"}, 160),
    "AMR-WB": ({100: "AMR-WB/16000"}, 320),
}
"""What the far phone answers with, and the ticks of 20 ms of its clock."""


SINE = to_ulaw([round(AMPLITUDE * math.sin(2 * math.pi * n / 8)) for n in range(8)])
"""One period of the tone in PCMU."""


def tone(ms: int = 20) -> bytes:
    """Return a packet of the tone, in PCMU; whole periods, so that the next one goes on."""
    return SINE * ms


def heard(payloads: list[bytes]) -> tuple[float, float]:
    """Return which part of the power of PCMU packets is the tone, and its amplitude."""
    samples = from_ulaw(b"".join(payloads))
    power = power_at(samples, 8000, TONE_HZ)
    whole = sum(sample * sample for sample in samples) / len(samples)
    return power / whole, math.sqrt(2 * power)


def steps(numbers: list[int], bits: int) -> list[int]:
    """Return by how much each number is above the one before, in that many bits."""
    return [(after - before) % (1 << bits) for before, after in pairwise(numbers)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two joined legs: the RTP peers, and what each was offered."""

    near: RtpPeer
    far: RtpPeer
    near_sdp: str
    far_sdp: str

    @property
    def near_port(self) -> tuple[str, int]:
        """Where the engine takes the RTP of the near peer."""
        return audio_address(self.near_sdp)


async def dial(stack: Stack, phone: Sipp, codecs: tuple[str, ...]) -> tuple[LegId, str]:
    """Dial a phone with these codecs; return its leg and what it was offered."""
    leg = stack.next_leg()
    stack.submit(replace(stack.dial_command(leg, phone.uri), codecs=codecs))
    await stack.event(LegAnswered, leg)
    return leg, (await stack.event(LegDialed, leg)).local_sdp


@asynccontextmanager
async def joined(
    stack: Stack, near_codecs: dict[int, str], far_codecs: dict[int, str]
) -> AsyncIterator[Pair]:
    """Join two phones that answer with these codecs, and hang them up."""
    async with (
        RtpPeer(1) as near,
        RtpPeer(2) as far,
        answering(near.host, near.port, near_codecs) as first,
        answering(far.host, far.port, far_codecs) as second,
    ):
        one, near_sdp = await dial(stack, first, named(near_codecs))
        two, far_sdp = await dial(stack, second, named(far_codecs))
        stack.submit(Join(one, two))
        await stack.stock()
        yield Pair(near, far, near_sdp, far_sdp)
        stack.hang_up(one)
        stack.hang_up(two)
        await stack.ended(one)
        await stack.ended(two)
        await first.succeeded()
        await second.succeeded()


def named(codecs: dict[int, str]) -> tuple[str, ...]:
    """Return `NAME/RATE` of each codec."""
    return tuple("/".join(codec.split("/")[:2]) for codec in codecs.values())


async def packets(peer: RtpPeer, count: int) -> list[RtpPacket]:
    """Wait for that many packets."""
    return [await peer.packet() for _ in range(count)]


@pytest.mark.parametrize("codec", FAR)
async def test_a_tone_comes_back_through_another_codec(stack: Stack, codec: str) -> None:
    codecs, ticks = FAR[codec]
    there, back = [], []
    async with joined(stack, {0: "PCMU/8000"}, codecs) as pair:
        port = audio_address(pair.far_sdp)
        (number,) = (t for name, t in payload_types(pair.far_sdp).items() if "event" not in name)
        for _ in range(60):
            pair.near.send(pair.near_port, tone())
            there.append(packet := await pair.far.packet())
            # The far phone says what it hears, in the codec it hears it in.
            pair.far.send(port, packet.payload, payload_type=number, step=ticks)
            back.append(await pair.near.packet())
    assert {packet.payload_type for packet in there} == set(codecs)
    assert set(steps([packet.sequence for packet in there], 16)) == {1}
    assert set(steps([packet.timestamp for packet in there], 32)) == {ticks}
    assert [packet.marker for packet in there] == [True] + [False] * 59
    assert {(packet.payload_type, len(packet.payload)) for packet in back} == {(0, 160)}
    assert set(steps([packet.timestamp for packet in back], 32)) == {160}
    part, amplitude = heard([packet.payload for packet in back[20:]])
    assert part > 0.9
    assert 0.6 * AMPLITUDE < amplitude < 1.4 * AMPLITUDE


async def test_packets_of_thirty_milliseconds_become_packets_of_twenty(stack: Stack) -> None:
    async with joined(stack, {0: "PCMU/8000"}, {9: "G722/8000"}) as pair:
        for _ in range(20):
            pair.near.send(pair.near_port, tone(30), step=240)
        made = await packets(pair.far, 30)
    assert {len(packet.payload) for packet in made} == {160}
    assert set(steps([packet.sequence for packet in made], 16)) == {1}
    assert set(steps([packet.timestamp for packet in made], 32)) == {160}


async def test_a_lost_packet_is_missing_on_the_other_side_too(stack: Stack) -> None:
    async with joined(stack, {0: "PCMU/8000"}, {96: "opus/48000/2"}) as pair:
        for number in (1, 2, 3, 6, 7):
            pair.near.send(pair.near_port, tone(), sequence=number)
        made = await packets(pair.far, 5)
    assert steps([packet.sequence for packet in made], 16) == [1, 1, 3, 1]
    assert steps([packet.timestamp for packet in made], 32) == [960, 960, 2880, 960]


async def test_a_codec_that_nobody_here_decodes_is_relayed(stack: Stack) -> None:
    async with joined(stack, {99: "iLBC/8000"}, {105: "iLBC/8000"}) as pair:
        number = payload_types(pair.near_sdp)["iLBC/8000"]
        pair.near.send(pair.near_port, b"neither sound nor silence", payload_type=number)
        passed = await pair.far.packet()
    assert (passed.payload_type, passed.payload) == (105, b"neither sound nor silence")
