"""Name servers of a test: dnsmasq with the records of the test, one that never answers, one that
lies.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from types import TracebackType
from typing import Self

from dns.message import Message, from_wire
from dns.message import make_response as response_to
from dns.rdatatype import RdataType
from dns.rrset import from_text as rrset_of

from tests.kit.addresses import free_port, is_bound, loopback_address
from tests.kit.programs import require

GUARD_S = 40.0
"""Longest wait for dnsmasq to start. A guard against hanging, never a measured time."""


class Dnsmasq:
    """A real name server that knows the given records and nothing else.

    Args:
        records: options of dnsmasq without their dashes, as `host-record=a.test,127.0.0.9`,
            `srv-host=_sip._udp.a.test,b.test,5060,10,50` or `naptr-record=...`.

    Use as `async with`.
    """

    def __init__(self, *records: str) -> None:
        """Choose address and port; nothing is started yet."""
        self.host = loopback_address()
        self.port = free_port(self.host)
        self._records = records
        self._process: Process | None = None

    @property
    def address(self) -> str:
        """`ADDRESS:PORT` as `dns_servers` takes it."""
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        options = [
            *("keep-in-foreground", "conf-file=/dev/null", "no-resolv", "no-hosts", "pid-file="),
            *("bind-interfaces", f"listen-address={self.host}", f"port={self.port}"),
            # Whatever is not among the records does not exist; nobody else is asked.
            *("local=/#/", "local-ttl=60", "log-facility=-", "user=", *self._records),
        ]
        self._process = await asyncio.create_subprocess_exec(
            *(require("dnsmasq"), *(f"--{option}" for option in options)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            # A sanitizer preloaded for the engine is not for others.
            env={},
        )
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while not is_bound(self.host, self.port):
            if self._process.returncode is not None:
                assert self._process.stderr is not None
                said = (await self._process.stderr.read()).decode(errors="replace")
                raise AssertionError(f"dnsmasq ended: {said}")
            assert asyncio.get_running_loop().time() < deadline, "dnsmasq did not start"
            await asyncio.sleep(0.005)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


class ScriptedNameServer(asyncio.DatagramProtocol):
    """A name server that says what a test wants, or nothing; for what no real one would say.

    Args:
        say: fills the response to a question, or returns None to stay silent. None: never answers.
        held: keep every answer back until `release`.
    """

    def __init__(
        self, say: Callable[[Message], Message | None] | None = None, *, held: bool = False
    ) -> None:
        """Choose an address; entering binds it."""
        self.host = loopback_address()
        self.port = free_port(self.host)
        self.questions: list[str] = []
        """`NAME TYPE` of every question, as they came."""
        self._say = say
        self._held: list[tuple[bytes, tuple[str, int]]] | None = [] if held else None
        self._asked = asyncio.Event()
        self._transport: asyncio.DatagramTransport

    @property
    def address(self) -> str:
        """`ADDRESS:PORT` as `dns_servers` takes it."""
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self.host, self.port), family=socket.AF_INET
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Note the question and answer it (called by the event loop)."""
        query = from_wire(data)
        asked = query.question[0]
        self.questions.append(f"{asked.name.to_text(omit_final_dot=True)} {asked.rdtype.name}")
        self._asked.set()
        answer = self._say(response_to(query)) if self._say is not None else None
        if answer is not None and self._held is not None:
            self._held.append((answer.to_wire(), addr))
        elif answer is not None:
            self._transport.sendto(answer.to_wire(), addr)

    def release(self) -> None:
        """Give the answers held back, and from now on answer at once."""
        held, self._held = self._held or [], None
        for answer, asker in held:
            self._transport.sendto(answer, asker)

    async def asked(self) -> None:
        """Wait for the first question."""
        async with asyncio.timeout(GUARD_S):
            await self._asked.wait()


def address_is(address: str) -> Callable[[Message], Message]:
    """Return what a server says for which every name has this IPv4 address, and no other record."""

    def say(response: Message) -> Message:
        asked = response.question[0]
        if asked.rdtype is RdataType.A:
            response.answer.append(rrset_of(asked.name, 60, "IN", "A", address))
        return response

    return say
