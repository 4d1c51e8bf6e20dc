"""An RTP peer inside the test: sends numbered packets, awaits those of the other side."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

from tests.kit.addresses import free_media_port, loopback_address

_HEADER = struct.Struct("!BBHII")
_CONNECTION = re.compile(r"^c=IN IP[46] (\S+)", re.MULTILINE)
_AUDIO = re.compile(r"^m=audio (\d+) ", re.MULTILINE)

GUARD_S = 10.0
"""Longest wait for a packet; a guard against hanging."""


def audio_address(sdp: str) -> tuple[str, int]:
    """Return address and port of the audio stream of an SDP. Raises `AssertionError` when it names
    none.
    """
    connection, audio = _CONNECTION.search(sdp), _AUDIO.search(sdp)
    assert connection, f"no address in SDP:\n{sdp}"
    assert audio, f"no audio in SDP:\n{sdp}"
    return connection[1], int(audio[1])


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """What a peer received."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def read_packet(datagram: bytes) -> RtpPacket | None:
    """Take an RTP packet apart; None for RTCP (RFC 5761 4) and anything else."""
    if len(datagram) < _HEADER.size or datagram[0] != 0x80 or 192 <= datagram[1] < 224:
        return None
    _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
    payload = datagram[_HEADER.size :]
    return RtpPacket(bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, payload)


class RtpPeer(asyncio.DatagramProtocol):
    """Sends and receives RTP (RFC 3550 5.1) at a loopback address of its own.

    Args:
        ssrc: synchronisation source of the packets sent. What comes through an engine has its own.
        host: address to bind, None for a fresh one.
        port: port to bind, None for a free one.
    """

    def __init__(self, ssrc: int, host: str | None = None, port: int | None = None) -> None:
        """Choose the address; `async with` binds it."""
        self.ssrc = ssrc
        self.host = host or loopback_address()
        self.port = port or free_media_port(self.host)
        self._sequence = 0
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        self.source: tuple[str, int] = ("", 0)
        """Address the last datagram came from."""
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(self.host, self.port), family=family
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Keep a datagram (called by asyncio)."""
        self.source = (address[0], address[1])
        self._received.put_nowait(data)

    def send(
        self,
        destination: tuple[str, int],
        payload: bytes,
        *,
        payload_type: int = 0,
        marker: bool = False,
        sequence: int | None = None,
        step: int = 160,
    ) -> bytes:
        """Send one packet, PCMU unless told otherwise; return the payload sent.

        `sequence` None: the next number. The timestamp is the number times `step`.
        """
        self._sequence = self._sequence + 1 if sequence is None else sequence
        header = _HEADER.pack(
            0x80,
            payload_type | marker << 7,
            self._sequence & 0xFFFF,
            self._sequence * step & 0xFFFFFFFF,
            self.ssrc,
        )
        self.send_raw(destination, header + payload)
        return payload

    def send_raw(self, destination: tuple[str, int], datagram: bytes) -> None:
        """Send any bytes."""
        assert self._transport is not None
        self._transport.sendto(datagram, destination)

    def send_many(self, destination: tuple[str, int], count: int) -> None:
        """Send that many PCMU packets in sequence."""
        for _ in range(count):
            self.send(destination, b"x" * 160)

    async def reach(self, destination: tuple[str, int], other: RtpPeer) -> None:
        """Send until a packet comes to `other`, and wait for the last of them.

        Events tell of a bridge, or of early media, when the join is ordered; it is made a moment
        later, and what is sent before that goes nowhere.
        """
        first, last = b"\xff" * 160, b"\x55" * 160
        async with asyncio.timeout(GUARD_S):
            while not await self._comes(destination, first, other):
                pass
            self.send(destination, last)
            while await other.payload() != last:
                pass

    async def _comes(self, destination: tuple[str, int], payload: bytes, other: RtpPeer) -> bool:
        """Send a packet; return whether one like it comes before the next is due."""
        self.send(destination, payload)
        try:
            async with asyncio.timeout(0.02):
                while await other.payload() != payload:
                    pass
        except TimeoutError:
            return False
        return True

    async def datagram(self) -> bytes:
        """Wait for the next datagram, whatever it is."""
        async with asyncio.timeout(GUARD_S):
            return await self._received.get()

    async def packet(self) -> RtpPacket:
        """Wait for the next RTP packet; other datagrams are passed over."""
        async with asyncio.timeout(GUARD_S):
            while True:
                datagram = await self._received.get()
                packet = read_packet(datagram)
                if packet is not None:
                    return packet

    def received_now(self) -> int:
        """Return how many datagrams have come and were not awaited."""
        return self._received.qsize()

    async def payload(self) -> bytes:
        """Wait for the next RTP packet and return its payload."""
        return (await self.packet()).payload

    def waiting(self) -> list[RtpPacket]:
        """Return the RTP packets that have come and were not awaited, and forget them."""
        packets = []
        while not self._received.empty():
            packets.append(read_packet(self._received.get_nowait()))
        return [packet for packet in packets if packet is not None]
