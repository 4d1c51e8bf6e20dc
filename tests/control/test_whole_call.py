"""Whole calls through HTTP and the event stream, with real call control and loopback phones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from engine.control.server import HttpServer
from engine.sip.loopback import Answer, Bye, Early, Refuse, Ring
from tests.control.conftest import Tenant
from tests.control.engine import engine_on
from tests.control.loopback_engine import PHONE, LoopbackEngine

DIALLED = "sip:1002@192.0.2.9"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[LoopbackEngine]:
    """An engine with real call control; at the end no leg and no deadline is left."""
    async with engine_on(tmp_path, LoopbackEngine) as opened:
        yield opened
        assert opened.sip.stats().legs == 0
        assert (opened.control.legs, opened.control.originates, opened.control.deadlines) == (
            0,
            0,
            0,
        )
        opened.sip.close()


async def events_until_the_end(server: HttpServer, account_id: str) -> list[dict[str, Any]]:
    """Return every event of the account so far, up to the terminal one."""
    frames: list[dict[str, Any]] = []
    url = f"ws://127.0.0.1:{server.port}/v2/websocket?auth_token=root-token"
    data = {"account_id": account_id, "binding": "call.*.*", "resume_from": 0}
    async with asyncio.timeout(20), connect(url, compression=None) as connection:
        await connection.send(json.dumps({"action": "subscribe", "data": data}))
        while not frames or frames[-1]["name"] != "QUICKCALL_END":
            frame = json.loads(await connection.recv())
            if frame["action"] == "event":
                frames.append(frame)
    return frames


async def test_a_call_from_request_to_call_records(
    root: httpx.AsyncClient, server: HttpServer, engine: LoopbackEngine, tenant: Tenant
) -> None:
    engine.sip.script(PHONE, Ring(), Answer())
    engine.sip.script(DIALLED, Early(), Answer())
    response = await root.post(tenant.quickcall(), params={"order": "7"})
    assert response.status_code == 202, response.text
    a_leg = response.json()["data"]["call_id"]
    channels = (await root.get(f"{tenant.url}/channels")).json()["data"]
    assert {channel["leg"]: channel["answered"] for channel in channels} == {"a": True, "b": True}
    assert a_leg in [channel["uuid"] for channel in channels]
    assert (await root.delete(f"{tenant.url}/channels/{a_leg}")).status_code == 202
    assert (await root.get(f"{tenant.url}/channels")).json()["data"] == []

    frames = await events_until_the_end(server, tenant.account)
    names = [frame["name"] for frame in frames]
    for leg in {frame["data"]["call_id"] for frame in frames}:
        own = [frame["name"] for frame in frames if frame["data"]["call_id"] == leg]
        assert own[0] == "CHANNEL_CREATE"
        assert [name for name in own if name != "QUICKCALL_END"][-1] == "CHANNEL_DESTROY"
        for name in ("CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE"):
            assert own.count(name) == 1, (leg, own)
    assert names.count("QUICKCALL_END") == 1
    assert names[-1] == "QUICKCALL_END"
    assert [frame["sequence"] for frame in frames] == sorted(frame["sequence"] for frame in frames)
    for frame in frames:
        assert frame["data"]["custom_application_vars"] == {"order": "7"}
        assert frame["data"]["custom_channel_vars"]["account_id"] == tenant.account
    first = frames[0]["data"]
    assert first["caller_id_name"] == "Device QuickCall"
    assert first["caller_id_number"] == "1002"
    assert first["to"] == "alice@example.org"
    assert first["from"] == "1002@example.org"

    records = (await root.get(f"{tenant.url}/cdrs")).json()["data"]
    assert len(records) == 2
    assert {record["interaction_id"] for record in records} == {"63610891956-0a1b2c3d"}
    for record in records:
        assert record["hangup_cause"] == "NORMAL_CLEARING"
        assert record["billing_seconds"] > 0
        assert record["custom_application_vars"] == {"order": "7"}


@pytest.mark.parametrize(
    ("status", "cause"), [(486, "USER_BUSY"), (603, "CALL_REJECTED"), (480, "NO_USER_RESPONSE")]
)
async def test_a_refused_call_tells_its_cause(
    root: httpx.AsyncClient,
    server: HttpServer,
    engine: LoopbackEngine,
    tenant: Tenant,
    status: int,
    cause: str,
) -> None:
    engine.sip.script(PHONE, Ring(), Refuse(status, "No"))
    response = await root.post(tenant.quickcall())
    assert response.status_code == 500
    data = response.json()["data"]
    assert data["error_message"] == cause
    frames = await events_until_the_end(server, tenant.account)
    assert [frame["name"] for frame in frames] == [
        "CHANNEL_CREATE",
        "CHANNEL_PROGRESS",
        "CHANNEL_DESTROY",
        "QUICKCALL_END",
    ]
    assert frames[2]["data"]["call_id"] == data["request"]["endpoints"][0]["outbound_call_id"]
    assert frames[3]["data"]["hangup_cause"] == cause
    assert frames[3]["data"]["attempts"][0]["sip_status"] == status


async def test_nobody_registered(
    root: httpx.AsyncClient, server: HttpServer, tenant: Tenant
) -> None:
    url = f"{tenant.url}/devices/{tenant.nobody}/quickcall/1002"
    response = await root.post(url)
    assert response.json()["data"]["error_message"] == "DESTINATION_OUT_OF_ORDER"
    assert (await root.get(url)).status_code == 202
    frames = await events_until_the_end(server, tenant.account)
    assert [frame["name"] for frame in frames] == ["QUICKCALL_END"]


async def test_the_phone_hangs_up(
    root: httpx.AsyncClient, server: HttpServer, engine: LoopbackEngine, tenant: Tenant
) -> None:
    engine.sip.script(PHONE, Answer())
    engine.sip.script(DIALLED, Ring())
    call_id = (await root.post(tenant.quickcall())).json()["data"]["call_id"]
    engine.sip.play(call_id, Bye())
    engine.run()
    frames = await events_until_the_end(server, tenant.account)
    destroyed = [frame["data"] for frame in frames if frame["name"] == "CHANNEL_DESTROY"]
    causes = {data["call_id"] == call_id: data["hangup_cause"] for data in destroyed}
    assert causes == {True: "NORMAL_CLEARING", False: "ORIGINATOR_CANCEL"}
