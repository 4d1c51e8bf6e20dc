"""What a client of the event stream may not do: not read, ask too much, come too often, be idle."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from engine.control import websocket as websocket_module
from engine.control import websocket_link
from engine.control.server import HttpServer
from engine.control.websocket_link import Link
from tests.control.engine import ScriptedEngine
from tests.control.event_client import ACCOUNT, DEADLINE, ask, closed, receive, session, subscribe


async def test_a_client_that_does_not_read_is_cut_off_by_name_and_harms_nobody(
    server: HttpServer,
    engine: ScriptedEngine,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Long enough to read all that came before the close frame, however busy the machine is.
    monkeypatch.setattr(websocket_link, "CLOSE_SECONDS", DEADLINE)
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


async def test_silence_without_a_token_is_ended(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_module, "AUTH_TIMEOUT", 0.05)
    async with session(server, token=None) as connection:
        code, reason = await closed(connection)
    assert (code, reason) == (1008, "invalid_credentials: no token in time")


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
    monkeypatch.setattr(websocket_link, "CLOSE_SECONDS", DEADLINE)
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


async def test_who_never_reads_is_cut_even_from_the_close_frame(
    server: HttpServer, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_link, "CLOSE_SECONDS", 0.05)
    gone = asyncio.Event()
    lost = Link.connection_lost

    def losing(link: Link, error: Exception | None) -> None:
        lost(link, error)
        gone.set()

    monkeypatch.setattr(Link, "connection_lost", losing)
    async with session(server, max_queue=1) as connection:
        await subscribe(connection)
        async with asyncio.timeout(DEADLINE):
            while engine.feed.readers:
                engine.notice("CHANNEL_DESTROY", local_sdp="x" * 20_000)
                await asyncio.sleep(0)
            await gone.wait()
        connection.transport.abort()


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
