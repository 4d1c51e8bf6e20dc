"""The same quickcall over TCP, TLS and IPv6."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.addresses import loopback_address
from tests.kit.engine import EngineUnderTest
from tests.kit.sipp import Sipp
from tests.kit.tls import TlsTerminator, make_certificate

pytestmark = pytest.mark.sip


async def _connected(engine: EngineUnderTest, a_uri: str, b_uri: str) -> None:
    """Require that a quickcall connects the two and ends in order."""
    device = await engine.device("alice", "1001", a_uri)
    await engine.device("bob", "1002", b_uri)
    await engine.quickcall(device, "1002")
    await engine.event("CHANNEL_BRIDGE", count=2)
    path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
    assert (await engine.http.delete(path)).is_success
    assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"


async def test_tcp_to_one_phone_and_udp_to_the_other(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-ring-answer", transport="tcp") as alice,
        Sipp("uas-ring-answer") as bob,
    ):
        await _connected(engine, alice.uri, bob.uri)
        to_alice = (await alice.succeeded())[0]
        to_bob = (await bob.succeeded())[0]
    assert to_alice.header("Via").startswith("SIP/2.0/TCP ")
    assert to_bob.header("Via").startswith("SIP/2.0/UDP ")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_ipv6(tmp_path: Path, transport: str) -> None:
    listeners = ("udp:[::1]:0", "tcp:[::1]:0")
    async with (
        EngineUnderTest(tmp_path, listeners, media_host="::1") as engine,
        Sipp("uas-ring-answer", transport=transport, host="::1") as alice,
        Sipp("uas-ring-answer", transport=transport, host="::1") as bob,
    ):
        await _connected(engine, alice.uri, bob.uri)
        invite = (await alice.succeeded())[0]
        await bob.succeeded()
    assert "c=IN IP6 ::1" in invite.body
    assert "[::1]" in invite.header("Via")


async def test_tls(tmp_path: Path) -> None:
    host = loopback_address()
    certificate, key = await make_certificate(tmp_path, host)
    own_certificate, own_key = await make_certificate(tmp_path, "127.0.0.1")
    terminator = TlsTerminator(host, certificate, key)
    keys = {"tls_port": str(terminator.port)}
    alice = Sipp("uas-tls-answer", transport="tcp", host=host, keys=keys)
    async with (
        EngineUnderTest(
            tmp_path,
            ("udp:127.0.0.1:0", "tls:127.0.0.1:0"),
            tls_certificate=str(own_certificate),
            tls_private_key=str(own_key),
        ) as engine,
        terminator.carry_to(alice.port),
        alice,
        Sipp("uas-ring-answer") as bob,
    ):
        uri = f"sip:alice@{alice.host}:{terminator.port};transport=tls"
        await _connected(engine, uri, bob.uri)
        messages = await alice.succeeded()
        await bob.succeeded()
    assert messages[0].header("Via").startswith("SIP/2.0/TLS ")
    assert [message.method for message in messages if message.method] == ["INVITE", "ACK", "BYE"]
    assert terminator.handshakes == 1
