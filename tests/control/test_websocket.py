"""The event stream over a real WebSocket."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from engine.control import websocket_replay, websocket_snapshot
from engine.control.feed import Feed
from engine.control.server import HttpServer
from engine.core.values import EndpointType, OriginateRequest
from tests.control.engine import ScriptedEngine, scripted_engine
from tests.control.event_client import ACCOUNT, ask, closed, receive, session, subscribe
from tests.control.samples import snapshot


@pytest.mark.parametrize("path", ["/v2/websocket", "/socket"])
async def test_an_event_frame_has_kazoos_shape(
    server: HttpServer, engine: ScriptedEngine, path: str
) -> None:
    async with session(server, path=path) as connection:
        reply = await subscribe(connection, "call.CHANNEL_ANSWER.*")
        assert reply["status"] == "success"
        assert reply["data"] == {"subscribed": [f"call.{ACCOUNT}.CHANNEL_ANSWER.*"]}
        engine.notice("CHANNEL_CREATE")
        sequence = engine.notice("CHANNEL_ANSWER", call_id="a.b")
        frame = await receive(connection)
    data = frame.pop("data")
    assert frame == {
        "action": "event",
        "subscribed_key": "call.CHANNEL_ANSWER.*",
        "subscription_key": f"call.{ACCOUNT}.CHANNEL_ANSWER.*",
        "name": "CHANNEL_ANSWER",
        "routing_key": f"call.{ACCOUNT}.CHANNEL_ANSWER.a%2Eb",
        "sequence": sequence,
        "event_id": f"{sequence}.{engine.node}",
    }
    assert data["call_id"] == "a.b"
    assert data["custom_channel_vars"]["account_id"] == ACCOUNT
    assert data["custom_application_vars"] == {"foo": "bar", "Order-ID": "7"}


async def test_bindings_by_call_and_by_several(server: HttpServer, engine: ScriptedEngine) -> None:
    async with session(server) as connection:
        await subscribe(connection, "call.*.one", "call.CHANNEL_DESTROY.*")
        engine.notice("CHANNEL_CREATE", call_id="two")
        engine.notice("CHANNEL_CREATE", call_id="one")
        engine.notice("CHANNEL_DESTROY", call_id="one")
        engine.notice("CHANNEL_DESTROY", call_id="two")
        engine.notice("CHANNEL_DESTROY", call_id="two", account_id="b" * 32)
        frames = [await receive(connection) for _ in range(3)]
        assert [frame["sequence"] for frame in frames] == [2, 3, 4]
        assert [frame["subscribed_key"] for frame in frames] == [
            "call.*.one",
            "call.*.one",
            "call.CHANNEL_DESTROY.*",
        ]
        reply = await ask(connection, "unsubscribe", account_id=ACCOUNT, binding="call.*.one")
        assert reply["data"] == {
            "unsubscribed": [f"call.{ACCOUNT}.*.one"],
            "subscribed": [f"call.{ACCOUNT}.CHANNEL_DESTROY.*"],
        }
        engine.notice("CHANNEL_ANSWER", call_id="one")
        engine.notice("CHANNEL_DESTROY", call_id="one")
        assert (await receive(connection))["name"] == "CHANNEL_DESTROY"


async def test_a_root_token_may_hear_every_account(
    server: HttpServer, engine: ScriptedEngine
) -> None:
    async with session(server) as connection:
        await subscribe(connection, account_id="*")
        engine.notice("CHANNEL_CREATE", account_id="b" * 32)
        frame = await receive(connection)
        assert frame["routing_key"].startswith(f"call.{'b' * 32}.")


async def test_resuming_goes_from_the_journal_into_memory_without_a_gap(
    server: HttpServer, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_replay, "PAGE", 7)
    engine.feed = Feed(ring_size=5)
    for index in range(50):
        engine.notice("CHANNEL_CREATE", account_id=ACCOUNT if index % 2 else "b" * 32)
    async with session(server) as connection:
        frame = {
            "action": "subscribe",
            "data": {"account_id": ACCOUNT, "binding": "call.*.*", "resume_from": 3},
        }
        await connection.send(json.dumps(frame))
        seen: list[int] = []
        live = False
        while seen[-1:] != [60]:
            answer = await receive(connection)
            if answer["action"] == "event":
                seen.append(answer["sequence"])
            if not live:
                live = True
                for _ in range(10):
                    engine.notice("CHANNEL_CREATE")
        assert seen == [*range(4, 51, 2), *range(51, 61)]


async def test_resuming_after_a_restart(tmp_path: Path) -> None:
    async with scripted_engine(tmp_path) as engine:
        first = [engine.notice("CHANNEL_CREATE") for _ in range(3)]
    async with scripted_engine(tmp_path) as engine:
        server = HttpServer(engine)
        await server.start()
        second = engine.notice("CHANNEL_DESTROY")
        async with session(server) as connection:
            await connection.send(
                json.dumps(
                    {
                        "action": "subscribe",
                        "data": {"account_id": ACCOUNT, "binding": "call.*.*", "resume_from": 1},
                    }
                )
            )
            frames = [await receive(connection) for _ in range(4)]
        await server.stop()
    sequences = [frame["sequence"] for frame in frames if frame["action"] == "event"]
    assert sequences == [*first[1:], second]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("{", "frame"),
        ("[]", "frame"),
        ('{"action": "dance"}', "action dance not supported : subscribe, unsubscribe, ping"),
        ('{"action": "subscribe", "data": {"account_id": "a"}}', "missing required keys : binding"),
        ('{"action": "subscribe"}', "missing required keys : account_id, binding"),
        ('{"action": "subscribe", "data": {"account_id": "a", "binding": "object.*"}}', "call."),
        (
            '{"action": "subscribe", "data": {"account_id": "a", "binding": "call.X.*"}}',
            "event X not",
        ),
        (
            '{"action": "subscribe", "data": {"account_id": "a", "binding": "call.*.*",'
            ' "resume_from": 9}}',
            "ahead of the stream",
        ),
        (
            json.dumps(
                {
                    "action": "subscribe",
                    "data": {"account_id": "a", "bindings": [f"call.*.{i}" for i in range(65)]},
                }
            ),
            "at most 64",
        ),
    ],
)
async def test_a_bad_frame_is_answered_and_the_session_goes_on(
    server: HttpServer, frame: str, text: str
) -> None:
    async with session(server) as connection:
        await connection.send(frame)
        reply = await receive(connection)
        assert reply["status"] == "error"
        (error,) = reply["data"]["errors"]
        assert text in error
        assert (await ask(connection, "ping"))["data"] == {"response": "pong"}


async def test_who_may_listen(server: HttpServer, engine: ScriptedEngine) -> None:
    token = engine.tokens.create(ACCOUNT)
    async with session(server, token=None) as connection:
        frame = {"action": "subscribe", "auth_token": token, "data": {"account_id": ACCOUNT}}
        frame["data"]["binding"] = "call.*.*"  # type: ignore[index]
        await connection.send(json.dumps(frame))
        assert (await receive(connection))["status"] == "success"
        for account_id in ("b" * 32, "*"):
            reply = await ask(connection, "subscribe", account_id=account_id, binding="call.*.*")
            assert reply["status"] == "error"
            assert "may not use account" in reply["data"]["errors"][0]
    async with session(server, token=None) as connection:
        await connection.send('{"action": "ping"}')
        assert (await receive(connection))["status"] == "error"
        code, reason = await closed(connection)
        assert code == 1008
        assert reason.startswith("invalid_credentials")
    async with session(server, token="guess") as connection:
        code, reason = await closed(connection)
        assert (code, reason.partition(":")[0]) == (1008, "invalid_credentials")


async def test_the_servers_log_has_no_tokens(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="websockets.client")
    caplog.set_level(logging.DEBUG)
    async with session(server, token=None, path="/socket?auth_token=root-token") as connection:
        assert (await ask(connection, "ping"))["status"] == "success"
    async with session(server) as connection:
        await connection.send('{"action": "ping", "auth_token": "root-token"}')
        assert (await receive(connection))["status"] == "success"
    assert "/socket" in caplog.text
    assert "root-token" not in caplog.text


async def test_who_comes_back_too_late_is_told_what_lives_and_then_every_event(
    server: HttpServer, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_snapshot, "PART", 2)
    engine.feed = Feed(ring_size=5)
    engine.journal._retention._keep = 10
    for _ in range(5):
        for _ in range(10):
            engine.notice("CHANNEL_CREATE")
        await engine.journal.flush()
    assert 0 < engine.journal.forgotten <= 40
    tenant = await engine.directory.put("account", "", {"name": "A", "realm": "a.test"}, ACCOUNT)
    device = await engine.directory.put("device", ACCOUNT, {"sip": {"username": "alice"}})
    asked = OriginateRequest(tenant["id"], EndpointType.DEVICE, device["id"], "1002")
    handle = engine.start(asked)
    engine.legs = [snapshot(call_id=f"live-{index}") for index in range(5)]
    engine.legs.append(snapshot(account_id="b" * 32, call_id="theirs"))
    async with session(server) as connection:
        frame = {
            "action": "subscribe",
            "data": {"account_id": ACCOUNT, "binding": "call.*.*", "resume_from": 3},
        }
        await connection.send(json.dumps(frame))
        parts = [await receive(connection)]
        late = engine.notice("CHANNEL_ANSWER", call_id="live-4")
        while parts[-1]["more"]:
            parts.append(await receive(connection))
        rest = [await receive(connection), await receive(connection)]
    assert {part["action"] for part in parts} == {"snapshot"}
    assert {part["sequence"] for part in parts} == {50}
    assert parts[0]["subscription_keys"] == [f"call.{ACCOUNT}.*.*"]
    channels = [channel for part in parts for channel in part["data"]["channels"]]
    assert [channel["call_id"] for channel in channels] == [f"live-{index}" for index in range(5)]
    requests = [request for part in parts for request in part["data"]["requests"]]
    (request,) = requests
    assert (request["msg_id"], request["number"]) == (handle.originate_id, "1002")
    assert request["call_ids"] == [attempt.call_id for attempt in handle.planned]
    told = {frame["action"]: frame for frame in rest}
    assert told["reply"]["data"]["snapshot"] == 50
    assert told["event"]["sequence"] == late == 51


async def test_an_event_that_ends_something_has_the_id_it_has_everywhere(
    server: HttpServer, engine: ScriptedEngine
) -> None:
    async with session(server) as connection:
        await subscribe(connection)
        engine.notice("CHANNEL_DESTROY")
        frame = await receive(connection)
    created = frame["data"]["channel_created_time"]
    assert frame["event_id"] == f"{frame['data']['call_id']}.{created}.destroy"
