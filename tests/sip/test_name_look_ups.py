"""RFC 3263 by the table: what is asked for and what comes of it, against real name servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from dns.message import Message
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rrset import from_text as rrset_of

from engine.sip.hosts_file import HostsFile
from engine.sip.locate import MAX_HOPS, Location, Locator
from engine.sip.name_servers import NameServers
from engine.sip.port import Listener
from engine.sip.target import target_of
from tests.kit.dns import Dnsmasq, ScriptedNameServer, address_is

pytestmark = pytest.mark.sip

GUARD_S = 40.0

LISTENERS = (
    Listener("udp", "127.0.0.1", 5060),
    Listener("tcp", "127.0.0.1", 5060),
    Listener("tls", "127.0.0.1", 5061),
)

RECORDS = (
    "host-record=host.test,192.0.2.1",
    "host-record=other.test,192.0.2.2",
    "host-record=dual.test,192.0.2.3,2001:db8::3",
    "cname=alias.test,host.test",
    # Every transport by SRV, and an address that must not be used then.
    "host-record=srv.test,192.0.2.99",
    "srv-host=_sip._udp.srv.test,host.test,5070,20,1",
    "srv-host=_sip._udp.srv.test,other.test,5071,10,1",
    "srv-host=_sip._tcp.srv.test,host.test,5072,10,1",
    "srv-host=_sips._tcp.srv.test,host.test,5073,10,1",
    # NAPTR: TLS first, then UDP at another domain; one for a transport nobody has, one to no SRV.
    "naptr-record=naptr.test,5,1,s,SIP+D2S,,_sip._sctp.naptr.test",
    "naptr-record=naptr.test,6,1,u,E2U+sip,!^.*$!sip:a@b!",
    "naptr-record=naptr.test,20,1,s,SIP+D2U,,_sip._udp.srv.test",
    "naptr-record=naptr.test,10,1,s,SIPS+D2T,,_sips._tcp.srv.test",
    # Not available, decidedly (RFC 2782).
    "srv-host=_sip._udp.closed.test",
    "host-record=closed.test,192.0.2.98",
    "srv-host=_sip._udp.dangling.test,nowhere.test,5060",
    "host-record=dangling.test,192.0.2.97",
)

TABLE = [
    ("sip:host.test", ["sip:192.0.2.1:5060;transport=udp"]),
    ("sip:HOST.test.", ["sip:192.0.2.1:5060;transport=udp"]),
    ("sip:alias.test", ["sip:192.0.2.1:5060;transport=udp"]),
    ("sip:host.test;transport=tcp", ["sip:192.0.2.1:5060;transport=tcp"]),
    ("sip:host.test;transport=tls", ["sip:192.0.2.1:5061;transport=tls"]),
    ("sips:host.test", ["sips:192.0.2.1:5061;transport=tls"]),
    ("sip:host.test:5099", ["sip:192.0.2.1:5099;transport=udp"]),
    ("sip:srv.test:5060", ["sip:192.0.2.99:5060;transport=udp"]),
    (
        "sip:srv.test",
        [
            "sip:192.0.2.2:5071;transport=udp",
            "sip:192.0.2.1:5070;transport=udp",
            "sip:192.0.2.1:5072;transport=tcp",
            "sip:192.0.2.1:5073;transport=tls",
        ],
    ),
    ("sip:srv.test;transport=tcp", ["sip:192.0.2.1:5072;transport=tcp"]),
    ("sip:srv.test;transport=tls", ["sip:192.0.2.1:5073;transport=tls"]),
    ("sips:srv.test", ["sips:192.0.2.1:5073;transport=tls"]),
    (
        "sip:naptr.test",
        [
            "sip:192.0.2.1:5073;transport=tls",
            "sip:192.0.2.2:5071;transport=udp",
            "sip:192.0.2.1:5070;transport=udp",
        ],
    ),
    ("sips:naptr.test", ["sips:192.0.2.1:5073;transport=tls"]),
    ("sip:192.0.2.9;maddr=host.test", ["sip:192.0.2.1:5060;transport=udp"]),
    ("sip:host.test;maddr=192.0.2.8", ["sip:192.0.2.8:5060;transport=udp"]),
    ("sip:named.test", ["sip:192.0.2.77:5060;transport=udp"]),
    ("sip:localhost;transport=tcp", ["sip:127.0.0.1:5060;transport=tcp"]),
]

NOWHERE = [
    ("sip:nowhere.test", "no address"),
    ("sip:closed.test", "no address of its servers"),
    ("sip:dangling.test", "no address of its servers"),
    ("sip:host", "no address"),
    ("sip:host.test;transport=ws", "a sip: URI with transport=ws leads nowhere"),
    ("sips:host.test;transport=udp", "a sips: URI with transport=udp leads nowhere"),
    ("sip:a..test", "no address"),
    ("sip:[2001:db8::1];maddr=[2001:db8::2]", "no address"),
]


def _locator(
    hosts: Path, listeners: tuple[Listener, ...], *servers: str, timeout_s: float = 30
) -> Locator:
    hosts.write_text("192.0.2.77 named.test\n")
    found = tuple((host, int(port)) for host, _, port in (s.rpartition(":") for s in servers))
    asked = NameServers(found, timeout_s / 3)
    return Locator(asked, HostsFile(hosts), listeners, timeout_s, lambda _: 0)


async def _look_up(locator: Locator, uri: str) -> Location:
    found: asyncio.Future[Location] = asyncio.get_running_loop().create_future()
    locator.look_up(target_of(uri), found.set_result)
    async with asyncio.timeout(GUARD_S):
        return await found


@pytest_asyncio.fixture
async def locator(tmp_path: Path) -> AsyncIterator[Locator]:
    """A locator that asks a dnsmasq with the records above."""
    async with Dnsmasq(*RECORDS) as dns:
        made = _locator(tmp_path / "hosts", LISTENERS, dns.address)
        yield made
        await made.close()


async def test_what_leads_somewhere(locator: Locator) -> None:
    found = {uri: list((await _look_up(locator, uri)).hops) for uri, _ in TABLE}
    assert found == dict(TABLE)


async def test_what_leads_nowhere(locator: Locator) -> None:
    for uri, why in NOWHERE:
        location = await _look_up(locator, uri)
        assert location.hops == (), uri
        assert why in location.failure, uri


async def test_only_transports_and_families_of_the_listeners(tmp_path: Path) -> None:
    six, four = Listener("tcp", "::1", 5060), Listener("tcp", "127.0.0.1", 5060)
    async with Dnsmasq(*RECORDS) as dns:
        for listeners, hops in (
            ((four,), ["192.0.2.3"]),
            ((six,), ["[2001:db8::3]"]),
            ((six, four), ["[2001:db8::3]", "192.0.2.3"]),
            ((four, six), ["192.0.2.3", "[2001:db8::3]"]),
        ):
            locator = _locator(tmp_path / "hosts", listeners, dns.address)
            location = await _look_up(locator, "sip:dual.test")
            assert list(location.hops) == [f"sip:{hop}:5060;transport=tcp" for hop in hops]
            refused = await _look_up(locator, "sip:dual.test;transport=udp")
            assert "the engine has no udp listener" in refused.failure
            await locator.close()


async def test_a_look_up_is_remembered(tmp_path: Path) -> None:
    async with ScriptedNameServer(address_is("192.0.2.1")) as dns:
        locator = _locator(tmp_path / "hosts", LISTENERS, dns.address)
        target = target_of("sip:host.test:5070")
        assert locator.known(target) is None
        first = await _look_up(locator, "sip:host.test:5070")
        assert locator.known(target) == first
        assert dns.questions == ["host.test A"]
        await locator.close()


async def test_the_second_server_is_asked_when_the_first_says_nothing(tmp_path: Path) -> None:
    async with ScriptedNameServer() as silent, Dnsmasq(*RECORDS) as dns:
        locator = _locator(
            tmp_path / "hosts", LISTENERS, silent.address, dns.address, timeout_s=1.2
        )
        location = await _look_up(locator, "sip:host.test:5070")
        assert location.hops == ("sip:192.0.2.1:5070;transport=udp",)
        assert silent.questions[0] == "host.test A"
        await locator.close()


async def test_the_second_server_is_asked_when_nobody_listens_at_the_first(tmp_path: Path) -> None:
    async with Dnsmasq(*RECORDS) as dns:
        locator = _locator(
            tmp_path / "hosts", LISTENERS, f"{dns.host}:1", dns.address, timeout_s=1.2
        )
        assert (await _look_up(locator, "sip:host.test:5070")).hops
        await locator.close()


# --- servers that lie -----------------------------------------------------------------------------


def _many_servers(response: Message) -> Message:
    asked = response.question[0]
    if asked.rdtype is RdataType.SRV:
        texts = [f"1 1 {port} h{port}.test." for port in range(1, 25)]
        response.answer.append(rrset_of(asked.name, 60, "IN", "SRV", *texts))
    elif asked.rdtype is RdataType.A:
        texts = [f"192.0.2.{number}" for number in range(1, 25)]
        response.answer.append(rrset_of(asked.name, 60, "IN", "A", *texts))
    return response


def _loop_of_aliases(response: Message) -> Message:
    asked = response.question[0]
    response.answer.append(rrset_of(asked.name, 60, "IN", "CNAME", "b.test."))
    response.answer.append(rrset_of("b.test.", 60, "IN", "CNAME", asked.name.to_text()))
    return response


def _refused(response: Message) -> Message:
    response.set_rcode(Rcode.SERVFAIL)
    return response


def _answer_to_another_question(response: Message) -> Message:
    response.answer.append(rrset_of("evil.test.", 60, "IN", "A", "192.0.2.66"))
    return response


async def test_an_answer_with_thousands_of_records_is_cut(tmp_path: Path) -> None:
    async with ScriptedNameServer(_many_servers) as dns:
        locator = _locator(tmp_path / "hosts", LISTENERS[:1], dns.address)
        location = await _look_up(locator, "sip:many.test;transport=udp")
        assert len(location.hops) == MAX_HOPS
        assert sum(question.endswith(" A") for question in dns.questions) == MAX_HOPS
        await locator.close()


@pytest.mark.parametrize("say", [_loop_of_aliases, _refused, _answer_to_another_question])
async def test_answers_that_are_none(tmp_path: Path, say: Callable[[Message], Message]) -> None:
    async with ScriptedNameServer(say) as dns:
        locator = _locator(tmp_path / "hosts", LISTENERS, dns.address, timeout_s=0.6)
        location = await _look_up(locator, "sip:host.test:5070")
        assert location.hops == ()
        assert location.failure.startswith("host.test: no a")
        await locator.close()


async def test_one_transport_that_cannot_be_told_does_not_hide_the_others(tmp_path: Path) -> None:
    def say(response: Message) -> Message:
        asked = response.question[0]
        if asked.name.to_text().startswith("_sip._udp"):
            return _refused(response)
        if asked.rdtype is RdataType.NAPTR:
            return _refused(response)
        if asked.name.to_text().startswith("_sip._tcp"):
            response.answer.append(rrset_of(asked.name, 60, "IN", "SRV", "1 1 5072 h.test."))
            return response
        return address_is("192.0.2.1")(response)

    async with ScriptedNameServer(say) as dns:
        locator = _locator(tmp_path / "hosts", LISTENERS[:2], dns.address, timeout_s=3)
        location = await _look_up(locator, "sip:host.test")
        assert location.hops == ("sip:192.0.2.1:5072;transport=tcp",)
        await locator.close()
