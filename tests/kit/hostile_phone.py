"""A phone that answers with damaged responses, the same ones on every run."""

from __future__ import annotations

import asyncio
import random
import re
from types import TracebackType
from typing import Self

from tests.kit.addresses import loopback_address
from tests.kit.mutations import mutated

_HEADERS = re.compile(r"^(?:Via|From|Call-ID|CSeq|Record-Route):.*\r\n", re.MULTILINE)
_TO = re.compile(r"^To: (.*)\r\n", re.MULTILINE)
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)
_STATUSES = ("100 Trying", "180 Ringing", "183 Progress", "200 OK", "302 Moved", "401 Who",
             "422 Small", "486 Busy", "491 Pending", "603 No", "4294967301 better not",
             "-486 Busy", "000 None", "99 Low", "700 High")  # fmt: skip
_DIALOG = ("BYE", "INVITE", "UPDATE", "INFO", "REFER", "PRACK", "NOTIFY", "ACK", "CANCEL")


class HostilePhone(asyncio.DatagramProtocol):
    """A phone on a UDP port of its own. To each INVITE it sends damaged responses and damaged
    requests of that dialog; in the end it answers, refuses, or says no more.

    Args:
        seed: of its dice.
        damaged: how many damaged messages each INVITE gets.
    """

    def __init__(self, seed: int, damaged: int) -> None:
        """Throw no dice yet; entering opens the port."""
        self.host = loopback_address()
        self.calls = 0
        self._dice = random.Random(seed)
        self._damaged = damaged
        self._known: set[str] = set()
        self._transport: asyncio.DatagramTransport

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, (self.host, 0))
        self._transport = transport
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport.close()

    @property
    def uri(self) -> str:
        """SIP URI that reaches it."""
        return f"sip:phone@{self.host}:{self._transport.get_extra_info('sockname')[1]}"

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer a request; repetitions of an INVITE are left alone."""
        text = data.decode("utf-8", "replace")
        method = text.split(" ", 1)[0]
        call = text.partition("Call-ID: ")[2].partition("\r\n")[0]
        send = self._transport.sendto
        if method in ("BYE", "CANCEL"):
            send(self._response(text, "200 OK"), address)
            if method == "CANCEL":
                send(
                    self._response(text.replace(" CANCEL\r\n", " INVITE\r\n"), "487 Gone"), address
                )
        elif method == "INVITE" and call not in self._known:
            self._known.add(call)
            self.calls += 1
            for message in self._hostilities(text):
                send(message, address)

    def _hostilities(self, invite: str) -> list[bytes]:
        dice = self._dice
        messages = []
        for _ in range(self._damaged):
            if dice.random() < 0.7:
                sane = self._response(invite, dice.choice(_STATUSES), sdp=dice.random() < 0.5)
            else:
                sane = self._request(invite, dice.choice(_DIALOG))
            messages.append(mutated(dice, sane))
        ending = dice.choice(("200 OK", "486 Busy", ""))
        if ending:
            messages.append(self._response(invite, ending, sdp=ending == "200 OK"))
        return messages

    def _response(self, request: str, status: str, *, sdp: bool = False) -> bytes:
        body = _SDP.format(host=self.host) if sdp else ""
        found = _TO.search(request)
        to = found[1] if found else "<sip:nobody@test.invalid>"
        tag = "" if ";tag=" in to else f";tag=h{self.calls}"
        kind = "Content-Type: application/sdp\r\n" if sdp else ""
        return (
            f"SIP/2.0 {status}\r\n{''.join(_HEADERS.findall(request))}To: {to}{tag}\r\n"
            f"Contact: <{self.uri}>\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _request(self, invite: str, method: str) -> bytes:
        """Return a request of the dialog, in the opposite direction."""
        fields = dict(re.findall(r"^(From|To|Call-ID|Contact): (.*)\r\n", invite, re.MULTILINE))
        target = fields.get("Contact", "<sip:engine@127.0.0.1>").strip("<>").split(">")[0]
        body = _SDP.format(host=self.host) if method in ("INVITE", "UPDATE") else ""
        number = self._dice.randrange(1, 9)
        return (
            f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.uri[10:]};branch=z9hG4bKh{self._dice.randrange(10**9)}\r\n"
            f"From: {fields.get('To', '')};tag=h{self.calls}\r\nTo: {fields.get('From', '')}\r\n"
            f"Call-ID: {fields.get('Call-ID', '')}\r\nCSeq: {number} {method}\r\n"
            f"Contact: <{self.uri}>\r\nRefer-To: <sip:5@test.invalid>\r\nRAck: 1 1 INVITE\r\n"
            f"Max-Forwards: 70\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
