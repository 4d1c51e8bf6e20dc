"""A SIP phone inside the test, over UDP: answers one call with SDP that the test makes."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, cast

from tests.kit.addresses import free_port, loopback_address

GUARD_S = 40.0
"""Longest wait for a message. A guard against hanging, never a measured time."""

Answerer = Callable[[str], Awaitable[str | None]]
"""Makes the answer to an offer; None: 488."""

_serial = itertools.count()


class SipMessage:
    """A message as it came, its header fields found by name."""

    def __init__(self, text: str) -> None:
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, _, self._fields = head.partition("\r\n")
        self.method = self.start.split()[0]
        self.status = int(self.start.split()[1]) if self.method.startswith("SIP/") else 0

    def all(self, name: str) -> list[str]:
        """Return the values of every header field of that name."""
        return [
            value.strip()
            for value in re.findall(rf"^{name}:(.*)$", self._fields, re.MULTILINE | re.IGNORECASE)
        ]

    def one(self, name: str) -> str:
        """Return the value of the one header field of that name."""
        return self.all(name)[0]


class SipPhone(asyncio.DatagramProtocol):
    """Rings and answers the call that comes, acknowledges nothing by itself later.

    Args:
        answer: makes the SDP of the 200, for the first INVITE and for those inside the dialog.

    Use as `async with`.
    """

    def __init__(self, answer: Answerer) -> None:
        self.host = loopback_address()
        self.port = free_port(self.host)
        self.requests: list[SipMessage] = []
        self._answer = answer
        self._responses: asyncio.Queue[SipMessage] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._invite: SipMessage
        self._engine: tuple[str, int]
        self._tag = f"phone{next(_serial)}"
        self._cseq = itertools.count(1)
        self._transport: asyncio.DatagramTransport

    @property
    def uri(self) -> str:
        """SIP URI that reaches it."""
        return f"sip:phone@{self.host}:{self.port}"

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
        if error is None:
            await asyncio.gather(*self._tasks)
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Take a message (called by asyncio)."""
        message = SipMessage(data.decode())
        if message.status:
            if message.status >= 200:
                self._responses.put_nowait(message)
            return
        known = [(seen.method, seen.one("CSeq")) for seen in self.requests]
        if (message.method, message.one("CSeq")) in known:
            return
        self.requests.append(message)
        self._changed.set()
        if message.method == "INVITE":
            self._invite, self._engine = message, address
            task = asyncio.create_task(self._take_invite(message))
            self._tasks.add(task)
        elif message.method != "ACK":
            self._respond(message, "200 OK")

    async def request(self, method: str, count: int = 1) -> SipMessage:
        """Wait for the `count`th request of that method, and return it."""
        async with asyncio.timeout(GUARD_S):
            while True:
                self._changed.clear()
                seen = [message for message in self.requests if message.method == method]
                if len(seen) >= count:
                    return seen[count - 1]
                await self._changed.wait()

    async def reinvite(self, offer: str) -> SipMessage:
        """Offer media anew; return the final response, acknowledged."""
        cseq = next(self._cseq)
        self._send("INVITE", cseq, offer)
        response = await self._response(cseq)
        self._send("ACK", cseq, "")
        return response

    async def bye(self) -> None:
        """Hang up, and wait until the engine has heard it."""
        cseq = next(self._cseq)
        self._send("BYE", cseq, "")
        assert (await self._response(cseq)).status == 200

    async def _response(self, cseq: int) -> SipMessage:
        async with asyncio.timeout(GUARD_S):
            while True:
                response = await self._responses.get()
                if response.one("CSeq").split()[0] == str(cseq):
                    return response

    async def _take_invite(self, invite: SipMessage) -> None:
        if "tag=" not in invite.one("To"):
            self._respond(invite, "180 Ringing")
        answer = await self._answer(invite.body)
        self._respond(invite, "200 OK" if answer else "488 Not Acceptable Here", answer or "")

    def _respond(self, request: SipMessage, status: str, sdp: str = "") -> None:
        to = request.one("To")
        lines = [f"SIP/2.0 {status}"]
        lines += [f"Via: {via}" for via in request.all("Via")]
        lines += [f"From: {request.one('From')}"]
        lines += [f"To: {to}" if "tag=" in to else f"To: {to};tag={self._tag}"]
        lines += [f"Call-ID: {request.one('Call-ID')}", f"CSeq: {request.one('CSeq')}"]
        self._write(lines, sdp)

    def _send(self, method: str, cseq: int, sdp: str) -> None:
        contact = self._invite.one("Contact").partition("<")[2].partition(">")[0]
        host = f"{self.host}:{self.port}"
        to, sender = self._invite.one("From"), self._invite.one("To")
        lines = [
            f"{method} {contact} SIP/2.0",
            f"Via: SIP/2.0/UDP {host};branch=z9hG4bKphone{next(_serial)};rport",
            f"From: {sender}" if "tag=" in sender else f"From: {sender};tag={self._tag}",
            f"To: {to}",
            f"Call-ID: {self._invite.one('Call-ID')}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
        ]
        self._write(lines, sdp)

    def _write(self, lines: list[str], sdp: str) -> None:
        lines += [f"Contact: <{self.uri}>"]
        lines += ["Content-Type: application/sdp"] * bool(sdp)
        lines += [f"Content-Length: {len(sdp)}", "", sdp]
        self._transport.sendto("\r\n".join(lines).encode(), self._engine)
