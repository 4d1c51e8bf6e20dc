"""kill -9 of a served engine in the middle of its load: nothing that was promised is missing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.kit.engine import GUARD_S, REALM, ROOT_TOKEN
from tests.kit.server import ServerProcess
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

PERIOD_S = 0.05
"""Time between two requests: twenty calls a second."""

ENDED = 25
"""Calls that are over when the engine is killed; about as many live then."""

Frame = dict[str, Any]


class Load:
    """Requests to one path, at a steady rate until the engine is gone."""

    def __init__(self, server: ServerProcess, path: str) -> None:
        self._server = server
        self._path = path
        self.accepted: set[str] = set()
        self.sent = 0

    async def run(self) -> None:
        """Send; returns when every answer is there or will never be."""
        async with asyncio.TaskGroup() as asking:
            while self.sent < 1000:
                self.sent += 1
                request = asking.create_task(self._ask(f"request-{self.sent}"))
                try:
                    # Whoever hears that the engine is gone ends the load.
                    if not await asyncio.wait_for(asyncio.shield(request), PERIOD_S):
                        return
                except TimeoutError:
                    continue
                await asyncio.sleep(PERIOD_S)

    async def _ask(self, name: str) -> bool:
        try:
            answer = await self._server.http.get(self._path, headers={"X-Request-ID": name})
        except httpx.TransportError:
            return False
        # 503: it is told to come back, on a machine that is busy.
        assert answer.status_code in (202, 503), answer.text
        if answer.status_code == 202:
            self.accepted.add(name)
        return True


async def subscribed(
    server: ServerProcess, account: str, resume_from: int
) -> tuple[ClientConnection, list[Frame]]:
    """Return a connection and the events it got before its subscription was confirmed."""
    url = str(server.http.base_url).replace("http", "ws", 1).rstrip("/")
    connection = await connect(f"{url}/v2/websocket?auth_token={ROOT_TOKEN}", compression=None)
    data = {"account_id": account, "binding": "call.*.*", "resume_from": resume_from}
    await connection.send(json.dumps({"action": "subscribe", "data": data}))
    frames: list[Frame] = []
    while True:
        frame = json.loads(await connection.recv())
        if frame["action"] == "reply":
            assert frame["status"] == "success", frame
            return connection, frames
        frames.append(frame)


async def listen(connection: ClientConnection, frames: list[Frame], enough: asyncio.Event) -> None:
    """Gather events until the engine is gone; say when so many calls have ended."""
    try:
        async for text in connection:
            frames.append(json.loads(text))
            if named(frames, "QUICKCALL_END") and len(named(frames, "QUICKCALL_END")) >= ENDED:
                enough.set()
    except ConnectionClosed:
        pass


def named(frames: list[Frame], name: str) -> list[Frame]:
    return [frame["data"] for frame in frames if frame["name"] == name]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, object]:
    """What an engine is told of its store."""
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("postgres_url")
    return {"database": url, "spool_dir": str(tmp_path / "engine.spool")}


async def test_what_was_accepted_and_told_is_ended_once(
    tmp_path: Path, store: dict[str, object]
) -> None:
    changes = {**store, "overload_lag_ms": 0}
    phones = (
        Sipp("uas-load-answer", calls=1000, messages=False),
        Sipp("uas-load-answer-bye", calls=1000, options=("-d", "800"), messages=False),
    )
    live: list[Frame] = []
    enough = asyncio.Event()
    async with phones[0] as alice, phones[1] as carrier:
        async with ServerProcess(tmp_path, **changes) as server:
            account = (await server.put("/v2/accounts", {"name": "Test", "realm": REALM}))["id"]
            url = f"/v2/accounts/{account}"
            sip = {"username": "alice", "invite_format": "route", "route": alice.uri}
            device = (await server.put(f"{url}/devices", {"name": "alice", "sip": sip}))["id"]
            gateway = {"server": carrier.host, "port": carrier.port}
            rules = {"name": "carrier", "rules": [r"^(\d{6,})$"], "gateways": [gateway]}
            await server.put(f"{url}/resources", rules)
            load = Load(server, f"{url}/devices/{device}/quickcall/123456")
            connection, _ = await subscribed(server, account, 0)
            async with asyncio.timeout(GUARD_S), asyncio.TaskGroup() as tasks:
                tasks.create_task(listen(connection, live, enough))
                tasks.create_task(load.run())
                await enough.wait()
                await server.kill()
            await connection.close()
        async with ServerProcess(tmp_path, **changes) as again, asyncio.timeout(GUARD_S):
            first, frames = await subscribed(again, account, 0)
            second, missed = await subscribed(again, account, live[-1]["sequence"])
            await first.close()
            await second.close()
            answer = await again.http.get(f"{url}/cdrs", params={"page_size": 1000})
            assert (await again.http.get(f"{url}/channels")).json()["data"] == []
    judge(load, live, frames, missed, answer.json()["data"])


def judge(
    load: Load, live: list[Frame], frames: list[Frame], missed: list[Frame], records: list[Frame]
) -> None:
    """Compare what clients were answered and told with what is there afterwards."""
    ids = [frame["event_id"] for frame in frames]
    sequences = [frame["sequence"] for frame in frames]
    assert sequences == sorted(set(sequences))
    assert len(ids) == len(set(ids))
    # Nothing that was told is another thing now, and who resumes sees the rest, each once.
    assert frames[: len(live)] == live
    assert live + missed == frames

    ends = Counter(end["msg_id"] for end in named(frames, "QUICKCALL_END"))
    assert len(load.accepted) > ENDED
    assert set(ends) >= load.accepted
    assert set(ends.values()) == {1}
    created = Counter(frame["call_id"] for frame in named(frames, "CHANNEL_CREATE"))
    destroyed = Counter(frame["call_id"] for frame in named(frames, "CHANNEL_DESTROY"))
    assert len(created) > 2 * ENDED
    assert created == destroyed == Counter(record["call_id"] for record in records)
    assert set(created.values()) == {1}

    before = {end["msg_id"] for end in named(live, "QUICKCALL_END")}
    cut_off = [end for end in named(missed, "QUICKCALL_END") if end["hangup_cause"] == "CRASH"]
    assert cut_off
    assert not before & {end["msg_id"] for end in cut_off}
    causes = {record["call_id"]: record["hangup_cause"] for record in records}
    for end in cut_off:
        # A leg may have been hung up by its phone just before.
        legs = [attempt["call_id"] for attempt in end["attempts"]]
        assert all(leg in causes for leg in legs)
    assert "CRASH" in causes.values()
    for record in records:
        for field in ("interaction_id", "channel_created_time", "duration_seconds", "disposition"):
            assert field in record, (field, record)
