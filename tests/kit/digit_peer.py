"""The RTP of a phone that sends and takes DTMF digits: as events (RFC 4733), as tones (Q.23)."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from tests.kit.addresses import free_media_port, loopback_address

RATE = 8000
SIGNS = "0123456789*#ABCD"
_KEYPAD = "123A456B789C*0#D"
_LOW, _HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_HEADER = struct.Struct("!BBHII")
_FRAME = 160
GUARD_S = 30.0
"""Longest wait for packets; a guard against hanging."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet."""

    marker: bool
    type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Pressed:
    """A digit that came."""

    digit: str
    ms: int


def event(digit: str, duration: int, *, end: bool = False, volume: int = 10) -> bytes:
    """Return the payload of a telephone-event; `duration` in units of its clock."""
    return struct.pack("!BBH", SIGNS.index(digit), volume | (0x80 if end else 0), duration)


def event_payloads(digit: str, ms: int, rate: int = RATE) -> list[bytes]:
    """Return the payloads of one digit as a phone sends them: a packet each 20 ms, three ends."""
    step, whole = rate // 50, ms * rate // 1000
    growing = [event(digit, length) for length in range(step, whole, step)]
    return [*growing, *[event(digit, whole, end=True)] * 3]


def tone(digit: str, ms: int) -> bytes:
    """Return PCMU of both frequencies of a digit."""
    place = _KEYPAD.index(digit)
    low, high = _LOW[place // 4], _HIGH[place % 4]
    return bytes(
        _ulaw(sum(int(6000 * math.sin(2 * math.pi * hz * n / RATE)) for hz in (low, high)))
        for n in range(ms * RATE // 1000)
    )


def silence(ms: int) -> bytes:
    """Return PCMU without sound."""
    return b"\xff" * (ms * RATE // 1000)


class DigitPeer(asyncio.DatagramProtocol):
    """An RTP socket of a phone; what comes is kept in `packets`.

    Args:
        ssrc: of what it sends.
    """

    def __init__(self, ssrc: int) -> None:
        """Choose the address; `async with` binds it."""
        self.ssrc = ssrc
        self.host = loopback_address()
        self.port = free_media_port(self.host)
        self.packets: list[Packet] = []
        self.sequence = 100
        self.timestamp = 5000
        self._changed = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(self.host, self.port)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._transport is not None
        if error is not None:
            error.add_note("\n".join(map(repr, self.packets[-60:])))
        self._transport.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where its RTP goes."""
        return self.host, self.port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Keep a packet (called by asyncio)."""
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        assert first == 0x80, "no extension, no padding"
        if not 192 <= second < 224:  # RTCP
            payload = data[_HEADER.size :]
            self.packets.append(
                Packet(second > 127, second & 127, sequence, timestamp, ssrc, payload)
            )
        self._changed.set()

    def send(
        self,
        to: tuple[str, int],
        kind: int,
        payload: bytes,
        *,
        marker: bool = False,
        ticks: int = 0,
    ) -> None:
        """Send one packet; the clock goes on by `ticks` behind it."""
        second = kind | (0x80 if marker else 0)
        header = _HEADER.pack(0x80, second, self.sequence, self.timestamp & 0xFFFFFFFF, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp += ticks
        assert self._transport is not None
        self._transport.sendto(header + payload, to)

    def send_sound(self, to: tuple[str, int], sound: bytes, kind: int = 0) -> None:
        """Send PCMU in packets of 20 ms."""
        for start in range(0, len(sound), _FRAME):
            self.send(to, kind, sound[start : start + _FRAME], ticks=_FRAME)

    def press(
        self,
        to: tuple[str, int],
        digit: str,
        ms: int = 100,
        kind: int = 101,
        lost: Iterable[int] = (),
    ) -> None:
        """Send a digit as events, but for the packets whose places (from 0) are `lost`."""
        gone = set(lost)
        for place, payload in enumerate(event_payloads(digit, ms)):
            if place in gone:
                self.sequence = (self.sequence + 1) & 0xFFFF
            else:
                self.send(to, kind, payload, marker=place == 0)
        self.timestamp += (ms + 60) * RATE // 1000

    @asynccontextmanager
    async def talking(
        self, to: tuple[str, int], payload: bytes = b"\xff" * _FRAME, kind: int = 0
    ) -> AsyncIterator[None]:
        """Send a packet of sound each 20 ms meanwhile, as a phone does."""

        async def talk() -> None:
            while True:
                self.send(to, kind, payload, ticks=_FRAME)
                await asyncio.sleep(0.02)

        task = asyncio.create_task(talk())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def sound_after(self, payload: bytes, packet: Packet) -> None:
        """Wait for a packet with this payload that comes behind another."""
        async with asyncio.timeout(GUARD_S):
            while self.packets[-1] is packet or self.packets[-1].payload != payload:
                self._changed.clear()
                await self._changed.wait()

    async def until(self, count: int, kind: int) -> list[Packet]:
        """Wait for that many packets of a payload type; return all of it so far."""
        async with asyncio.timeout(GUARD_S):
            while len(found := self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return found

    def of(self, kind: int) -> list[Packet]:
        """Return the packets of a payload type so far."""
        return [packet for packet in self.packets if packet.type == kind]

    async def events(self, count: int, kind: int = 101) -> list[Pressed]:
        """Wait until that many events have ended, with all their end packets."""
        async with asyncio.timeout(GUARD_S):
            while sum(packet.payload[1] >> 7 for packet in self.of(kind)) < 3 * count:
                self._changed.clear()
                await self._changed.wait()
        return events_in(self.of(kind))

    async def tones(self, count: int) -> list[Pressed]:
        """Wait until that many digits are in the sound that came."""
        async with asyncio.timeout(GUARD_S):
            while len(found := tones_in(self.of(0))) < count:
                self._changed.clear()
                await self._changed.wait()
        return found


def events_in(packets: Sequence[Packet]) -> list[Pressed]:
    """Return the digits of telephone-event packets as RFC 4733 has a receiver see them."""
    longest: dict[int, tuple[int, int]] = {}
    for packet in packets:
        code, _, duration = struct.unpack("!BBH", packet.payload[:4])
        held = longest.setdefault(packet.timestamp, (code, 0))
        assert held[0] == code, "one timestamp, one event"
        longest[packet.timestamp] = (code, max(held[1], duration))
    return [Pressed(SIGNS[code], length * 1000 // RATE) for code, length in longest.values()]


def tones_in(packets: Sequence[Packet]) -> list[Pressed]:
    """Return the digits in PCMU, each told when it has ended; lengths to 20 ms."""
    found: list[Pressed] = []
    digit, frames = "", 0
    for packet in packets:
        heard = _digit_of([_linear(byte) for byte in packet.payload])
        if heard == digit:
            frames += 1
            continue
        if digit and frames > 1:
            found.append(Pressed(digit, 20 * frames))
        digit, frames = heard, 1
    return found


def _digit_of(samples: Sequence[int]) -> str:
    """Return the digit of one packet's samples, empty: none."""
    power = sum(sample * sample for sample in samples) / max(len(samples), 1)
    if len(samples) < _FRAME or power < 1e5:
        return ""
    low = max(_LOW, key=lambda hz: _strength(samples, hz))
    high = max(_HIGH, key=lambda hz: _strength(samples, hz))
    both = _strength(samples, low) + _strength(samples, high)
    return _KEYPAD[_LOW.index(low) * 4 + _HIGH.index(high)] if both > 0.6 * power else ""


def _strength(samples: Sequence[int], hz: int) -> float:
    """Return the power at one frequency."""
    turn = 2 * math.pi * hz / RATE
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    return 2 * (real * real + imaginary * imaginary) / len(samples) ** 2


def _ulaw(sample: int) -> int:
    """Code a sample by ITU-T G.711, mu-law."""
    sign, size = (0x80, -sample) if sample < 0 else (0, sample)
    size = min(size, 32635) + 132
    exponent = size.bit_length() - 8
    return ~(sign | exponent << 4 | (size >> exponent + 3) & 15) & 0xFF


def _linear(code: int) -> int:
    """Decode a byte of mu-law."""
    code = ~code & 0xFF
    size = ((code & 15) << 3 | 0x84) << (code >> 4 & 7)
    return 132 - size if code & 0x80 else size - 132
