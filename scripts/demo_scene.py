"""What the demo sets up: an engine on its embedded default, an account, two phones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from engine import Engine, EngineConfig
from engine.phone.process import PhoneProcess
from engine.runtime import serve

Document = dict[str, Any]

REALM = "demo.quickcall.local"
TALK_S = 4
"""How long the two talk, seconds."""
RING_S = 1
"""How long Bob lets it ring, seconds."""


@dataclass(frozen=True, slots=True)
class Person:
    """One of the two who talk."""

    name: str
    extension: str
    tone: int
    """Frequency in Hz their phone sends. No multiples of each other, no tones of the network."""
    answer: str
    """How their phone answers (`quickcall phone --answer`)."""
    extra: tuple[str, ...] = ()
    """Further arguments of their phone."""

    @property
    def user(self) -> str:
        """SIP user."""
        return self.name.lower()


ALICE = Person("Alice", "1001", 700, "asked")
BOB = Person("Bob", "1002", 1100, f"after:{RING_S}", ("--hang-up-after", str(TALK_S)))


class Api:
    """The HTTP API as a client of one account sees it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """Use a client whose base URL is the engine's and whose token opens the account."""
        self._http = http

    async def put(self, path: str, document: Document) -> Document:
        """Create a document and return it."""
        created: Document = self._data(await self._http.put(path, json={"data": document}))
        return created

    async def get(self, path: str) -> Any:
        """Return the data of what is at `path`."""
        return self._data(await self._http.get(path))

    async def post(self, path: str) -> httpx.Response:
        """Return the whole answer, whatever it is."""
        return await self._http.post(path)

    @staticmethod
    def _data(response: httpx.Response) -> Any:
        response.raise_for_status()
        return response.json()["data"]


@dataclass(slots=True)
class Scene:
    """Everything that runs."""

    engine: Engine
    url: str
    sip: str
    """Address of the SIP listener, `ip:port`."""
    api: Api
    token: str
    account: str = ""
    devices: dict[str, str] = field(default_factory=dict)
    """Device ids by person."""


@asynccontextmanager
async def engine_running(directory: Path) -> AsyncIterator[Scene]:
    """Start an engine on its embedded default: SQLite, its own registrar, loopback, free ports."""
    config = EngineConfig(
        sip_listeners=("udp:127.0.0.1:0",),
        http_port=0,
        database=f"sqlite+aiosqlite:///{directory / 'quickcall.db'}",
        trace=True,
    )
    async with serve(config) as server:
        token = server.engine.tokens.create("*")
        async with httpx.AsyncClient(
            base_url=server.url, headers={"X-Auth-Token": token}, timeout=20
        ) as http:
            listener = server.engine.listeners[0]
            sip = f"{listener.host}:{listener.port}"
            yield Scene(server.engine, server.url, sip, Api(http), token)


async def fill_directory(scene: Scene) -> None:
    """Create the account, its users and their devices through the HTTP API."""
    account = await scene.api.put("/v2/accounts", {"name": "Demo", "realm": REALM})
    scene.account = account["id"]
    for person in (ALICE, BOB):
        user = await scene.api.put(
            f"/v2/accounts/{scene.account}/users",
            {"first_name": person.name, "last_name": "Demo", "username": person.user},
        )
        device = await scene.api.put(
            f"/v2/accounts/{scene.account}/devices",
            {
                "name": f"{person.name}'s phone",
                "owner_id": user["id"],
                "sip": {"username": person.user, "password": password_of(person)},
                "caller_id": {"internal": {"name": person.name, "number": person.extension}},
            },
        )
        scene.devices[person.name] = device["id"]


def password_of(person: Person) -> str:
    """Return the digest password of a person's device; the demo lives for seconds, on loopback."""
    return f"{person.user}-of-the-demo"


async def start_phone(scene: Scene, person: Person) -> PhoneProcess:
    """Start a person's phone; it registers by itself."""
    return await PhoneProcess.start(
        person.name,
        *("--user", person.user, "--realm", REALM, "--server", scene.sip),
        *("--answer", person.answer, "--tone", str(person.tone)),
        *(part for one in (ALICE, BOB) for part in ("--listen", str(one.tone))),
        *person.extra,
        password=password_of(person),
    )


@asynccontextmanager
async def event_stream(scene: Scene) -> AsyncIterator[ClientConnection]:
    """Subscribe to every event of the account over the WebSocket."""
    address = scene.url.replace("http://", "ws://") + "/v2/websocket"
    async with connect(address) as socket:
        frame = {
            "action": "subscribe",
            "auth_token": scene.token,
            "data": {"account_id": scene.account, "binding": "call.*.*"},
        }
        await socket.send(json.dumps(frame))
        reply = json.loads(await socket.recv())
        if reply["status"] != "success":
            raise RuntimeError(f"the event stream refused the subscription: {reply}")
        yield socket


async def events_until_end(socket: ClientConnection) -> AsyncIterator[Document]:
    """Yield the frames of events up to the terminal one of the quickcall."""
    async for text in socket:
        frame = json.loads(text)
        if frame["action"] == "event":
            yield frame
            if frame["name"] == "QUICKCALL_END":
                return


async def nothing_left(engine: Engine) -> dict[str, int]:
    """Wait until the gauges of the SIP stack are zero; return those that never became so.

    Transactions, and the dialogs they belong to, do not count: they wait up to 32 s for
    retransmissions, as they must (RFC 3261 17.2.2 timer J, RFC 6026).
    """
    gauges: dict[str, int] = {}
    for _ in range(50):
        stats = engine.stats()
        gauges = {
            "legs": stats.legs,
            "media ports": stats.media_ports,
            "pending requests": stats.pending_requests,
        }
        if not any(gauges.values()):
            break
        await asyncio.sleep(0.1)
    return {name: value for name, value in gauges.items() if value}
