"""A real server on a free port, a client that is root, an account with a device and a user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.control.server import HttpServer
from engine.sip.loopback import LoopbackSip
from tests.control.engine import ScriptedEngine, scripted_engine
from tests.control.originate_node import Node, node_on
from tests.control.rig import Rig
from tests.kit.kazoo_bus import KazooBus
from tests.kit.rabbitmq import RabbitMq

ROOT_TOKEN = "root-token"

GUARD_S = 40.0
"""Longest wait for a response. A guard against hanging, never a measured time."""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[ScriptedEngine]:
    """An engine on an empty database; at the end nobody may still read its feed."""
    async with scripted_engine(tmp_path) as opened:
        yield opened
        assert opened.feed.readers == 0


@pytest.fixture
async def server(engine: ScriptedEngine) -> AsyncIterator[HttpServer]:
    """The engine's HTTP server on a free port."""
    server = HttpServer(engine)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=url, timeout=GUARD_S) as client:
        yield client


@pytest.fixture
async def root(server: HttpServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a root token."""
    headers = {"X-Auth-Token": ROOT_TOKEN}
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=GUARD_S) as client:
        yield client


@dataclass
class Tenant:
    """An account with a user who owns a device, and a device nobody is registered for."""

    account: str
    user: str
    device: str
    nobody: str
    token: str

    @property
    def url(self) -> str:
        """Path of the account."""
        return f"/v2/accounts/{self.account}"

    def quickcall(self, number: str = "1002") -> str:
        """Path of a quickcall of the device."""
        return f"{self.url}/devices/{self.device}/quickcall/{number}"


async def create(client: httpx.AsyncClient, url: str, data: dict[str, Any]) -> str:
    """Create a document and return its id."""
    response = await client.put(url, json={"data": data})
    assert response.status_code == 201, response.text
    created: str = response.json()["data"]["id"]
    return created


@pytest.fixture
async def tenant(root: httpx.AsyncClient, engine: ScriptedEngine) -> Tenant:
    """One tenant, made through the API."""
    account = await create(root, "/v2/accounts", {"name": "Acme", "realm": "acme.example.org"})
    url = f"/v2/accounts/{account}"
    user = await create(root, f"{url}/users", {"first_name": "Ann", "last_name": "Other"})
    device = await create(
        root,
        f"{url}/devices",
        {"name": "Desk", "owner_id": user, "sip": {"username": "alice", "password": "s3cret"}},
    )
    nobody = await create(
        root, f"{url}/devices", {"name": "Away", "sip": {"username": "nobody", "password": "x"}}
    )
    return Tenant(account, user, device, nobody, engine.tokens.create(account))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig; at the end neither a leg nor a task is left."""
    sip = LoopbackSip()
    async with Rig(tmp_path, sip) as made:
        yield made
    assert sip.stats().legs == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def amqp_url(rabbitmq: RabbitMq) -> str:
    """URL of a virtual host of its own on the broker."""
    return rabbitmq.new_vhost()


@pytest.fixture
async def bus(amqp_url: str) -> AsyncIterator[KazooBus]:
    """Kazoo's side of the broker."""
    async with KazooBus(amqp_url) as bus:
        yield bus


@pytest.fixture
async def node(tmp_path: Path, amqp_url: str) -> AsyncIterator[Node]:
    """An engine that takes requests of the broker."""
    async with node_on(tmp_path, amqp_url) as node:
        yield node
