"""Audio at an RTP peer inside the test: what it heard, by RTP's own clock, and what it says."""

from __future__ import annotations

import asyncio
import math
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from engine.phone.tones import power_at
from tests.kit.rtp import RtpPeer

RATE = 8000
"""Samples a second of all audio here."""
PACKET = RATE // 50
"""Samples of a packet of 20 ms."""

_HEADER = struct.Struct("!BBHII")
_GUARD_S = 30.0
_BIAS = 0x84


@dataclass(frozen=True, slots=True)
class Packet:
    """An RTP packet as it came."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class AudioPeer(RtpPeer):
    """An `RtpPeer` that keeps every packet and speaks PCMU."""

    def __init__(self, ssrc: int, host: str | None = None) -> None:
        """Choose the address; `async with` binds it."""
        super().__init__(ssrc, host)
        self.packets: list[Packet] = []
        """What came, in the order of arrival."""
        self._came = asyncio.Event()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Keep a packet (called by asyncio)."""
        super().datagram_received(data, address)
        _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        payload = data[_HEADER.size :]
        self.packets.append(Packet(second > 127, second & 127, sequence, timestamp, ssrc, payload))
        self._came.set()

    async def hear(self, count: int) -> list[Packet]:
        """Wait until `count` packets have come since the start, and return them all."""
        async with asyncio.timeout(_GUARD_S):
            while len(self.packets) < count:
                self._came.clear()
                await self._came.wait()
        return self.packets

    async def hear_payload(self, payload: bytes) -> None:
        """Wait for a packet with this payload."""
        seen = 0
        while all(packet.payload != payload for packet in self.packets[seen:]):
            seen = len(self.packets)
            await self.hear(seen + 1)

    def forget(self) -> None:
        """Begin to count anew."""
        self.packets.clear()

    async def say(
        self, destination: tuple[str, int], freq: int, seconds: float, pause_s: float = 0.0
    ) -> None:
        """Send a tone in real time, and silence as long as `pause_s` after each such part of it.

        RTP has no other clock than time itself, so this waits between packets.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        part = round(pause_s * RATE)
        for number in range(round(seconds * RATE) // PACKET):
            places = range(number * PACKET, (number + 1) * PACKET)
            pcm = [
                0
                if part and place // part % 2
                else round(8000 * math.sin(2 * math.pi * freq * place / RATE))
                for place in places
            ]
            self.send(destination, to_ulaw(pcm))
            await asyncio.sleep(max(0.0, start + (number + 1) * PACKET / RATE - loop.time()))


def heard(packets: Sequence[Packet]) -> array[int]:
    """Return the samples of PCMU packets of one stream, each where its timestamp says."""
    first = packets[0].timestamp
    places = [((packet.timestamp - first) & 0xFFFFFFFF, packet) for packet in packets]
    samples = array("h", bytes(2 * (max(place for place, _ in places) + PACKET)))
    for place, packet in places:
        samples[place : place + len(packet.payload)] = from_ulaw(packet.payload)
    return samples


def cadence(samples: Sequence[int], rate: int = RATE) -> list[tuple[bool, int]]:
    """Return the parts that sound or are silent in turn, each with its milliseconds (steps of 10).

    The first and the last part are cut off by the ends, the others are whole.
    """
    step = rate // 100
    parts: list[tuple[bool, int]] = []
    for at in range(0, len(samples) - step + 1, step):
        block = samples[at : at + step]
        sounds = sum(sample * sample for sample in block) / step > 100**2
        if parts and parts[-1][0] == sounds:
            parts[-1] = (sounds, parts[-1][1] + 10)
        else:
            parts.append((sounds, 10))
    return parts


def share(samples: Sequence[int], *freqs: int, rate: int = RATE) -> float:
    """Return how much of the power of a sound is in these frequencies, 0 to 1."""
    power = sum(sample * sample for sample in samples) / len(samples)
    return sum(power_at(samples, rate, freq) for freq in freqs) / power if power else 0.0


def level_dbm0(samples: Sequence[int], freq: int, rate: int = RATE) -> float:
    """Return the level of a frequency; a full-scale sine has 3.14 dBm0 (ITU-T G.711)."""
    return 3.14 + 10 * math.log10(2 * power_at(samples, rate, freq) / 32768**2)


def to_ulaw(samples: Sequence[int]) -> bytes:
    """Encode samples as PCMU (ITU-T G.711, table 2a)."""
    return bytes(_encode(sample) for sample in samples)


def from_ulaw(payload: bytes) -> array[int]:
    """Decode PCMU."""
    return array("h", (_DECODED[byte] for byte in payload))


def _encode(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def _decode(byte: int) -> int:
    value = ~byte & 0xFF
    magnitude = (((value & 0x0F) << 3) + _BIAS << (value >> 4 & 7)) - _BIAS
    return -magnitude if value & 0x80 else magnitude


_DECODED = [_decode(byte) for byte in range(256)]
