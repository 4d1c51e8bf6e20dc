"""An RTP peer inside the test: sends numbered packets, awaits those of the other side."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
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


class RtpPeer(asyncio.DatagramProtocol):
    """Sends and receives RTP (RFC 3550 5.1) at a loopback address of its own.

    Args:
        ssrc: synchronisation source of the packets sent; tells two peers apart.
        host: address to bind, None for a fresh one.
    """

    def __init__(self, ssrc: int, host: str | None = None) -> None:
        """Choose the address; `async with` binds it."""
        self.ssrc = ssrc
        self.host = host or loopback_address()
        self.port = free_media_port(self.host)
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

    def send(self, destination: tuple[str, int], payload: bytes) -> bytes:
        """Send one PCMU packet with the next sequence number; return the payload sent."""
        self._sequence += 1
        header = _HEADER.pack(0x80, 0, self._sequence, self._sequence * 160, self.ssrc)
        assert self._transport is not None
        self._transport.sendto(header + payload, destination)
        return payload

    async def payload_from(self, ssrc: int) -> bytes:
        """Wait for the next RTP packet of `ssrc` and return its payload; others are passed over."""
        async with asyncio.timeout(GUARD_S):
            while True:
                packet = await self._received.get()
                if len(packet) >= _HEADER.size and _HEADER.unpack_from(packet)[4] == ssrc:
                    return packet[_HEADER.size :]
