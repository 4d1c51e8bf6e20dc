"""The next address of a name when one does not answer, or says 503 (RFC 3263 4.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.addresses import free_port, loopback_address
from tests.kit.dns import Dnsmasq
from tests.kit.engine import Document, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

NUMBER = "4930123456"


def _srv(*servers: tuple[str, int], transport: str = "udp") -> tuple[str, ...]:
    """Return the records of carrier.test: these servers, in this order."""
    records: list[str] = []
    for place, (host, port) in enumerate(servers):
        name = f"s{place}.carrier.test"
        records.append(f"host-record={name},{host}")
        records.append(f"srv-host=_sip._{transport}.carrier.test,{name},{port},{place},1")
    return tuple(records)


def _nobody(transport: str = "udp") -> tuple[str, int]:
    """Return an address where nobody listens."""
    host = loopback_address()
    return host, free_port(host, transport)


async def _called(engine: EngineUnderTest, alice: Sipp) -> None:
    """Call a number that carrier.test takes."""
    device = await engine.device("alice", "1001", alice.uri)
    carrier = {
        "name": "carrier",
        "rules": [r"^(\d{6,})$"],
        "gateways": [{"server": "carrier.test"}],
    }
    await engine.put("resources", carrier)
    await engine.quickcall(device, NUMBER)


async def _hung_up(engine: EngineUnderTest) -> Document:
    """Wait until the two talk, end the call and return its end."""
    await engine.event("CHANNEL_BRIDGE", count=2)
    path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
    assert (await engine.http.delete(path)).is_success
    return await engine.end()


def _b_causes(end: Document) -> list[tuple[str, int]]:
    """Return cause and status of every attempt at the carrier, in order."""
    return [(a["Cause"], a["SIP-Status"]) for a in end["Attempts"][1:]]


async def test_the_second_server_is_called_after_a_503(tmp_path: Path) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-service-unavailable-503") as first,
        Sipp("uas-carrier-answer") as second,
    ):
        records = _srv((first.host, first.port), (second.host, second.port))
        async with (
            Dnsmasq(*records) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            await _called(engine, alice)
            end = await _hung_up(engine)
        await alice.succeeded()
        await first.succeeded()
        invite = (await second.succeeded())[0]
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert invite.request_uri.startswith(f"sip:{NUMBER}@carrier.test")
    assert invite.headers("Route") == []
    assert _b_causes(end) == [("NORMAL_TEMPORARY_FAILURE", 503), ("SUCCESS", 200)]


async def test_the_second_server_is_called_when_the_first_is_silent(tmp_path: Path) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-silent", options=("-d", "60000")) as first,
        Sipp("uas-carrier-answer") as second,
    ):
        records = _srv((first.host, first.port), (second.host, second.port))
        async with (
            Dnsmasq(*records) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address], sip_t1_ms=100) as engine,
        ):
            await _called(engine, alice)
            end = await _hung_up(engine)
        heard = [message.method for message in first.messages_now()]
        await alice.succeeded()
        await second.succeeded()
    assert _b_causes(end) == [("RECOVERY_ON_TIMER_EXPIRE", 408), ("SUCCESS", 200)]
    # At 0, 1, 3 and 7 times T1; the whole of timer B would be seven.
    assert heard == ["INVITE"] * len(heard)
    assert 1 <= len(heard) <= 4


async def test_the_second_server_is_called_when_the_first_takes_no_connection(
    tmp_path: Path,
) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-carrier-answer", transport="tcp") as second,
    ):
        records = _srv(_nobody("tcp"), (second.host, second.port), transport="tcp")
        async with (
            Dnsmasq(*records) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            await _called(engine, alice)
            end = await _hung_up(engine)
        await alice.succeeded()
        await second.succeeded()
    assert _b_causes(end)[1:] == [("SUCCESS", 200)]


async def test_a_busy_number_is_not_tried_at_another_server(tmp_path: Path) -> None:
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-early-media-183-404") as first,
        Sipp("uas-carrier-answer") as second,
    ):
        records = _srv((first.host, first.port), (second.host, second.port))
        async with (
            Dnsmasq(*records) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address]) as engine,
        ):
            await _called(engine, alice)
            end = await engine.end()
        await alice.succeeded()
        await first.succeeded()
        await second.never_called()
    assert end["Hangup-Cause"] == "UNALLOCATED_NUMBER"


async def test_no_server_answers(tmp_path: Path) -> None:
    async with Sipp("uas-ring-answer") as alice:
        records = _srv(_nobody(), _nobody())
        async with (
            Dnsmasq(*records) as dns,
            EngineUnderTest(tmp_path, dns_servers=[dns.address], sip_t1_ms=50) as engine,
        ):
            await _called(engine, alice)
            end = await engine.end()
        await alice.succeeded()
    assert end["Hangup-Cause"] == "RECOVERY_ON_TIMER_EXPIRE"
    assert _b_causes(end) == [("RECOVERY_ON_TIMER_EXPIRE", 408)] * 2


async def test_the_address_of_the_other_family_is_tried(tmp_path: Path) -> None:
    """RFC 7984: a name with both families is reached when only one of them is alive."""
    listeners = ("udp:127.0.0.1:0", "udp:[::1]:0")
    async with Sipp("uas-busy-486", host="::1") as alice:
        dead, _ = _nobody()
        async with (
            Dnsmasq(f"host-record=alice.test,{dead},::1") as dns,
            EngineUnderTest(tmp_path, listeners, dns_servers=[dns.address], sip_t1_ms=50) as engine,
        ):
            device = await engine.device("alice", "1001", f"sip:phone@alice.test:{alice.port}")
            await engine.quickcall(device, "1002")
            end = await engine.end()
        await alice.succeeded()
    assert end["Hangup-Cause"] == "USER_BUSY"
    causes = [attempt["Cause"] for attempt in end["Attempts"]]
    assert causes == ["RECOVERY_ON_TIMER_EXPIRE", "USER_BUSY"]
