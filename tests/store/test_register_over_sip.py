"""Registrar, digest and location behind the real stack, with SIPp as the phone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.core.events import RegisterReceived
from engine.sip.digest import DigestServer
from engine.sip.registrar import Registrar
from engine.store.database import Database
from engine.store.directory import Directory
from engine.store.location import Location
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.sip, pytest.mark.native]

REALM = "acme.example"
AOR = f"alice@{REALM}"
KEYS = {"domain": REALM, "contact": "<sip:alice@10.9.8.7:5099>", "expires": "300"}


@asynccontextmanager
async def registrar_on(stack: Stack, registrar: Registrar) -> AsyncIterator[None]:
    """Answer every REGISTER the stack passes up, as the runtime does."""

    async def answer() -> None:
        answered = 0
        while True:
            for event in stack.events[answered:]:
                if isinstance(event, RegisterReceived):
                    stack.submit(registrar.handle(event, time.time()))
            answered = len(stack.events)
            await stack.next_event()

    task = asyncio.create_task(answer())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def directory(database: Database) -> Directory:
    opened = await Directory.open(database)
    await opened.put("account", "", {"name": "Acme", "realm": REALM}, "acme")
    await opened.put("device", "acme", {"sip": {"username": "alice", "password": "secret"}})
    return opened


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_phone_registers_and_is_found_after_a_restart(
    database: Database, directory: Directory, transport: str
) -> None:
    location = await Location.open(database)
    # SIPp reads only the first challenge and knows only MD5.
    digest = DigestServer(os.urandom(16), os.urandom, algorithms=("MD5",))
    registrar = Registrar(directory.sip_password, location, digest)

    def phone(scenario: str, password: str, remote: str) -> Sipp:
        options = ("-s", "alice", "-au", "alice", "-ap", password)
        return Sipp(scenario, remote=remote, transport=transport, keys=KEYS, options=options)

    async with Stack() as stack, registrar_on(stack, registrar):
        remote = stack.address(transport)
        async with phone("uac-register-wrong-password", "guess", remote) as stranger:
            await stranger.succeeded()
        assert location.contacts(AOR, time.time()) == ()
        async with phone("uac-register", "secret", remote) as alice:
            messages = await alice.succeeded()
    assert messages[-1].header("Contact") == f"{KEYS['contact']};expires=300"
    found = location.contacts(AOR, time.time())
    assert [contact.uri for contact in found] == ["sip:alice@10.9.8.7:5099"]
    assert found[0].received.startswith(f"sip:{alice.host}:")
    assert found[0].received.endswith(f";transport={transport}")
    assert found[0].user_agent == "sipp-phone"
    await location.close()

    after_restart = await Location.open(database)
    assert after_restart.contacts(AOR, time.time()) == found
    await after_restart.close()
