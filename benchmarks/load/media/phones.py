"""Telephones that answer every INVITE at once; their RTP is the generator's."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import socket
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from benchmarks.load.media.generator import Address, Generator
from tests.kit.addresses import free_port
from tests.kit.rtp import audio_address

GUARD_S = 120.0
"""Longest wait for what the phones are to see. A guard against hanging."""

_HEADERS = re.compile(r"^(?:Via|From|Call-ID|CSeq|Record-Route):.*\r\n", re.MULTILINE)
_CALL_ID = re.compile(r"^Call-ID: *(\S+)", re.MULTILINE)
_TO = re.compile(r"^To: *(.*)\r\n", re.MULTILINE)
_FROM = re.compile(r"^From: *(.*)\r\n", re.MULTILINE)
_CONTACT = re.compile(r"^Contact: *<([^>]+)>", re.MULTILINE)
_DIRECTION = re.compile(r"^a=(sendonly|recvonly|inactive)\r$", re.MULTILINE)
_SUITE = "AES_CM_128_HMAC_SHA1_80"
"""What phones that encrypt mostly use (RFC 4568 6.2)."""
_CRYPTO = re.compile(rf"^a=crypto:(\d+) {_SUITE} inline:([A-Za-z0-9+/=]+)", re.MULTILINE)
_ANSWERED = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@dataclass(slots=True)
class PhoneCall:
    """One dialog of a phone."""

    leg: int
    user: str
    """User part of the Request-URI: `rung` or `dialled`."""
    local: str
    """Our From in requests of ours: the To of the INVITE, with our tag."""
    remote: str
    target: str
    """Contact of the engine, where requests of ours go to."""
    version: int = 1
    key: bytes = b""
    """What we encrypt with, empty: in the clear."""
    answered_at: float = 0.0
    """Seconds since the Unix epoch when the 200 to the first INVITE was written."""
    acknowledged: bool = False
    answers: dict[str, bytes] = field(default_factory=dict)
    """Answers by CSeq, for repeated requests."""


class Phones(asyncio.DatagramProtocol):
    """One UDP socket that is every phone. The nth INVITE is given leg n of the generator."""

    def __init__(self, generator: Generator) -> None:
        """Choose the address; `async with` binds it."""
        self._generator = generator
        self._address = (generator.host, free_port(generator.host))
        self._transport: asyncio.DatagramTransport
        self._changed = asyncio.Event()
        self.calls: dict[str, PhoneCall] = {}
        self.ended = 0
        """Dialogs that a BYE has ended."""

    def uri(self, user: str) -> str:
        """Return the SIP URI of a phone."""
        return f"sip:{user}@{self._address[0]}:{self._address[1]}"

    async def __aenter__(self) -> Self:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        bound.bind(self._address)
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, sock=bound
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    async def answered(self, legs: int) -> None:
        """Wait until that many legs have been acknowledged."""
        await self._until(lambda: sum(c.acknowledged for c in self.calls.values()) >= legs)

    async def hang_up(self, user: str, rate: float) -> None:
        """Send the BYE of every call of that phone, `rate` a second; wait for the end of all."""
        for call_id, call in self.calls.items():
            if call.user == user:
                self._bye(call_id, call)
                await asyncio.sleep(1 / rate)
        await self._until(lambda: self.ended >= len(self.calls))

    def datagram_received(self, data: bytes, address: Address) -> None:
        """Answer a request (called by asyncio)."""
        text = data.decode(errors="replace")
        found = _CALL_ID.search(text)
        if found is None:
            return
        method = text.partition(" ")[0]
        if method == "SIP/2.0":
            if "BYE" in text and " 200 " in text[:15]:
                self.ended += 1
        elif method == "ACK":
            self.calls[found[1]].acknowledged = True
        else:
            self._transport.sendto(self._answer(method, found[1], text), address)
        self._changed.set()

    def _answer(self, method: str, call_id: str, text: str) -> bytes:
        """Return the 200 to a request; a repeated one gets the answer it had."""
        call = self.calls.get(call_id) or self._new_call(call_id, text)
        cseq = text.partition("CSeq:")[2].partition("\r\n")[0]
        if cseq not in call.answers:
            if method == "BYE":
                self.ended += 1
                self._generator.send_to(call.leg, None)
            call.answers[cseq] = self._response(call, text, with_sdp=method == "INVITE")
            call.answered_at = call.answered_at or time.time()
        return call.answers[cseq]

    def _new_call(self, call_id: str, text: str) -> PhoneCall:
        leg = len(self.calls)
        to, caller, target = _TO.search(text), _FROM.search(text), _CONTACT.search(text)
        assert to, text
        assert caller, text
        assert target, text
        user = text.partition("sip:")[2].partition("@")[0]
        call = PhoneCall(leg, user, f"{to[1]};tag=leg{leg}", caller[1], target[1])
        self.calls[call_id] = call
        return call

    def _response(self, call: PhoneCall, text: str, *, with_sdp: bool) -> bytes:
        head = "SIP/2.0 200 OK\r\n" + "".join(m[0] for m in _HEADERS.finditer(text))
        head += f"To: {call.local}\r\nContact: <{self.uri(call.user)}>\r\n"
        body = self._sdp(call, text) if with_sdp else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def _sdp(self, call: PhoneCall, offer: str) -> str:
        """Answer an offer, and send our packets where it says."""
        self._generator.send_to(call.leg, audio_address(offer))
        host, port = self._generator.address(call.leg)
        found = _DIRECTION.search(offer)
        direction = _ANSWERED[found[1]] if found else "sendrecv"
        call.version += 1
        crypto = self._crypto(call, offer)
        profile = "SAVP" if crypto else "AVP"
        return (
            f"v=0\r\no=- {call.leg} {call.version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\n"
            f"t=0 0\r\nm=audio {port} RTP/{profile} 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
            f"{crypto}a={direction}\r\n"
        )

    def _crypto(self, call: PhoneCall, offer: str) -> str:
        """Take the offered key for what we receive and return the line with ours; empty: none."""
        found = _CRYPTO.search(offer)
        if found is None:
            return ""
        call.key = call.key or secrets.token_bytes(30)
        self._generator.encrypt(call.leg, call.key, base64.b64decode(found[2]))
        return f"a=crypto:{found[1]} {_SUITE} inline:{base64.b64encode(call.key).decode()}\r\n"

    def _bye(self, call_id: str, call: PhoneCall) -> None:
        host, port = self._address
        engine = re.search(r"@([^:;>]+):(\d+)", call.target)
        assert engine, call.target
        self._generator.send_to(call.leg, None)
        self._transport.sendto(
            f"BYE {call.target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bKbye{call.leg}\r\n"
            f"From: {call.local}\r\nTo: {call.remote}\r\nCall-ID: {call_id}\r\n"
            "CSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode(),
            (engine[1], int(engine[2])),
        )

    async def _until(self, done: object) -> None:
        assert callable(done)
        async with asyncio.timeout(GUARD_S):
            while not done():
                self._changed.clear()
                await self._changed.wait()
