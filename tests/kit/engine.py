"""A real engine for a test: native stack, SQLite file, HTTP API, one account with devices and
carriers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from engine import Engine, EngineConfig
from engine.control.feed import FeedEvent, Subscription
from engine.control.ladder import label
from engine.runtime import Server, serve
from engine.runtime.reaper import Reaped
from tests.kit.sipp import Sipp
from tests.kit.stack import all_zero

ROOT_TOKEN = "root-token-of-the-tests"
REALM = "test.local"
PASSWORD = "secret-of-the-tests"

SIPP_DIGEST = ("MD5",)
"""SIPp 3.6 reads only the first challenge and knows only this algorithm."""

GUARD_S = 40.0
"""Longest wait for an event of the engine. A guard against hanging, never a measured time."""

Document = dict[str, Any]


class EngineUnderTest:
    """The engine, its HTTP client, and every event it published for the account.

    Args:
        directory: where the SQLite file goes; the same directory again is a restart.
        listeners: SIP listeners as `EngineConfig` writes them.
        changes: further fields of `EngineConfig`; unlike its default, no ringback is played.

    Leaving the `async with` block waits until nothing of any call is left, then closes it and
    requires that no task is left either.
    """

    def __init__(
        self,
        directory: Path,
        listeners: tuple[str, ...] = ("udp:127.0.0.1:0", "tcp:127.0.0.1:0"),
        **changes: object,
    ) -> None:
        """Build the configuration; entering starts the engine."""
        self.config = msgspec.convert(
            {
                "sip_listeners": listeners,
                "database": f"sqlite+aiosqlite:///{directory / 'quickcall.db'}",
                "http_port": 0,
                "tokens": {ROOT_TOKEN: "*"},
                "realm": REALM,
                "reaper_s": 1,
                "ringback": "",
                # Other tests make this machine late, not the calls of this one.
                "overload_lag_ms": 0,
                **changes,
            },
            EngineConfig,
        )
        self.account = ""
        self.faults = Reaped()
        """What the audits are to find, for tests that bring faults about."""
        self.events: list[FeedEvent] = []
        self.http: httpx.AsyncClient
        self.engine: Engine
        self._server: Server
        self._feed: Subscription
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None]
        self._tasks_before: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._tasks_before = asyncio.all_tasks()
        self._server = serve(self.config)
        await self._server.__aenter__()
        self.engine = self._server.engine
        self.http = httpx.AsyncClient(
            base_url=self._server.url, headers={"X-Auth-Token": ROOT_TOKEN}, timeout=GUARD_S
        )
        self._feed = self.engine.feed.subscribe()
        self._reader = asyncio.create_task(self._read_feed())
        accounts = self.engine.directory.accounts()
        if accounts:
            self.account = accounts[0].id
        else:
            account = await self.put("/v2/accounts", {"name": "Test", "realm": REALM})
            self.account = account["id"]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await all_zero(self.engine.stats)
                assert not self.engine.channels(self.account)
                assert self.engine.reaped == self.faults
            else:
                error.add_note(self._story())
        finally:
            self._feed.close()
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            await self.http.aclose()
            await self._server.__aexit__(None, None, None)
        left = asyncio.all_tasks() - self._tasks_before - {asyncio.current_task()}
        assert not left, f"tasks left after closing: {left}"

    @property
    def server(self) -> Server:
        """The engine with its faces."""
        return self._server

    # --- the directory ----------------------------------------------------------------------------

    async def put(self, path: str, document: Mapping[str, object]) -> Document:
        """Create a document through the HTTP API and return it. A relative path starts at the
        account.
        """
        response = await self.http.put(self._path(path), json={"data": document})
        assert response.status_code in (200, 201), response.text
        data: Document = response.json()["data"]
        return data

    async def device(self, user: str, extension: str, route: str = "", **fields: object) -> str:
        """Create a device and return its id.

        It is reached at the SIP URI `route`, or, when that is empty, where it registers as `user`.
        """
        sip: dict[str, object] = {"username": user, "password": PASSWORD}
        if route:
            sip |= {"invite_format": "route", "route": route}
        document = {
            "name": user,
            "sip": sip,
            "caller_id": {"internal": {"name": user.title(), "number": extension}},
            **fields,
        }
        return str((await self.put("devices", document))["id"])

    async def user(self, name: str, **fields: object) -> str:
        """Create a user and return its id."""
        document = {"first_name": name, "last_name": "Test", **fields}
        return str((await self.put("users", document))["id"])

    async def carrier(self, peer: Sipp, weight: int = 50, **gateway: object) -> str:
        """Create a carrier that takes numbers of six digits and more at `peer`; return its id."""
        document = {
            "name": f"carrier {weight}",
            "rules": [r"^\+?(\d{6,})$"],
            "weight_cost": weight,
            "gateways": [{"server": peer.host, "port": peer.port, **gateway}],
        }
        return str((await self.put("resources", document))["id"])

    # --- calls ------------------------------------------------------------------------------------

    async def quickcall(
        self,
        endpoint: str,
        number: str,
        *,
        method: str = "POST",
        kind: str = "devices",
        **options: object,
    ) -> httpx.Response:
        """Ask for a quickcall and return the response: options in the body of a POST, else in the
        query.
        """
        path = self._path(f"{kind}/{endpoint}/quickcall/{number}")
        if method == "POST":
            return await self.http.post(path, json={"data": options})
        query = {key: str(value).lower() if value in (True, False) else str(value)
                 for key, value in options.items()}  # fmt: skip
        return await self.http.get(path, params=query)

    async def register(self, user: str, phone: Sipp, agent: str = "") -> None:
        """Register `user` from the address of a phone that is not started yet, with another SIPp.

        It has to come from there: a contact that is not the source of its REGISTER is behind a NAT.
        """
        async with self.registering(user, phone, agent=agent) as registering:
            await registering.succeeded()

    def registering(
        self,
        user: str,
        phone: Sipp,
        *,
        scenario: str = "uac-register",
        contact: str = "",
        expires: int = 600,
        password: str = PASSWORD,
        agent: str = "",
    ) -> Sipp:
        """Return a SIPp at the address of `phone` that registers `contact`, by default its URI.

        `agent`: how its User-Agent begins, for the scenario uac-register.
        """
        named = ("-set", "agent", agent) if agent else ()
        return Sipp(
            scenario,
            remote=self.sip_address(phone.transport),
            transport=phone.transport,
            host=phone.host,
            port=phone.port,
            keys={
                "domain": REALM,
                "contact": contact or f"<{phone.uri}>",
                "expires": str(expires),
            },
            options=("-s", user, "-au", user, "-ap", password, *named),
        )

    def now(self) -> float:
        """Return the time as bindings count it."""
        return time.time()

    def sip_address(self, transport: str = "udp") -> str:
        """Return `host:port` of the engine's listener of that transport."""
        for listener in self.engine.listeners:
            if listener.transport == transport:
                host = f"[{listener.host}]" if ":" in listener.host else listener.host
                return f"{host}:{listener.port}"
        raise AssertionError(f"no {transport} listener in {self.engine.listeners}")

    # --- what came of them ------------------------------------------------------------------------

    async def event(
        self, name: str, call_id: str | None = None, count: int = 1, *, guard_s: float = GUARD_S
    ) -> FeedEvent:
        """Wait for the `count`th event of that name (of that call), counted from the start."""
        async with asyncio.timeout(guard_s):
            while True:
                self._changed.clear()
                seen = [
                    event
                    for event in self.events
                    if event.name == name and call_id in (None, event.call_id)
                ]
                if len(seen) >= count:
                    return seen[count - 1]
                await self._changed.wait()

    async def end(self, count: int = 1) -> Document:
        """Wait for the `count`th terminal event and return its payload."""
        return (await self.event("QUICKCALL_END", count=count)).payload

    def names(self, call_id: str) -> list[str]:
        """Return the names of a leg's events in order."""
        return [event.name for event in self.events if event.call_id == call_id]

    def legs(self) -> list[str]:
        """Return the Call-ID of every leg so far, in the order they were created."""
        return [event.call_id for event in self.events if event.name == "CHANNEL_CREATE"]

    def messages(self, leg: int) -> list[str]:
        """Return the messages of the nth leg, named as in a ladder; needs `trace`."""
        return [label(message.text) for message in self.engine.trace(self.legs()[leg])]

    async def cdrs(self) -> dict[str, Document]:
        """Return every CDR as the HTTP API shows it, by Call-ID."""
        await self.engine.journal.flush()
        response = await self.http.get(self._path("cdrs"))
        assert response.status_code == 200, response.text
        return {cdr["call_id"]: cdr for cdr in response.json()["data"]}

    def local_sdp(self, call_id: str) -> str:
        """Return the SDP the engine sent on a live leg."""
        for leg in self.engine.channels(self.account):
            if leg.call_id == call_id:
                return leg.local_sdp
        raise AssertionError(f"no live leg {call_id}")

    def _path(self, path: str) -> str:
        return path if path.startswith("/") else f"/v2/accounts/{self.account}/{path}"

    async def _read_feed(self) -> None:
        async for event in self._feed:
            self.events.append(event)
            self._changed.set()

    def _story(self) -> str:
        """Return every event, for a failing test."""
        return "\n".join(
            f"{event.sequence} {event.name} {event.call_id} {event.payload.get('Hangup-Cause', '')}"
            for event in self.events
        )
