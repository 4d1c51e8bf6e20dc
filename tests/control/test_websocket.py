"""The event stream over a real WebSocket."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.control import websocket as websocket_module
from engine.control import websocket_replay, websocket_snapshot
from engine.control.feed import Feed
from engine.control.server import HttpServer
from engine.control.websocket_link import Link
from engine.core.values import EndpointType, OriginateRequest
from tests.control.engine import ScriptedEngine, scripted_engine
from tests.control.samples import snapshot

ACCOUNT = "a" * 32
DEADLINE = 40.0
"""Seconds any single wait of a test may take."""


@asynccontextmanager
async def session(
    server: HttpServer,
    token: str | None = "root-token",
    path: str = "/v2/websocket",
    **options: Any,
) -> AsyncIterator[ClientConnection]:
    """Connect with a token in the header."""
    headers = {"X-Auth-Token": token} if token else {}
    url = f"ws://127.0.0.1:{server.port}{path}"
    async with connect(url, additional_headers=headers, compression=None, **options) as connection:
        yield connection


async def receive(connection: ClientConnection) -> dict[str, Any]:
    """Return the next frame."""
    async with asyncio.timeout(DEADLINE):
        frame: dict[str, Any] = json.loads(await connection.recv())
    return frame


async def ask(connection: ClientConnection, action: str, **data: Any) -> dict[str, Any]:
    """Send a frame and return its reply."""
    await connection.send(json.dumps({"action": action, "request_id": "r1", "data": data}))
    reply = await receive(connection)
    assert reply["action"] == "reply"
    assert reply["request_id"] == "r1"
    return reply


async def subscribe(connection: ClientConnection, *bindings: str, **data: Any) -> dict[str, Any]:
    """Subscribe to bindings of the account."""
    names = list(bindings) or ["call.*.*"]
    return await ask(connection, "subscribe", **{"account_id": ACCOUNT, "bindings": names, **data})


async def closed(connection: ClientConnection) -> tuple[int, str]:
    """Return the code and the reason of the close frame."""
    with pytest.raises(ConnectionClosed) as caught:
        await _exhaust(connection)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def _exhaust(connection: ClientConnection) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            await connection.recv()


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


async def test_a_client_that_does_not_read_is_cut_off_by_name_and_harms_nobody(
    server: HttpServer, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    big = {"local_sdp": "x" * 20_000}
    published: list[int] = []
    seen: list[int] = []
    last = [-1]

    async with session(server, max_queue=1) as deaf, session(server) as reader:
        await subscribe(deaf)
        await subscribe(reader)

        async def read() -> None:
            while seen[-1:] != last:
                seen.append((await receive(reader))["sequence"])

        reading = asyncio.create_task(read())
        # Until the sockets' buffers, whatever their size, are full and the line too.
        async with asyncio.timeout(DEADLINE):
            while "is cut off" not in caplog.text:
                published.append(engine.notice("CHANNEL_DESTROY", **big))
                await asyncio.sleep(0)
        published.append(engine.notice("CHANNEL_DESTROY"))
        last[:] = published[-1:]
        code, reason = await closed(deaf)
        await reading
    assert seen == published
    assert code == 1008
    assert reason.startswith("slow consumer: ")
    assert int(reason.split("resume from ")[1].split()[0]) < published[-1]
    assert f"of account {ACCOUNT} is cut off" in caplog.text
    peer = deaf.local_address
    assert f"{peer[0]}:{peer[1]}" in caplog.text


async def test_a_client_that_vanishes_leaves_nothing(
    server: HttpServer, engine: ScriptedEngine
) -> None:
    async with session(server) as connection:
        await subscribe(connection)
        (reader,) = engine.feed._readers[None]
        raw = connection.transport.get_extra_info("socket")
        raw.shutdown(socket.SHUT_RDWR)
    async with asyncio.timeout(DEADLINE):
        assert await reader.wait_cut() is None
    assert engine.feed.readers == 0


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


async def test_silence_without_a_token_is_ended(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "AUTH_TIMEOUT", 0.05)
    async with session(server, token=None) as connection:
        code, reason = await closed(connection)
    assert (code, reason) == (1008, "invalid_credentials: no token in time")


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


async def test_a_handshake_that_is_refused_is_answered_in_http(engine: ScriptedEngine) -> None:
    server = HttpServer(engine, sockets_per_ip=2)
    await server.start()
    try:
        with pytest.raises(InvalidStatus) as caught:
            async with session(server, subprotocols=["amqp"]):
                pass
        assert caught.value.response.status_code == 400
        async with session(server) as first, session(server):
            with pytest.raises(InvalidStatus) as caught:
                async with session(server):
                    pass
            assert caught.value.response.status_code == 429
            await first.close()
            # The place is free as soon as the server has seen that the client left.
            async with asyncio.timeout(DEADLINE), reconnected(server) as again:
                assert (await ask(again, "ping"))["status"] == "success"
    finally:
        await server.stop()


@asynccontextmanager
async def reconnected(server: HttpServer) -> AsyncIterator[ClientConnection]:
    """Connect as soon as there is room."""
    while True:
        try:
            async with session(server) as connection:
                yield connection
                return
        except InvalidStatus as error:
            if error.response.status_code != 429:
                raise


async def test_too_many_frames_are_refused_and_the_session_goes_on(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "FRAME_BURST", 3.0)
    monkeypatch.setattr(websocket_module, "FRAME_RATE", 1e-3)
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    async with session(server) as connection:
        monkeypatch.setattr(websocket_module, "_slow_down", pause)
        replies = [await ask_ping(connection) for _ in range(5)]
    assert [reply["status"] for reply in replies] == ["success"] * 3 + ["error"] * 2
    assert replies[-1]["data"]["errors"][0].startswith("rate limiting threshold hit for 127.0.0.1:")
    assert waited == [1000.0, 1000.0]


async def ask_ping(connection: ClientConnection) -> dict[str, Any]:
    await connection.send('{"action": "ping"}')
    return await receive(connection)


async def test_a_session_that_wants_nothing_does_not_stay(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "IDLE_TIMEOUT", 0.05)
    async with session(server) as connection:
        assert await closed(connection) == (1000, "idle for 0.05 seconds")


async def test_a_replay_that_is_not_read_is_given_up(
    server: HttpServer, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "DRAIN_TIMEOUT", 0.05)
    gave_up = asyncio.Event()
    close = Link.close

    def closing(link: Link, code: int, reason: str) -> None:
        close(link, code, reason)
        gave_up.set()

    monkeypatch.setattr(Link, "close", closing)
    for _ in range(2000):
        engine.notice("CHANNEL_DESTROY", local_sdp="x" * 20_000)
    async with session(server, max_queue=1) as connection:
        frame = {
            "action": "subscribe",
            "data": {"account_id": ACCOUNT, "binding": "call.*.*", "resume_from": 0},
        }
        await connection.send(json.dumps(frame))
        # Nothing is read until the server has given up.
        async with asyncio.timeout(DEADLINE):
            await gave_up.wait()
        code, reason = await closed(connection)
    assert (code, reason) == (1008, "nothing read for 0.05 seconds")


async def test_an_engine_that_stops_says_so_after_its_last_event(engine: ScriptedEngine) -> None:
    server = HttpServer(engine)
    await server.start()
    async with session(server) as connection:
        await subscribe(connection)
        last = [engine.notice("CHANNEL_DESTROY") for _ in range(3)]
        stopping = asyncio.create_task(server.stop())
        assert [(await receive(connection))["sequence"] for _ in range(3)] == last
        assert await closed(connection) == (1001, "the engine stops")
        await stopping
