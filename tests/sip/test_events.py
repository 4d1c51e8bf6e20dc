"""Events in order: on the feed, on a WebSocket, and again after a reader was away."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.kit.engine import ROOT_TOKEN, EngineUnderTest
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def _call(engine: EngineUnderTest) -> None:
    """Make one call from its start to its end."""
    async with (
        Sipp("uas-ring-answer") as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "50")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        response = await engine.quickcall(device, "1002", custom_application_vars={"order": "4711"})
        assert response.status_code == 202
        await engine.end()
        await alice.succeeded()
        await bob.succeeded()


async def _read_call(engine: EngineUnderTest, resume_from: int | None = None) -> list[Any]:
    """Subscribe over a WebSocket and read frames until the terminal event."""
    url = httpx.URL(str(engine.http.base_url)).copy_with(scheme="ws", path="/v2/websocket")
    frames: list[Any] = []
    data: dict[str, object] = {"account_id": engine.account, "binding": "call.*.*"}
    if resume_from is not None:
        data["resume_from"] = resume_from
    async with connect(str(url), additional_headers={"X-Auth-Token": ROOT_TOKEN}) as socket:
        await socket.send(json.dumps({"action": "subscribe", "request_id": "1", "data": data}))
        if resume_from is None:
            assert json.loads(await socket.recv())["status"] == "success"
            await _call(engine)
        while not frames or frames[-1]["name"] != "QUICKCALL_END":
            frame = json.loads(await socket.recv())
            if frame["action"] == "event":
                frames.append(frame)
    return frames


async def test_the_websocket_tells_what_the_feed_tells(engine: EngineUnderTest) -> None:
    frames = await _read_call(engine)
    assert [(f["sequence"], f["name"]) for f in frames] == [
        (event.sequence, event.name) for event in engine.events
    ]
    for frame in frames:
        assert frame["data"]["custom_application_vars"] == {"order": "4711"}
    again = await _read_call(engine, resume_from=0)
    assert again == frames


async def test_steps_of_both_legs_come_in_the_order_they_happened(engine: EngineUnderTest) -> None:
    await _call(engine)
    a_leg, b_leg = engine.legs()
    order = [(event.name, event.call_id) for event in engine.events]

    def at(name: str, call_id: str) -> int:
        return order.index((name, call_id))

    assert at("CHANNEL_ANSWER", a_leg) < at("CHANNEL_CREATE", b_leg)
    assert at("CHANNEL_PROGRESS", b_leg) < at("CHANNEL_ANSWER", b_leg)
    assert at("CHANNEL_ANSWER", b_leg) < at("CHANNEL_BRIDGE", a_leg)
    assert at("CHANNEL_UNBRIDGE", b_leg) < at("CHANNEL_DESTROY", b_leg)
    assert order[-1][0] == "QUICKCALL_END"
    sequences = [event.sequence for event in engine.events]
    assert sequences == sorted(set(sequences))
    times = [event.at for event in engine.events]
    assert times == sorted(times)


async def test_events_are_stored(engine: EngineUnderTest) -> None:
    await _call(engine)
    await engine.engine.journal.flush()
    stored = await engine.engine.journal.events(engine.account, 0, 100)
    assert [event.sequence for event in stored] == [event.sequence for event in engine.events]
