"""The registrar over the wire: SIPp registers, and is then called where it registered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kit.engine import REALM, SIPP_DIGEST, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineUnderTest]:
    """An engine whose challenges SIPp understands."""
    async with EngineUnderTest(tmp_path, digest_algorithms=SIPP_DIGEST) as engine:
        yield engine


def _contacts(engine: EngineUnderTest, user: str = "alice") -> list[str]:
    """Return the contact URIs the location service has for a user."""
    now = engine.now()
    return [contact.uri for contact in engine.engine.location.contacts(f"{user}@{REALM}", now)]


async def _called_where_it_registered(engine: EngineUnderTest, phone: Sipp) -> None:
    """Start the phone and require that a quickcall rings it."""
    device = engine.engine.directory.devices(engine.account)[0].id
    async with phone:
        response = await engine.quickcall(device, "no-such-number")
        assert response.status_code == 202, response.text
        await engine.end()
        invite = (await phone.succeeded())[0]
    assert invite.request_uri == phone.uri
    assert invite.header("X-KAZOO-INVITE-FORMAT") == "contact"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_registers_and_is_called(engine: EngineUnderTest, transport: str) -> None:
    phone = Sipp("uas-ring-answer", transport=transport)
    await engine.device("alice", "1001")
    async with engine.registering("alice", phone) as registering:
        messages = await registering.succeeded()
    answer = messages[-1]
    assert phone.uri in answer.header("Contact")
    assert "expires=600" in answer.header("Contact")
    await _called_where_it_registered(engine, phone)


async def test_both_algorithms_are_offered_the_stronger_first(tmp_path: Path) -> None:
    async with EngineUnderTest(tmp_path) as engine:
        await engine.device("alice", "1001")
        async with engine.registering("alice", Sipp("uas-answer")) as registering:
            await registering.finished()
            challenge = registering.messages_now()[1]
    first, second = challenge.headers("WWW-Authenticate")
    assert "algorithm=SHA-256" in first
    assert "algorithm=MD5" in second


async def test_a_phone_behind_a_nat_is_reached_at_its_source(engine: EngineUnderTest) -> None:
    phone = Sipp("uas-ring-answer")
    device = await engine.device("alice", "1001")
    private = "<sip:alice@192.0.2.77:5060>"
    async with engine.registering("alice", phone, contact=private) as registering:
        await registering.succeeded()
    async with phone:
        await engine.quickcall(device, "no-such-number")
        await engine.end()
        invite = (await phone.succeeded())[0]
    assert invite.request_uri == "sip:alice@192.0.2.77:5060"


async def test_bindings_survive_a_restart(tmp_path: Path) -> None:
    phone = Sipp("uas-ring-answer")
    async with EngineUnderTest(tmp_path, digest_algorithms=SIPP_DIGEST) as engine:
        await engine.device("alice", "1001")
        await engine.register("alice", phone)
    async with EngineUnderTest(tmp_path) as engine:
        await _called_where_it_registered(engine, phone)


async def test_unregistering_removes_the_binding(engine: EngineUnderTest) -> None:
    phone = Sipp("uas-ring-answer")
    device = await engine.device("alice", "1001")
    await engine.register("alice", phone)
    assert _contacts(engine) == [phone.uri]
    async with engine.registering("alice", phone, expires=0) as unregistering:
        messages = await unregistering.succeeded()
    assert not messages[-1].headers("Contact")
    assert _contacts(engine) == []
    response = await engine.quickcall(device, "1002")
    assert response.json()["data"]["error_message"] == "DESTINATION_OUT_OF_ORDER"


async def test_the_star_removes_every_contact(engine: EngineUnderTest) -> None:
    first, second = Sipp("uas-ring-answer"), Sipp("uas-ring-answer")
    await engine.device("alice", "1001")
    await engine.register("alice", first)
    await engine.register("alice", second)
    assert set(_contacts(engine)) == {first.uri, second.uri}
    async with engine.registering("alice", first, contact="*", expires=0) as unregistering:
        await unregistering.succeeded()
    assert _contacts(engine) == []


async def test_several_contacts_in_one_request(engine: EngineUnderTest) -> None:
    phone = Sipp("uas-ring-answer")
    await engine.device("alice", "1001")
    contacts = "<sip:alice@192.0.2.1:5060>;q=0.3, <sip:alice@192.0.2.2:5060>;q=0.9"
    async with engine.registering("alice", phone, contact=contacts) as registering:
        await registering.succeeded()
    assert _contacts(engine) == ["sip:alice@192.0.2.2:5060", "sip:alice@192.0.2.1:5060"]


@pytest.mark.parametrize("user", ["alice", "nobody"])
async def test_wrong_credentials_are_refused_alike(engine: EngineUnderTest, user: str) -> None:
    phone = Sipp("uas-ring-answer")
    await engine.device("alice", "1001")
    async with engine.registering(
        user, phone, scenario="uac-register-wrong-password", password="guess"
    ) as registering:
        await registering.succeeded()
    assert _contacts(engine, user) == []


@pytest.mark.parametrize(
    "contact",
    ["*", "<mailto:alice@test.local>", "*, <sip:alice@192.0.2.1>"],
    ids=["star without expires 0", "no SIP URI", "star and another"],
)
async def test_an_invalid_contact_is_refused(engine: EngineUnderTest, contact: str) -> None:
    phone = Sipp("uas-ring-answer")
    await engine.device("alice", "1001")
    async with engine.registering(
        "alice", phone, scenario="uac-register-invalid", contact=contact
    ) as registering:
        await registering.succeeded()
    assert _contacts(engine) == []
