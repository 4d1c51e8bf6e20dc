"""Whatever the OpenAPI document allows, and some of what it does not, asked of a real server.

Schemathesis makes the requests, always the same ones; every answer is judged by the document: its
status, its media type, its headers, its schema. Three ids of four name something that is there, or
nearly every answer would be a 404.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from zlib import crc32

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engine.control.http import make_app
from engine.control.server import HttpServer
from engine.control.websocket_broadcast import Broadcast
from engine.core.values import EndpointType, OriginateId, OriginateRequest
from tests.control.conftest import GUARD_S, ROOT_TOKEN
from tests.control.engine import ScriptedEngine, scripted_engine
from tests.control.samples import snapshot

ACCOUNT = "acme"
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

THERE = {
    "account_id": ACCOUNT,
    "user_id": "ann",
    "device_id": "desk",
    "endpoint_id": "desk",
    "call_id": "live",
    "interaction_id": "63610891956-0a1b2c3d",
    "cdr_id": "201510-live",
    "name": "us",
    "number": "1002",
}
DOCUMENTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "users": ("user", "ann", {"first_name": "Ann"}),
    "devices": ("device", "desk", {"sip": {"username": "alice", "password": "s3cret"}}),
    "resources": ("resource", "out", {"name": "Out", "gateways": [{"server": "192.0.2.1"}]}),
    "blocklists": ("blocklist", "bad", {"name": "Bad", "numbers": {"1": {}}}),
}


class Peer:
    """An engine and its HTTP server in a thread of their own: the client of this test waits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over: asyncio.Event
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])
        self.engine: ScriptedEngine
        self.url = ""

    def __enter__(self) -> Peer:
        self._thread.start()
        assert self._ready.wait(GUARD_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(GUARD_S)
        self._loop.close()

    async def _run(self) -> None:
        self._over = asyncio.Event()
        async with scripted_engine(self._folder) as self.engine:
            self.engine.answer_at_once = {}
            server = HttpServer(self.engine)
            await server.start()
            self.url = f"http://127.0.0.1:{server.port}"
            self._ready.set()
            await self._over.wait()
            await server.stop()

    def refill(self) -> None:
        """Put back what a request may have deleted, and let a call live."""
        asyncio.run_coroutine_threadsafe(self._refill(), self._loop).result(GUARD_S)

    async def _refill(self) -> None:
        directory = self.engine.directory
        if not directory.has("account", ACCOUNT, ACCOUNT):
            await directory.put("account", "", {"name": "Acme", "realm": "acme.test"}, ACCOUNT)
        if not directory.has("dial_plan", "", "us"):
            await directory.put("dial_plan", "", {"^9(.*)$": {}}, "us")
        for kind, document_id, document in DOCUMENTS.values():
            if not directory.has(kind, ACCOUNT, document_id):  # type: ignore[arg-type]
                await directory.put(kind, ACCOUNT, document, document_id)  # type: ignore[arg-type]
        asked = OriginateRequest(
            ACCOUNT, EndpointType.DEVICE, "desk", "1002", request_id=OriginateId("live")
        )
        if all(handle.originate_id != "live" for handle in self.engine.handles):
            self.engine.start(asked)
            leg = snapshot(
                account_id=ACCOUNT, call_id="live", originate_id=OriginateId("live"), ended_at=None
            )
            self.engine.legs = [leg]
            cdr = {"call_id": "live", "attempts": []}
            self.engine.journal.add_cdr(ACCOUNT, "live", leg.interaction_id, 1443672788.0, cdr)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with TemporaryDirectory() as folder, Peer(Path(folder)) as running:
        yield running


async def _described() -> dict[str, Any]:
    """Return the document, as the application serves it; no engine is needed for that."""
    nobody: Any = object()
    transport = httpx.ASGITransport(app=cast(Any, make_app(nobody, Broadcast(nobody))))
    async with httpx.AsyncClient(transport=transport, base_url="http://nobody") as client:
        document: dict[str, Any] = (await client.get("/openapi.json")).json()
    return document


schema = schemathesis.openapi.from_dict(asyncio.run(_described()))


@schema.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """Let three of four ids be those of something that is there."""
    if not isinstance(path_parameters, dict):
        return path_parameters
    names = {**THERE}
    path = context.operation.path
    names["document_id"] = next((d[1] for part, d in DOCUMENTS.items() if part in path), "bad")
    if "/users/" in path:
        names["endpoint_id"] = "ann"
    return {
        name: names[name] if name in names and crc32(repr(value).encode()) % 4 else value
        for name, value in path_parameters.items()
    }


@schema.parametrize()
@settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_the_document_knows(case: Any, peer: Peer) -> None:
    peer.refill()
    response = case.call(base_url=peer.url, headers={"X-Auth-Token": ROOT_TOKEN}, timeout=GUARD_S)
    case.validate_response(response, checks=CHECKS)
    # A 500 is documented for a device that cannot be rung; a defect is not.
    if response.status_code >= 500:
        assert response.json()["message"] != "unspecified_fault"
