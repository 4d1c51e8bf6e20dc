"""Kamailio as registrar and proxy in front of the engine, with docs/kamailio.cfg as it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kit.engine import REALM, SIPP_DIGEST, EngineUnderTest
from tests.kit.kamailio import Kamailio
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage

pytestmark = pytest.mark.sip


def _one(messages: list[SippMessage], method: str) -> SippMessage:
    """Return the one request of that method."""
    (found,) = [message for message in messages if message.method == method]
    return found


@pytest_asyncio.fixture
async def engine(tmp_path: Path, proxy: Kamailio) -> AsyncIterator[EngineUnderTest]:
    """An engine that reaches its devices through the proxy; afterwards nothing may be left."""
    async with EngineUnderTest(tmp_path, outbound_proxy=proxy.uri) as engine:
        yield engine


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_is_found_by_its_aor(
    engine: EngineUnderTest, proxy: Kamailio, transport: str
) -> None:
    alice = Sipp("uas-proxied-answer", transport=transport)
    await proxy.register("alice", alice)
    device = await engine.device("alice", "1001")
    async with alice:
        await engine.quickcall(device, "no-such-number")
        end = await engine.end()
        messages = await alice.succeeded()
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"
    invite, ack, bye = (_one(messages, method) for method in ("INVITE", "ACK", "BYE"))
    # The proxy put the contact of the location service in place of the address of record.
    assert invite.request_uri == alice.uri
    assert invite.header("To") == f"<sip:alice@{REALM}>"
    assert invite.header("Remote-Party-ID")
    assert len(invite.headers("Via")) == 2
    for request in (ack, bye):
        assert request.request_uri.startswith(f"sip:phone@{alice.address}")
        assert len(request.headers("Via")) == 2, "it went past the proxy"
    assert "cause=3" in bye.header("Reason")


async def test_an_unregistered_phone(engine: EngineUnderTest) -> None:
    device = await engine.device("alice", "1001")
    response = await engine.quickcall(device, "1002")
    end = await engine.end()
    assert response.json()["data"]["error_message"] == end["Hangup-Cause"] == "NUMBER_CHANGED"
    (attempt,) = end["Attempts"]
    assert (attempt["SIP-Status"], attempt["Reason"]) == (410, "Not registered")


async def test_another_format_borrows_the_address_alone(
    engine: EngineUnderTest, proxy: Kamailio
) -> None:
    alice = Sipp("uas-proxied-answer")
    await proxy.register("alice", alice)
    sip = {"username": "alice", "password": "unused-here", "invite_format": "username"}
    device = str((await engine.put("devices", {"name": "alice", "sip": sip}))["id"])
    async with alice:
        await engine.quickcall(device, "no-such-number")
        await engine.end()
        invite = _one(await alice.succeeded(), "INVITE")
    assert invite.request_uri == f"sip:alice@{REALM}"


async def test_both_phones_of_a_call_are_behind_the_proxy(
    engine: EngineUnderTest, proxy: Kamailio
) -> None:
    alice, bob = Sipp("uas-proxied-answer"), Sipp("uas-proxied-answer-bye", options=("-d", "100"))
    device = await _registered(engine, proxy, alice=alice, bob=bob)
    async with alice, bob:
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await bob.succeeded()
        bye = _one(await alice.succeeded(), "BYE")
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    assert "cause=16" in bye.header("Reason")
    cdrs = await engine.cdrs()
    assert [cdrs[leg]["hangup_party"] for leg in engine.legs()] == ["local", "remote"]


async def test_the_first_phone_hangs_up(engine: EngineUnderTest, proxy: Kamailio) -> None:
    alice, bob = Sipp("uas-proxied-answer-bye", options=("-d", "500")), Sipp("uas-proxied-answer")
    device = await _registered(engine, proxy, alice=alice, bob=bob)
    async with alice, bob:
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    cdrs = await engine.cdrs()
    assert [cdrs[leg]["hangup_party"] for leg in engine.legs()] == ["remote", "local"]


async def test_the_proxy_forks_and_tells_the_loser(
    engine: EngineUnderTest, proxy: Kamailio
) -> None:
    desk, mobile = Sipp("uas-proxied-answer"), Sipp("uas-proxied-completed-elsewhere")
    await proxy.register("alice", desk)
    await proxy.register("alice", mobile)
    device = await engine.device("alice", "1001")
    async with desk, mobile:
        await engine.quickcall(device, "no-such-number")
        end = await engine.end()
        await desk.succeeded()
        await mobile.succeeded()
    # One INVITE of the engine, two phones: the fork is the proxy's.
    assert [attempt["Cause"] for attempt in end["Attempts"]] == ["SUCCESS"]
    assert len(engine.legs()) == 1
    assert engine.names(engine.legs()[0]).count("CHANNEL_ANSWER") == 1


async def test_the_engine_gives_up_what_the_proxy_forked(
    engine: EngineUnderTest, proxy: Kamailio
) -> None:
    """The Reason of the engine's CANCEL reaches every phone that rings."""
    first, second = Sipp("uas-proxied-completed-elsewhere"), Sipp("uas-proxied-completed-elsewhere")
    winner = Sipp("uas-proxied-answer")
    for user, phone in (("alice", first), ("alice", second), ("bob", winner)):
        await proxy.register(user, phone)
    owner = await engine.user("Alice")
    await engine.device("alice", "1001", owner_id=owner)
    await engine.device("bob", "1002", owner_id=owner)
    async with winner, first, second:
        await engine.quickcall(owner, "no-such-number", kind="users")
        end = await engine.end()
        for phone in (winner, first, second):
            await phone.succeeded()
    assert sorted(attempt["Cause"] for attempt in end["Attempts"]) == ["LOSE_RACE", "SUCCESS"]


async def test_both_phones_answer(engine: EngineUnderTest, proxy: Kamailio) -> None:
    """The second 200 gets ACK and BYE, while the call goes on with the first."""
    first, second, bob = (Sipp(f"uas-proxied-{name}") for name in ("answer", "late-200", "answer"))
    await proxy.register("alice", second)
    device = await _registered(engine, proxy, alice=first, bob=bob)
    async with first, second, bob:
        await engine.quickcall(device, "1002")
        await second.succeeded()
        await engine.event("CHANNEL_BRIDGE", count=2)
        await engine.http.delete(f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}")
        end = await engine.end()
        await first.succeeded()
        await bob.succeeded()
    assert [attempt["Cause"] for attempt in end["Attempts"]] == ["SUCCESS", "SUCCESS"]
    names = [event.name for event in engine.events]
    assert names.count("QUICKCALL_END") == 1
    assert names.count("CHANNEL_ANSWER") == 2


async def test_auto_answer_comes_through(engine: EngineUnderTest, proxy: Kamailio) -> None:
    alice = Sipp("uas-proxied-answer")
    await proxy.register("alice", alice)
    device = await engine.device("alice", "1001")
    async with alice:
        await engine.quickcall(device, "no-such-number", auto_answer=True)
        await engine.end()
        invite = _one(await alice.succeeded(), "INVITE")
    assert "answer-after=0" in invite.header("Call-Info")
    assert "info=alert-autoanswer" in invite.header("Alert-Info")
    # The one header of that kind that phones know: the proxy takes away all others.
    assert invite.header("X-AUTOANSWER") == "TRUE"


async def test_a_phone_behind_the_proxy_holds_the_call(
    engine: EngineUnderTest, proxy: Kamailio
) -> None:
    alice, bob = Sipp("uas-proxied-hold", options=("-d", "100")), Sipp("uas-proxied-answer")
    device = await _registered(engine, proxy, alice=alice, bob=bob)
    async with alice, bob:
        await engine.quickcall(device, "1002")
        end = await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"
    names = engine.names(engine.legs()[0])
    assert [name for name in names if "HOLD" in name] == ["CHANNEL_HOLD", "CHANNEL_UNHOLD"]
    cdrs = await engine.cdrs()
    assert [cdrs[leg]["hangup_party"] for leg in engine.legs()] == ["remote", "local"]


async def test_a_phone_behind_a_nat_is_reached_at_its_source(
    engine: EngineUnderTest, proxy: Kamailio
) -> None:
    alice = Sipp("uas-proxied-private-contact")
    await proxy.register("alice", alice, contact="<sip:alice@192.0.2.77:5060>")
    device = await engine.device("alice", "1001")
    async with alice:
        await engine.quickcall(device, "no-such-number")
        await engine.end()
        invite = _one(await alice.succeeded(), "INVITE")
    assert invite.request_uri == "sip:alice@192.0.2.77:5060"


async def test_phones_register_at_the_engine_through_the_proxy(tmp_path: Path) -> None:
    """The engine's INVITE takes the Path of the REGISTER (RFC 3327)."""
    async with EngineUnderTest(tmp_path, digest_algorithms=SIPP_DIGEST) as engine:
        register_at = f"sip:{engine.sip_address()}"
        alice = Sipp("uas-proxied-answer")
        device = await engine.device("alice", "1001")
        async with Kamailio(register_at=register_at) as proxy:
            await proxy.register("alice", alice)
            (contact,) = engine.engine.location.contacts(f"alice@{REALM}", engine.now())
            async with alice:
                await engine.quickcall(device, "no-such-number")
                end = await engine.end()
                invite = _one(await alice.succeeded(), "INVITE")
    assert contact.uri == alice.uri
    (hop,) = contact.path
    assert hop.startswith(f"<sip:{proxy.address};lr")
    assert invite.request_uri == alice.uri
    assert not invite.headers("Route")
    assert end["Hangup-Cause"] == "NO_ROUTE_DESTINATION"


async def test_strangers_cannot_call_through_the_proxy(proxy: Kamailio) -> None:
    async with Sipp("uac-invite-refused", remote=proxy.address) as stranger:
        await stranger.succeeded()


async def test_a_wrong_password_is_challenged_again(proxy: Kamailio) -> None:
    alice = Sipp("uas-proxied-answer")
    with pytest.raises(AssertionError, match="401"):
        await proxy.register("mallory", alice)


async def test_nobody_registers_somebody_else(proxy: Kamailio) -> None:
    alice = Sipp("uas-proxied-answer")
    with pytest.raises(AssertionError, match="403"):
        await proxy.register("alice", alice, credentials_of="bob")


async def _registered(engine: EngineUnderTest, proxy: Kamailio, *, alice: Sipp, bob: Sipp) -> str:
    """Register both phones at the proxy, make their devices, return alice's."""
    await proxy.register("alice", alice)
    await proxy.register("bob", bob)
    await engine.device("bob", "1002")
    return await engine.device("alice", "1001")
