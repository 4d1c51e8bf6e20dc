"""Which addresses a host name leads to: RFC 3263, without ever holding up the event loop.

A name with a port is looked up as an address. Without one, the transport decides: given in the URI,
its SRV records are asked for; not given, the NAPTR records of the domain name the transports, and
without those every transport the engine listens on is asked for by SRV. Only when there is no SRV
record at all, the name itself is taken as an address with the default port of the transport.

Every look-up ends within the time it is given: NAPTR, SRV and addresses get a third of it each.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import msgspec

from engine.sip.hosts_file import HostsFile
from engine.sip.name_servers import NameServers, QuestionFailed, Srv
from engine.sip.port import Listener
from engine.sip.srv_order import Choice, Plan, in_order
from engine.sip.target import Target

MAX_HOPS = 16
"""Addresses tried for one name, and records of one kind that are looked at: an answer may have
thousands."""

MAX_LOOK_UPS = 256
"""Names looked up at once; a further one is not found, at once."""

MAX_CACHED = 4096
"""Names remembered; the one not asked for the longest goes first."""

MIN_TTL_S, MAX_TTL_S = 1.0, 3600.0
"""Bounds of the time an answer is remembered, whatever its records say."""

NOTHING_S = 5.0
"""How long it is remembered that a name leads nowhere, or that nobody could tell."""

HOSTS_S = 5.0
"""How long an address of the hosts file is remembered."""

_DEFAULT_PORT = {"udp": 5060, "tcp": 5060, "tls": 5061}
_SRV_LABELS = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}

_log = logging.getLogger(__name__)


class Location(msgspec.Struct, frozen=True):
    """What became of a look-up."""

    hops: tuple[str, ...]
    """`sip:ip:port;transport=x` (`sips:` for a `sips:` URI), the best first; empty: none."""
    failure: str = ""
    """Why there is none, in words, starting with the name."""


class _Nowhere(Exception):
    """A name leads nowhere; the message says why."""


class _Found(msgspec.Struct, frozen=True):
    plan: Plan
    failure: str
    until: float


class _Search(msgspec.Struct):
    """One look-up: its TTL is that of the record that lives shortest."""

    target: Target
    ttl: float = MAX_TTL_S
    failures: list[str] = msgspec.field(default_factory=list)

    def note(self, ttl: float) -> None:
        """Take the TTL of records that were used."""
        self.ttl = min(self.ttl, ttl)


class Locator:
    """Looks names up, remembers them, and shares one look-up among all who ask meanwhile."""

    def __init__(
        self,
        servers: NameServers,
        hosts: HostsFile,
        listeners: tuple[Listener, ...],
        timeout_s: float,
        pick: Callable[[int], int],
    ) -> None:
        """Take whom to ask and what the engine itself can use.

        `listeners`: their transports and address families are the ones that are looked up; where a
        name has addresses of both families, those of the transport's first listener come first.
        `pick`: as of `in_order`.
        """
        self._servers = servers
        self._hosts = hosts
        self._families: dict[str, list[int]] = {}
        for listener in listeners:
            families = self._families.setdefault(listener.transport, [])
            family = 6 if ":" in listener.host else 4
            if family not in families:
                families.append(family)
        self._timeout_s = timeout_s
        self._pick = pick
        self._cache: OrderedDict[Target, _Found] = OrderedDict()
        self._running: dict[Target, asyncio.Task[None]] = {}
        self._waiting: dict[Target, list[Callable[[Location], None]]] = {}

    @property
    def running(self) -> int:
        """Look-ups under way."""
        return len(self._running)

    def known(self, target: Target) -> Location | None:
        """Return what is remembered of a target, in an order drawn anew; None: look it up."""
        found = self._cache.get(target)
        if found is None or found.until <= asyncio.get_running_loop().time():
            return None
        self._cache.move_to_end(target)
        return self._location(found)

    def look_up(self, target: Target, done: Callable[[Location], None]) -> None:
        """Look a target up and call `done` once, from the loop, not before this has returned.

        Never called: after `close`.
        """
        waiting = self._waiting.get(target)
        if waiting is not None:
            waiting.append(done)
        elif len(self._running) >= MAX_LOOK_UPS:
            failure = f"{target.host}: {MAX_LOOK_UPS} names are being looked up already"
            asyncio.get_running_loop().call_soon(done, Location((), failure))
        else:
            self._waiting[target] = [done]
            task = asyncio.create_task(self._run(target), name=f"look up {target.host}")
            self._running[target] = task
            task.add_done_callback(partial(self._ended, target))

    async def close(self) -> None:
        """Give up what is under way; nobody is called any more. Idempotent."""
        self._waiting.clear()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _location(self, found: _Found) -> Location:
        return Location(in_order(found.plan, self._pick, MAX_HOPS), found.failure)

    async def _run(self, target: Target) -> None:
        search = _Search(target)
        plan: Plan = ()
        failure = ""
        try:
            async with asyncio.timeout(self._timeout_s):
                plan = await self._plan(search)
        except _Nowhere as nowhere:
            failure = f"{target.host}: {nowhere}"
        except TimeoutError:
            failure = f"{target.host}: no answer within {self._timeout_s:g} s"
        ttl = NOTHING_S if failure else min(max(search.ttl, MIN_TTL_S), MAX_TTL_S)
        found = _Found(plan, failure, asyncio.get_running_loop().time() + ttl)
        self._cache[target] = found
        self._cache.move_to_end(target)
        while len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        for done in self._waiting.pop(target, ()):
            done(self._location(found))

    def _ended(self, target: Target, task: asyncio.Task[None]) -> None:
        del self._running[target]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s could not be looked up", target.host, exc_info=error)
            for done in self._waiting.pop(target, ()):
                done(Location((), f"{target.host}: the look-up failed"))

    # --- RFC 3263 ---------------------------------------------------------------------------------

    async def _plan(self, search: _Search) -> Plan:
        """Return the servers of a target. Raises `_Nowhere`."""
        target = search.target
        usable = [name for name in target.transports if name in self._families]
        if not usable:
            raise _Nowhere(_no_transport(target))
        if target.port is None and not self._at_hand(target.host):
            services = {name: f"{_SRV_LABELS[name]}.{target.host}" for name in usable}
            if not target.transport:
                services = await self._services(search, usable) or services
            plan = await self._servers_of(search, services)
            if plan is not None:
                return plan
        port = target.port or _DEFAULT_PORT[usable[0]]
        hops = await self._hops(search, target.host, port, usable[0])
        if not hops:
            raise _Nowhere("; ".join(["no address", *search.failures[:2]]))
        return ((Choice(0, hops),),)

    async def _services(self, search: _Search, usable: list[str]) -> dict[str, str]:
        """Return the names with SRV records that the domain's NAPTR records give (RFC 3263 4.1)."""
        try:
            records, ttl = await self._servers.naptr(search.target.host)
        except QuestionFailed as failed:
            # Many a server answers this rare question wrongly; the usual names are worth a try.
            search.failures.append(str(failed))
            return {}
        records.sort(key=lambda record: (record.order, record.preference))
        services: dict[str, str] = {}
        for record in records[:MAX_HOPS]:
            transport = _SERVICES.get(record.service, "")
            if record.flags == "s" and transport in usable:
                services.setdefault(transport, record.replacement)
                search.note(ttl)
        return services

    async def _servers_of(self, search: _Search, services: dict[str, str]) -> Plan | None:
        """Return the servers of these SRV names, None when none of them has any (RFC 3263 4.2)."""
        answers = await asyncio.gather(
            *(self._srv_records(search, name) for name in services.values())
        )
        plan: list[tuple[Choice, ...]] = []
        for transport, records in zip(services, answers, strict=True):
            plan += await self._by_priority(search, transport, records or [])
        if any(choice.hops for choices in plan for choice in choices):
            return tuple(plan)
        if any(answers):
            raise _Nowhere("; ".join(["no address of its servers", *search.failures[:2]]))
        if None in answers:
            # Not the same as no record: the name itself is perhaps no SIP server at all.
            raise _Nowhere("; ".join(["no address", *search.failures[:2]]))
        return None

    async def _srv_records(self, search: _Search, name: str) -> list[Srv] | None:
        """Return the SRV records of a name, None when nobody could tell."""
        try:
            records, ttl = await self._servers.srv(name)
        except QuestionFailed as failed:
            search.failures.append(str(failed))
            return None
        if records:
            search.note(ttl)
        return records

    async def _by_priority(
        self, search: _Search, transport: str, records: list[Srv]
    ) -> list[tuple[Choice, ...]]:
        """Return the servers of one transport, in groups of one priority, addresses found."""
        best = sorted(records, key=lambda record: (record.priority, -record.weight))[:MAX_HOPS]
        found = await asyncio.gather(
            *(self._hops(search, record.target, record.port, transport) for record in best)
        )
        groups: dict[int, list[Choice]] = {}
        for record, hops in zip(best, found, strict=True):
            groups.setdefault(record.priority, []).append(Choice(record.weight, hops))
        return [tuple(choices) for choices in groups.values()]

    async def _hops(self, search: _Search, host: str, port: int, transport: str) -> tuple[str, ...]:
        """Return the hops of a host, of each address family that the transport has."""
        families = self._families[transport]
        known = self._at_hand(host)
        if known:
            search.note(HOSTS_S)
            found = [[one for one in known if (":" in one) == (family == 6)] for family in families]
        else:
            found = await asyncio.gather(
                *(self._addresses(search, host, family) for family in families if host)
            )
        scheme = search.target.scheme
        return tuple(
            f"{scheme}:{f'[{address}]' if ':' in address else address}:{port};transport={transport}"
            for addresses in found
            for address in addresses[:MAX_HOPS]
        )

    def _at_hand(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host that nobody needs to be asked for."""
        try:
            return (str(ipaddress.ip_address(host.strip("[]"))),)
        except ValueError:
            return self._hosts.addresses(host)

    async def _addresses(self, search: _Search, host: str, family: int) -> list[str]:
        try:
            addresses, ttl = await self._servers.addresses(host, family)
        except QuestionFailed as failed:
            search.failures.append(str(failed))
            return []
        if addresses:
            search.note(ttl)
        return addresses


def _no_transport(target: Target) -> str:
    if not target.transports:
        return f"a {target.scheme}: URI with transport={target.transport} leads nowhere"
    return f"the engine has no {' or '.join(target.transports)} listener"
