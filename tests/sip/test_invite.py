"""What an INVITE says on the wire, and which way it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.addresses import loopback_address
from tests.kit.engine import PASSWORD, REALM, EngineUnderTest
from tests.kit.sipp import Sipp
from tests.kit.tls import TlsTerminator, make_certificate

pytestmark = pytest.mark.sip


async def test_a_device_behind_a_proxy_is_asked_for_by_its_aor(engine: EngineUnderTest) -> None:
    async with (
        Sipp("uas-proxy-answer") as proxy,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        sip = {"username": "alice", "password": PASSWORD, "proxy": proxy.address}
        device = str((await engine.put("devices", {"name": "alice", "sip": sip}))["id"])
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        invite = (await proxy.succeeded())[0]
        await bob.succeeded()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert invite.request_uri == f"sip:alice@{REALM}"
    assert invite.header("X-KAZOO-AOR") == f"sip:alice@{REALM}"
    assert invite.header("X-KAZOO-INVITE-FORMAT") == "contact"
    assert invite.headers("Route") == []


async def test_the_engines_loose_proxy_sees_itself_in_route(tmp_path: Path) -> None:
    proxy = Sipp("uas-proxy-answer")
    outbound = f"sip:{proxy.address};lr"
    async with EngineUnderTest(tmp_path, outbound_proxy=outbound) as engine, proxy:
        device = await engine.device("alice", "1001")
        await engine.quickcall(device, "no-such-number")
        end = await engine.end()
        invite = (await proxy.succeeded())[0]
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert invite.request_uri == f"sip:alice@{REALM}"
    assert invite.header("Route") == f"<{outbound}>"


async def test_a_carrier_behind_a_proxy(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-not-found-404") as proxy:
        device = await engine.device("alice", "1001", alice.uri)
        gateway = {"server": "carrier.invalid", "proxy": f"sip:{proxy.address};lr"}
        document = {"name": "far", "rules": [r"^(\d{6,})$"], "gateways": [gateway]}
        await engine.put("resources", document)
        await engine.quickcall(device, "4930123456")
        end = await engine.end()
        await alice.succeeded()
        invite = (await proxy.succeeded())[0]
    assert end["Hangup-Cause"] == "UNALLOCATED_NUMBER"
    assert invite.request_uri == "sip:4930123456@carrier.invalid"
    assert invite.header("Route") == f"<sip:{proxy.address};lr>"


@pytest.mark.parametrize(
    ("fields", "user", "invite_format"),
    [
        ({"invite_format": "forward"}, "alice", "forward"),
        ({"invite_format": "username", "static_route": "line-1"}, "line-1", "username"),
        ({"invite_format": "e164", "number": "4155550123"}, "+14155550123", "e164"),
        ({"invite_format": "1npan", "number": "+14155550123"}, "14155550123", "1npan"),
        ({"invite_format": "strip_plus", "number": "+4930"}, "4930", "strip_plus"),
    ],
)
async def test_the_invite_format_on_the_wire(
    engine: EngineUnderTest, fields: dict[str, str], user: str, invite_format: str
) -> None:
    async with Sipp("uas-busy-486") as phone:
        sip = {"username": "alice", "password": PASSWORD, "forward": phone.address, **fields}
        device = str((await engine.put("devices", {"name": "alice", "sip": sip}))["id"])
        await engine.quickcall(device, "1002")
        end = await engine.end()
        invite = (await phone.succeeded())[0]
    assert end["Hangup-Cause"] == "USER_BUSY"
    assert invite.request_uri == f"sip:{user}@{REALM}"
    assert invite.header("To") == f"<sip:{user}@{REALM}>"
    assert invite.header("X-KAZOO-AOR") == f"sip:alice@{REALM}"
    assert invite.header("X-KAZOO-INVITE-FORMAT") == invite_format


async def test_a_phone_is_not_told_a_hidden_number(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-busy-486") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", privacy="full")
        await engine.end()
        to_alice = (await alice.succeeded())[0]
        to_bob = (await bob.succeeded())[0]
    assert "Device QuickCall" in to_alice.header("From")
    assert to_bob.header("From").startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=')
    assert to_bob.header("Privacy") == "id;header"
    assert "1001" not in to_bob.text
    assert "lice" not in to_bob.text


async def test_a_carrier_is_told_it_in_the_header_it_wants(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-not-found-404") as carrier:
        external = {"caller_id": {"external": {"name": "Zoë Inc", "number": "4930999"}}}
        device = await engine.device("alice", "1001", alice.uri, **external)
        await engine.carrier(carrier, sip_cid_type="pid", realm="trunk.test")
        await engine.quickcall(device, "4930123456", privacy="number")
        await engine.end()
        await alice.succeeded()
        invite = (await carrier.succeeded())[0]
    assert invite.header("From").startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=')
    assert invite.header("P-Asserted-Identity") == '"Zoë Inc" <sip:4930999@trunk.test>'
    assert invite.header("Privacy") == "id;header"
    assert invite.headers("Remote-Party-ID") == []


async def test_headers_of_the_request_reach_the_device_alone(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as alice, Sipp("uas-busy-486") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", custom_sip_headers={"X-Desk": "7 ☎"})
        await engine.end()
        to_alice = (await alice.succeeded())[0]
        to_bob = (await bob.succeeded())[0]
    assert to_alice.header("X-Desk") == "7 ☎"
    assert to_bob.headers("X-Desk") == []


@pytest.mark.parametrize("proxy", ["sip:{};transport=tls;lr", "sips:{}", "sips:{};lr"])
async def test_a_proxy_on_tls_is_reached_on_tls(tmp_path: Path, proxy: str) -> None:
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
            outbound_proxy=proxy.format(f"{host}:{terminator.port}"),
        ) as engine,
        terminator.carry_to(alice.port),
        alice,
    ):
        device = await engine.device("alice", "1001")
        await engine.quickcall(device, "no-such-number")
        end = await engine.end()
        messages = await alice.succeeded()
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    assert messages[0].request_uri == f"sip:alice@{REALM}"
    assert messages[0].header("Via").startswith("SIP/2.0/TLS ")
    assert "transport=tls" in messages[0].header("Contact").lower()
    assert [message.method for message in messages if message.method] == ["INVITE", "ACK", "BYE"]


async def test_a_device_may_ask_not_to_be_told_who_answered(engine: EngineUnderTest) -> None:
    async with Sipp("uas-ring-answer") as desk, Sipp("uas-no-answer") as mobile:
        user = await engine.user("Alice")
        await engine.device("desk", "1011", desk.uri, owner_id=user)
        sip = {"invite_format": "route", "route": mobile.uri, "ignore_completed_elsewhere": True}
        document = {"name": "m", "owner_id": user, "sip": {"username": "mobile", **sip}}
        await engine.put("devices", document)
        await engine.quickcall(user, "no-such-number", kind="users")
        await engine.end()
        await desk.succeeded()
        cancel = next(m for m in await mobile.succeeded() if m.method == "CANCEL")
    assert cancel.headers("Reason") == []


async def test_a_device_that_does_not_ring_in_time(engine: EngineUnderTest) -> None:
    async with Sipp("uas-cancelled-before-ringing") as phone:
        media = {"progress_timeout": 1}
        device = await engine.device("alice", "1001", phone.uri, media=media)
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await phone.succeeded()
    assert end["Hangup-Cause"] == "PROGRESS_TIMEOUT"
