"""Host names instead of addresses, in front of and inside a call (RFC 3263)."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.kit.addresses import loopback_address
from tests.kit.dns import Dnsmasq, ScriptedNameServer, address_is
from tests.kit.engine import GUARD_S, EngineUnderTest
from tests.kit.sipp import Sipp
from tests.kit.tls import TlsTerminator, make_certificate

pytestmark = pytest.mark.sip


async def _hung_up(engine: EngineUnderTest) -> str:
    """Wait until the two talk, end the call and return its cause."""
    await engine.event("CHANNEL_BRIDGE", count=2)
    path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
    assert (await engine.http.delete(path)).is_success
    return str((await engine.end())["Hangup-Cause"])


async def test_a_name_with_a_port_is_an_address(tmp_path: Path) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-ring-answer") as bob:
        async with (
            Dnsmasq(f"host-record=alice.test,{alice.host}") as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            uri = f"sip:phone@alice.test:{alice.port}"
            device = await engine.device("alice", "1001", uri)
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(device, "1002")
            assert await _hung_up(engine) == "NORMAL_CLEARING"
        messages = await alice.succeeded()
        await bob.succeeded()
    assert messages[0].request_uri == uri
    assert messages[0].headers("Route") == []


async def test_srv_records_say_host_and_port(tmp_path: Path) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-carrier-answer") as carrier:
        async with (
            Dnsmasq(
                f"host-record=pop1.carrier.test,{carrier.host}",
                f"srv-host=_sip._udp.carrier.test,pop1.carrier.test,{carrier.port},10,50",
            ) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            device = await engine.device("alice", "1001", alice.uri)
            gateway = {"server": "carrier.test"}
            await engine.put(
                "resources",
                {"name": "c", "rules": [r"^(\d{6,})$"], "gateways": [gateway]},
            )
            await engine.quickcall(device, "4930123456")
            assert await _hung_up(engine) == "NORMAL_CLEARING"
        await alice.succeeded()
        invite = (await carrier.succeeded())[0]
    assert invite.request_uri.startswith("sip:4930123456@carrier.test")


async def test_naptr_records_say_the_transport(tmp_path: Path) -> None:
    async with Sipp("uas-ring-answer", transport="tcp") as alice, Sipp("uas-ring-answer") as bob:
        async with (
            Dnsmasq(
                "naptr-record=alice.test,20,10,s,SIP+D2U,,_sip._udp.alice.test",
                "naptr-record=alice.test,10,10,s,SIP+D2T,,_sip._tcp.phones.test",
                f"srv-host=_sip._tcp.phones.test,host.phones.test,{alice.port}",
                f"host-record=host.phones.test,{alice.host}",
            ) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            device = await engine.device("alice", "1001", "sip:phone@alice.test")
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(device, "1002")
            assert await _hung_up(engine) == "NORMAL_CLEARING"
        invite = (await alice.succeeded())[0]
        await bob.succeeded()
    assert invite.header("Via").startswith("SIP/2.0/TCP ")
    assert ";transport=tcp" in invite.header("Contact").lower()


@pytest.mark.parametrize("uri", ["sip:alice@alice.test;transport=tls", "sips:alice@alice.test"])
async def test_tls_at_a_name(tmp_path: Path, uri: str) -> None:
    host = loopback_address()
    certificate, key = await make_certificate(tmp_path, host)
    own_certificate, own_key = await make_certificate(tmp_path, "127.0.0.1")
    terminator = TlsTerminator(host, certificate, key)
    alice = Sipp("uas-busy-486", transport="tcp", host=host)
    async with (
        Dnsmasq(
            f"srv-host=_sips._tcp.alice.test,host.alice.test,{terminator.port}",
            f"host-record=host.alice.test,{host}",
        ) as dns,
        EngineUnderTest(
            tmp_path,
            ("udp:127.0.0.1:0", "tls:127.0.0.1:0"),
            tls_certificate=str(own_certificate),
            tls_private_key=str(own_key),
            dns_servers=[dns.address],
        ) as engine,
        terminator.carry_to(alice.port),
        alice,
    ):
        device = await engine.device("alice", "1001", uri)
        await engine.quickcall(device, "1002")
        assert (await engine.end())["Hangup-Cause"] == "USER_BUSY"
        invite = (await alice.succeeded())[0]
    assert invite.request_uri == uri
    assert invite.header("Via").startswith("SIP/2.0/TLS ")


async def test_an_ipv6_address_of_a_name(tmp_path: Path) -> None:
    listeners = ("udp:[::1]:0", "tcp:[::1]:0")
    async with (
        Sipp("uas-ring-answer", host="::1") as alice,
        Sipp("uas-busy-486", host="::1") as bob,
    ):
        async with (
            Dnsmasq("host-record=alice.test,::1") as dns,
            EngineUnderTest(
                tmp_path, listeners, media_host="::1", dns_servers=[dns.address]
            ) as engine,
        ):
            device = await engine.device("alice", "1001", f"sip:phone@alice.test:{alice.port}")
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(device, "1002")
            assert (await engine.end())["Hangup-Cause"] == "USER_BUSY"
        invite = (await alice.succeeded())[0]
        await bob.succeeded()
    assert "[::1]" in invite.header("Via")


async def test_the_first_route_is_what_is_looked_up(tmp_path: Path) -> None:
    proxy = Sipp("uas-proxy-answer")
    route = f"sip:proxy.test:{proxy.port};lr"
    async with (
        Dnsmasq(f"host-record=proxy.test,{proxy.host}") as dns,
        EngineUnderTest(tmp_path, dns_servers=[dns.address], outbound_proxy=route) as engine,
        proxy,
    ):
        device = await engine.device("alice", "1001")
        await engine.quickcall(device, "no-such-number")
        end = await engine.end()
        invite = (await proxy.succeeded())[0]
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert invite.header("Route") == f"<{route}>"


async def test_a_name_that_does_not_exist(tmp_path: Path) -> None:
    async with (
        Dnsmasq() as dns,
        EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
    ):
        device = await engine.device("alice", "1001", "sip:phone@nowhere.test")
        await engine.quickcall(device, "1002")
        end = await engine.end()
        (cdr,) = (await engine.cdrs()).values()
    assert end["Hangup-Cause"] == "NORMAL_TEMPORARY_FAILURE"
    assert "nowhere.test: no address" in str(end)
    assert cdr["hangup_cause"] == "NORMAL_TEMPORARY_FAILURE"


async def test_the_next_carrier_is_tried_when_one_has_no_address(tmp_path: Path) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-carrier-answer") as carrier:
        async with (
            Dnsmasq() as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            device = await engine.device("alice", "1001", alice.uri)
            await engine.carrier(carrier, weight=10, server="nowhere.test")
            await engine.carrier(carrier, weight=20)
            await engine.quickcall(device, "4930123456")
            assert await _hung_up(engine) == "NORMAL_CLEARING"
        await alice.succeeded()
        await carrier.succeeded()


async def test_a_hang_up_while_the_name_is_looked_up(tmp_path: Path) -> None:
    async with (
        ScriptedNameServer() as dns,
        EngineUnderTest(tmp_path, dns_servers=[dns.address], dns_timeout_s=60) as engine,
    ):
        device = await engine.device("alice", "1001", "sip:phone@alice.test")
        waiting = asyncio.create_task(engine.quickcall(device, "1002"))
        await dns.asked()
        await engine.event("CHANNEL_CREATE")
        path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
        assert (await engine.http.delete(path)).is_success
        end = await engine.end()
        await waiting
        assert engine.engine.stats().legs == 0
    assert end["Hangup-Cause"] == "ORIGINATOR_CANCEL"


async def test_a_name_server_that_says_nothing(tmp_path: Path) -> None:
    async with (
        ScriptedNameServer() as dns,
        EngineUnderTest(tmp_path, dns_servers=[dns.address], dns_timeout_s=0.3) as engine,
    ):
        device = await engine.device("alice", "1001", "sip:phone@alice.test")
        await engine.quickcall(device, "1002")
        end = await engine.end()
    assert end["Hangup-Cause"] == "NORMAL_TEMPORARY_FAILURE"
    assert dns.questions[0] == "alice.test NAPTR"


async def test_an_engine_that_closes_does_not_wait_for_names(tmp_path: Path) -> None:
    async with ScriptedNameServer() as dns:
        async with EngineUnderTest(tmp_path, dns_servers=[dns.address], dns_timeout_s=60) as engine:
            device = await engine.device("alice", "1001", "sip:phone@alice.test")
            waiting = asyncio.create_task(engine.quickcall(device, "1002"))
            await dns.asked()
            await engine.engine.close()
            await waiting
        assert [event.name for event in engine.events].count("QUICKCALL_END") == 1


# --- names inside a dialog ------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["uas-contact-name", "uas-record-route-name"])
async def test_a_name_that_the_answer_brings(tmp_path: Path, scenario: str) -> None:
    keys = {"contact_host": "alice.test", "route_host": "alice.test"}
    async with Sipp(scenario, keys=keys) as alice, Sipp("uas-ring-answer") as bob:
        async with (
            Dnsmasq(f"host-record=alice.test,{alice.host}") as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            device = await engine.device("alice", "1001", alice.uri)
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(device, "1002")
            assert await _hung_up(engine) == "NORMAL_CLEARING"
        messages = await alice.succeeded()
        await bob.succeeded()
    assert [message.method for message in messages if message.method] == ["INVITE", "ACK", "BYE"]


async def test_a_name_that_only_the_phone_knows(tmp_path: Path) -> None:
    """The requests inside the dialog go where the answer came from."""
    async with (
        Sipp("uas-contact-name", keys={"contact_host": "desk-phone"}) as alice,
        Dnsmasq() as dns,
        EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.quickcall(device, "9999")
        assert (await engine.end())["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
        messages = await alice.succeeded()
    assert [message.method for message in messages if message.method] == ["INVITE", "ACK", "BYE"]
    assert [m for m in messages if m.method][-1].request_uri == f"sip:phone@desk-phone:{alice.port}"


async def test_no_call_waits_for_the_name_of_another(tmp_path: Path) -> None:
    async with (
        Sipp("uas-contact-name", keys={"contact_host": "alice.test"}) as alice,
        Sipp("uas-ring-answer") as carol,
        Sipp("uas-ring-answer") as bob,
    ):
        async with (
            ScriptedNameServer(address_is(alice.host), held=True) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address], dns_timeout_s=60) as engine,
        ):
            slow = await engine.device("alice", "1001", alice.uri)
            quick = await engine.device("carol", "1003", carol.uri)
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(slow, "9999")
            await dns.asked()
            await engine.quickcall(quick, "1002")
            await engine.event("CHANNEL_BRIDGE", count=2)
            # The other call is connected, and alice's ACK has not even been sent.
            assert "ACK" not in [message.method for message in alice.messages_now()]
            dns.release()
            assert (await engine.end())["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
            path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[-1]}"
            assert (await engine.http.delete(path)).is_success
            await engine.end(count=2)
        messages = await alice.succeeded()
        await carol.succeeded()
        await bob.succeeded()
    # Her 200 is repeated until the ACK has come, and each is acknowledged.
    ladder = dict.fromkeys(message.method for message in messages if message.method)
    assert list(ladder) == ["INVITE", "ACK", "BYE"]
    assert set(dns.questions) == {"alice.test A"}


async def test_media_at_a_host_name_is_refused(tmp_path: Path) -> None:
    async with (
        Sipp("uas-media-name") as alice,
        ScriptedNameServer() as dns,
        EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await alice.succeeded()
    assert end["Hangup-Cause"] == "INCOMPATIBLE_DESTINATION"
    assert dns.questions == []


async def test_a_stranger_cannot_make_the_engine_look_a_name_up(tmp_path: Path) -> None:
    """The maddr of a Via is where the response goes (RFC 3261 18.2.2)."""
    request = (
        "OPTIONS sip:quickcall@127.0.0.1 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{name};maddr={name}\r\n"
        "From: <sip:stranger@test.invalid>;tag=1\r\n"
        "To: <sip:quickcall@127.0.0.1>\r\n"
        "Call-ID: {name}\r\n"
        "CSeq: 1 OPTIONS\r\n"
        "Max-Forwards: 70\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    async with (
        ScriptedNameServer() as dns,
        EngineUnderTest(tmp_path, dns_servers=[dns.address], dns_timeout_s=0.3) as engine,
    ):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            stranger.bind(("127.0.0.1", 0))
            host, _, port = engine.sip_address().rpartition(":")
            own = stranger.getsockname()[1]
            for name in ("maddr.test", "127.0.0.1"):
                text = request.format(port=own, name=name).encode()
                await loop.sock_sendto(stranger, text, (host, int(port)))
            # The answer to the second says that the first was dealt with.
            async with asyncio.timeout(GUARD_S):
                answer = await loop.sock_recv(stranger, 4096)
        assert b"Call-ID: 127.0.0.1\r\n" in answer
        # Whatever it made the engine ask, it was asked before this.
        device = await engine.device("alice", "1001", "sip:phone@alice.test:5060")
        await engine.quickcall(device, "1002")
        await engine.end()
    assert set(dns.questions) == {"alice.test A"}
