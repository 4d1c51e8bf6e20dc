"""A WebRTC phone inside the test: aiortc's ICE, DTLS and SRTP under SDP that the test writes.

It sends and awaits numbered RTP packets, so that a test sees each that went through. For real audio
there is aiortc's whole peer connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import aioice.ice
import aioice.stun
from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
)
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.sdp import candidate_from_sdp

from tests.kit.addresses import loopback_address

_HEADER = struct.Struct("!BBHII")

GUARD_S = 30.0
"""Longest wait for a packet. A guard against hanging, never a measured time."""


def attribute(sdp: str, name: str) -> str:
    """Return the value of the one attribute of that name."""
    found: list[str] = re.findall(rf"^a={name}:(\S.*?)\r?$", sdp, re.MULTILINE)
    assert len(found) == 1, f"a={name} in\n{sdp}"
    return found[0]


class _Path:
    """What DTLS sends and receives through: the ICE transport of now, replaced by a restart."""

    role = "controlling"

    def __init__(self) -> None:
        self.ice: RTCIceTransport | None = None
        self._received: asyncio.Queue[bytes] = asyncio.Queue()
        self._pumps: list[asyncio.Task[None]] = []

    def use(self, ice: RTCIceTransport) -> None:
        self.ice = ice
        self._pumps.append(asyncio.create_task(self._pump(ice)))

    async def _pump(self, ice: RTCIceTransport) -> None:
        while True:
            self._received.put_nowait(await ice._recv())

    async def _recv(self) -> bytes:
        return await self._received.get()

    async def _send(self, data: bytes) -> None:
        assert self.ice is not None
        await self.ice._send(data)

    def close(self) -> None:
        for pump in self._pumps:
            pump.cancel()


class _Dtls(RTCDtlsTransport):
    """Keeps RTP and RTCP as they come out of SRTP."""

    def __init__(self, path: _Path, certificate: RTCCertificate) -> None:
        super().__init__(path, [certificate])  # type: ignore[arg-type]
        self.rtp: asyncio.Queue[bytes] = asyncio.Queue()
        self.rtcp: asyncio.Queue[bytes] = asyncio.Queue()

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self.rtp.put_nowait(data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self.rtcp.put_nowait(data)


class WebRtcPhone:
    """The media of one phone: answers offers of the engine, and makes offers of its own.

    Args:
        setup: its DTLS role as an answer says it: `active` or `passive`.
        ssrc: source of the RTP it sends.
        controlling: False: it takes itself for the controlled side until it is told (487).
        fingerprint: what its SDP says instead of its own.
        ice_password: what it makes its checks with instead of that of the offer.

    Use as `async with`.
    """

    def __init__(
        self,
        *,
        setup: str = "active",
        ssrc: int = 0x3EB,
        controlling: bool = True,
        fingerprint: str = "",
        ice_password: str = "",
    ) -> None:
        self.host = loopback_address()
        self.ssrc = ssrc
        self.certificate = RTCCertificate.generateCertificate()
        self._setup = setup
        self._controlling = controlling
        self._fingerprint = fingerprint or self.certificate.getFingerprints()[0].value
        self._ice_password = ice_password
        self._path = _Path()
        self._transports: list[RTCIceTransport] = []
        self._gatherer: RTCIceGatherer
        self._sequence = 0
        self._task: asyncio.Task[None]
        self.dtls = _Dtls(self._path, self.certificate)
        self.offers: list[str] = []
        self.stun_errors: asyncio.Queue[int] = asyncio.Queue()
        """Codes of the errors its checks were answered with."""

    @property
    def is_controlling(self) -> bool:
        """Whether it takes itself for the side that nominates."""
        return self._transports[-1]._connection.ice_controlling

    @property
    def others_received(self) -> int:
        """How many datagrams came to it that are no STUN."""
        return sum(ice._connection._queue.qsize() for ice in self._transports)

    async def __aenter__(self) -> Self:
        await self._gather()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if hasattr(self, "_task"):
            self._task.cancel()
        await self.dtls.stop()
        self._path.close()
        for ice in self._transports:
            await ice.stop()

    # --- signalling -------------------------------------------------------------------------------

    async def answer(self, offer: str) -> str:
        """Answer an offer of the engine and begin to connect, when it is the first."""
        first = not self.offers
        self.offers.append(offer)
        setup = self._setup
        if first:
            self.begin(offer, setup)
        direction = "recvonly" if "a=sendonly" in offer else "sendrecv"
        return self.describe(f"setup:{setup}", direction, event=_event_type(offer))

    def describe(self, setup: str, direction: str = "sendrecv", event: str = "101") -> str:
        """Write its SDP; `setup` is the whole attribute, `event` the number of telephone-event."""
        local = self._gatherer.getLocalParameters()
        candidate = self._gatherer.getLocalCandidates()[0]
        lines = [
            "v=0",
            f"o=- 1 {len(self.offers) + len(self._transports)} IN IP4 {self.host}",
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"m=audio {candidate.port} UDP/TLS/RTP/SAVPF 0 {event}",
            f"a=rtpmap:{event} telephone-event/8000",
            "a=mid:0",
            f"a={direction}",
            "a=rtcp-mux",
            f"a=ice-ufrag:{local.usernameFragment}",
            f"a=ice-pwd:{local.password}",
            f"a=candidate:1 1 udp 2130706431 {candidate.ip} {candidate.port} typ host",
            f"a=fingerprint:sha-256 {self._fingerprint}",
            f"a={setup}",
        ]
        return "\r\n".join([*lines, ""])

    def begin(self, theirs: str, setup: str) -> None:
        """Check the engine's address, then do the DTLS handshake, both in the background."""
        self._task = asyncio.create_task(self._connect(theirs, setup))

    async def restart(self) -> str:
        """Begin ICE anew; return the offer. `resume` with the answer goes on."""
        await self._gather()
        return self.describe("setup:actpass")

    async def resume(self, answer: str) -> None:
        """Check the engine's address again after `restart`; DTLS stays."""
        await self._check(answer)

    # --- media ------------------------------------------------------------------------------------

    async def connected(self) -> None:
        """Wait until ICE and DTLS are done. Raises `AssertionError` when they failed."""
        async with asyncio.timeout(GUARD_S):
            await asyncio.shield(self._task)
        assert self.dtls.state == "connected", self.dtls.state

    async def send(self, payload: bytes) -> bytes:
        """Send one PCMU packet with the next sequence number; return the payload sent."""
        self._sequence += 1
        header = _HEADER.pack(0x80, 0, self._sequence, self._sequence * 160, self.ssrc)
        await self.dtls._send_rtp(header + payload)
        return payload

    async def payload(self) -> bytes:
        """Wait for the next RTP packet and return its payload."""
        async with asyncio.timeout(GUARD_S):
            return (await self.dtls.rtp.get())[_HEADER.size :]

    # --- how it works -----------------------------------------------------------------------------

    async def _gather(self) -> None:
        self._gatherer = RTCIceGatherer(iceServers=[])
        with only_address(self.host):
            await self._gatherer.gather()

    async def _connect(self, theirs: str, setup: str) -> None:
        await self._check(theirs)
        self.dtls._set_role("client" if setup == "active" else "server")
        hash_name, _, value = attribute(theirs, "fingerprint").partition(" ")
        await self.dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(hash_name, value)]))

    async def _check(self, theirs: str) -> None:
        ice = RTCIceTransport(self._gatherer)
        self._transports.append(ice)
        self._watch(ice)
        ice._connection.ice_controlling = self._controlling
        await ice.addRemoteCandidate(candidate_from_sdp(attribute(theirs, "candidate")))
        await ice.addRemoteCandidate(None)
        await ice.start(
            RTCIceParameters(
                usernameFragment=attribute(theirs, "ice-ufrag"),
                password=self._ice_password or attribute(theirs, "ice-pwd"),
                iceLite=True,
            )
        )
        if ice.state == "completed":
            self._path.use(ice)
        else:
            raise ConnectionError(f"ICE is {ice.state}")

    def _watch(self, ice: RTCIceTransport) -> None:
        """Note the errors its checks are answered with."""
        for protocol in ice._connection._protocols:
            take = protocol.datagram_received

            def watched(data: bytes | str, address: Any, take: Any = take) -> None:
                with contextlib.suppress(ValueError):
                    message = aioice.stun.parse_message(data)  # type: ignore[arg-type]
                    if message.message_class == aioice.stun.Class.ERROR:
                        self.stun_errors.put_nowait(message.attributes["ERROR-CODE"][0])
                take(data, address)

            protocol.datagram_received = watched  # type: ignore[method-assign, assignment]


def _event_type(sdp: str) -> str:
    found = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", sdp, re.MULTILINE)
    return found[1] if found else "101"


@contextlib.contextmanager
def only_address(host: str) -> Iterator[None]:
    """Have ICE gather one loopback address, which it would leave out."""
    kept = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [host]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = kept
