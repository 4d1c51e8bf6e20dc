"""Questions to DNS servers, by dnspython, and their answers as plain values.

dnspython asks the servers in turn, each question from a socket and with an id of its own, drops
answers that do not fit the question, goes over to TCP for truncated ones and follows at most 16
CNAMEs of an answer.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.name import from_text
from dns.nameserver import Do53Nameserver, Nameserver
from dns.rdata import Rdata
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV
from dns.resolver import NXDOMAIN, NoResolverConfiguration
from dns.resolver import Resolver as SystemResolver

MAX_QUESTIONS = 64
"""Questions on their way at once; further ones wait, within the time of their look-up."""

_R = TypeVar("_R", bound=Rdata)


class QuestionFailed(Exception):
    """No server answered, or each refused or broke the protocol."""


class Naptr(msgspec.Struct, frozen=True):
    """A record that names a service of a domain (RFC 3403)."""

    order: int
    preference: int
    flags: str
    """In lower case; `s`: the replacement has SRV records."""
    service: str
    """In upper case: `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`, ..."""
    replacement: str


class Srv(msgspec.Struct, frozen=True):
    """A record that names a server of a service (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str
    """Host name, empty: the service is decidedly not available."""


class NameServers:
    """The DNS servers an engine asks."""

    def __init__(self, servers: tuple[tuple[str, int], ...], question_s: float) -> None:
        """Take addresses and ports, none of them: those of the system's resolv.conf, read once.

        `question_s`: seconds one question may take, with all servers and both tries.
        """
        self._question_s = question_s
        self._resolver = Resolver(configure=False)
        self._resolver.nameservers = _found(servers)
        # Every server is asked twice before the time of a question is over: packets get lost.
        self._resolver.timeout = question_s / (2 * max(len(self._resolver.nameservers), 1))
        self._free = asyncio.Semaphore(MAX_QUESTIONS)

    async def naptr(self, name: str) -> tuple[list[Naptr], float]:
        """Return the NAPTR records of a name and their TTL in seconds. Raises `QuestionFailed`."""
        records, ttl = await self._ask(name, NAPTR)
        return [
            Naptr(
                record.order,
                record.preference,
                record.flags.decode("ascii", "replace").lower(),
                record.service.decode("ascii", "replace").upper(),
                record.replacement.to_text(omit_final_dot=True).lower(),
            )
            for record in records
        ], ttl

    async def srv(self, name: str) -> tuple[list[Srv], float]:
        """Return the SRV records of a name and their TTL in seconds. Raises `QuestionFailed`."""
        records, ttl = await self._ask(name, SRV)
        return [
            Srv(
                record.priority,
                record.weight,
                record.port,
                record.target.to_text(omit_final_dot=True).lower().rstrip("."),
            )
            for record in records
        ], ttl

    async def addresses(self, name: str, family: int) -> tuple[list[str], float]:
        """Return the addresses of a name, `family` 4 or 6, and their TTL in seconds.

        Raises `QuestionFailed`.
        """
        if family == 4:
            four, ttl = await self._ask(name, A)
            return [str(record.address) for record in four], ttl
        six, ttl = await self._ask(name, AAAA)
        return [str(record.address) for record in six], ttl

    async def _ask(self, name: str, kind: type[_R]) -> tuple[list[_R], float]:
        """Return the records of a kind; none, when the servers say that there are none."""
        try:
            # Absolute: search domains must not make a customer's name into one of ours.
            question = from_text(f"{name}.")
            async with self._free:
                answer = await self._resolver.resolve(
                    question,
                    kind.__name__,
                    raise_on_no_answer=False,
                    lifetime=self._question_s,
                    search=False,
                )
        except NXDOMAIN:
            return [], 0.0
        except (DNSException, OSError) as error:
            raise QuestionFailed(f"{kind.__name__} {name}: {error}") from error
        if answer.rrset is None:
            return [], 0.0
        records = [record for record in answer.rrset if isinstance(record, kind)]
        return records, float(answer.chaining_result.minimum_ttl)


def _found(servers: tuple[tuple[str, int], ...]) -> list[str | Nameserver]:
    if servers:
        return [Do53Nameserver(address, port) for address, port in servers]
    try:
        return list(SystemResolver().nameservers)
    except NoResolverConfiguration:
        return []
