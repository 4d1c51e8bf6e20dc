"""The engine loses no event and tells none twice while everything around it, and it, dies.

Calls are asked for all the time, over HTTP and over the bus. Meanwhile the broker, the target of
the webhooks and the database go away for a while, one after the other and then all at once, and the
engine itself is killed in the middle of its work, twice. `make soak` takes ten minutes for that, a
test run some seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.feeds import SocketReader, Told, read_bus
from tests.chaos.load import EXTENSION, Load
from tests.chaos.system import EngineProcess
from tests.chaos.verdict import judge, read_truth
from tests.kit.engine import REALM
from tests.kit.kazoo_bus import KazooBus
from tests.kit.postgres import Postgres
from tests.kit.rabbitmq import RabbitMq
from tests.kit.sipp import Sipp
from tests.kit.tcp_gate import TcpGate
from tests.kit.webhook_target import Post, WebhookTarget

pytestmark = [pytest.mark.sip, pytest.mark.native]

DRAIN_S = 120.0
"""Longest wait until every feed has told everything. A guard, never a measured time."""


@dataclass
class Stage:
    """Everything that runs, and the ways to break it."""

    engine: EngineProcess
    bus: KazooBus
    to_broker: TcpGate
    hook: WebhookTarget
    postgres: Postgres
    load: Load
    feeds: dict[str, Told]
    account: str
    database: str
    spool: str

    async def break_broker(self, seconds: float) -> None:
        """Cut the engine off from the broker for a while."""
        self.to_broker.shut()
        await asyncio.sleep(seconds)
        self.to_broker.open()

    async def break_hook(self, seconds: float) -> None:
        """Have the target of the webhooks refuse everything for a while."""
        self.hook.answer = lambda _: 503
        await asyncio.sleep(seconds)
        self.hook.answer = self.took

    async def break_database(self, seconds: float) -> None:
        """Stop the database in its tracks for a while."""
        self.postgres.pause()
        await asyncio.sleep(seconds)
        self.postgres.resume()

    async def break_all(self, seconds: float) -> None:
        """All of that at once."""
        await asyncio.gather(
            self.break_broker(seconds), self.break_hook(seconds), self.break_database(seconds)
        )

    async def kill_engine(self, _seconds: float) -> None:
        """Kill the engine, and start it again."""
        await self.engine.kill()
        await self.engine.start()

    def took(self, post: Post) -> int:
        """Note a delivery that the target takes."""
        self.feeds["webhook"].take(post.event_id)
        return 200


@asynccontextmanager
async def staged(directory: Path, rabbitmq: RabbitMq, postgres: Postgres) -> AsyncIterator[Stage]:
    """Set everything up; at the end the engine is stopped and nobody runs."""
    database = postgres.url(postgres.new_database())
    bus_url = rabbitmq.new_vhost()
    async with AsyncExitStack() as stack:
        gate = await stack.enter_async_context(TcpGate("127.0.0.1", rabbitmq.port))
        hook = await stack.enter_async_context(WebhookTarget())
        bus = await stack.enter_async_context(KazooBus(bus_url))
        rung = await stack.enter_async_context(endless_phone("uas-load-ring-answer"))
        dialled = await stack.enter_async_context(endless_phone("uas-load-answer-bye", "-d", "300"))
        gated = bus_url.replace(f":{rabbitmq.port}/", f":{gate.port}/")
        engine = EngineProcess(directory, database, gated)
        stack.push_async_callback(engine.stop)
        await engine.start()
        account = (await engine.put("/v2/accounts", {"name": "Chaos", "realm": REALM}))["id"]
        url = f"/v2/accounts/{account}"
        device = await engine.put(f"{url}/devices", phone("rung", "1001", rung))
        await engine.put(f"{url}/devices", phone("dialled", EXTENSION, dialled))
        hooked = {
            "name": "All",
            "hook": "all",
            "uri": hook.url,
            "http_verb": "post",
            "format": "json",
        }
        await engine.put(f"{url}/webhooks", hooked)
        feeds = {"bus": Told(), "webhook": Told(), "websocket": Told()}
        inbox = await bus.listen(("callevt", "call.#"))
        load = Load(engine, bus, account, str(device["id"]), rung.uri)
        socket = SocketReader(engine, account)
        feeds["websocket"] = socket.told
        stage = Stage(
            *(engine, bus, gate, hook, postgres, load, feeds, account, database),
            spool=str(directory / "spool"),
        )
        hook.answer = stage.took
        readers = [
            asyncio.create_task(read_bus(inbox, feeds["bus"])),
            asyncio.create_task(socket.run()),
        ]
        await socket.connected.wait()
        try:
            yield stage
            for reader in readers:
                assert not reader.done(), reader.exception()
        except BaseException as error:
            error.add_note(engine.story())
            raise
        finally:
            load.close()
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


def endless_phone(scenario: str, *options: str) -> Sipp:
    """A phone that takes calls until it is stopped."""
    return Sipp(scenario, calls=10_000_000, options=("-nostdin", *options), messages=False)


def phone(user: str, extension: str, sipp: Sipp) -> dict[str, object]:
    """A device that is reached at this SIPp."""
    return {
        "name": user,
        "sip": {"username": user, "invite_format": "route", "route": sipp.uri},
        "caller_id": {"internal": {"name": user, "number": extension}},
    }


async def cause_chaos(stage: Stage, seconds: float) -> None:
    """Break everything in its turn, within this time; calls are asked for all along."""
    acts: list[tuple[Callable[[float], Awaitable[None]], float]] = [
        (stage.break_broker, 0.1),
        (stage.break_hook, 0.1),
        (stage.kill_engine, 0.0),
        (stage.break_database, 0.1),
        (stage.break_all, 0.05),
        (stage.kill_engine, 0.0),
    ]
    calm = seconds * (1 - sum(share for _, share in acts)) / (len(acts) + 1)
    for act, share in acts:
        await asyncio.sleep(calm)
        before = stage.load.asked.unfit
        began = time.monotonic()
        await act(share * seconds)
        refused = stage.load.asked.unfit - before
        took = time.monotonic() - began
        print(f"{act.__name__}: {took:.1f} s, {refused} refused", file=sys.stderr, flush=True)
        assert act == stage.kill_engine or not refused, stage.load.asked.refused
    await asyncio.sleep(calm)


async def all_told(stage: Stage) -> None:
    """Wait until no call lives, the outbox is empty and every feed has as many events."""
    channels = f"/v2/accounts/{stage.account}/channels"
    deadline = asyncio.get_running_loop().time() + DRAIN_S
    while True:
        live = json.loads((await stage.engine.http.get(channels)).content)["data"]
        counts = {name: len(told.ids) for name, told in stage.feeds.items()}
        metrics = (await stage.engine.http.get("/metrics")).text
        emptied = "quickcall_events_outbox_depth 0.0" in metrics
        if not live and emptied and len(set(counts.values())) == 1:
            return
        assert asyncio.get_running_loop().time() < deadline, (len(live), counts)
        await asyncio.sleep(0.1)


async def test_nothing_is_lost_and_nothing_told_twice(
    tmp_path: Path, rabbitmq: RabbitMq, postgres: Postgres, chaos_seconds: float, chaos_rate: float
) -> None:
    async with staged(tmp_path, rabbitmq, postgres) as stage:
        stop = asyncio.Event()
        asking = asyncio.create_task(stage.load.run(chaos_rate, stop))
        await cause_chaos(stage, chaos_seconds)
        stop.set()
        await asking
        await all_told(stage)
        metrics = (await stage.engine.http.get("/metrics")).text
        assert "quickcall_zombie_legs_reaped_total 0.0" in metrics
        assert "quickcall_amqp_unconfirmed 0.0" in metrics
        assert 'quickcall_webhook_delivery_total{code="200"}' in metrics
        await stage.engine.stop()
        truth = await read_truth(stage.database, stage.spool, stage.account)
    asked = stage.load.asked
    judge(truth, asked, stage.feeds)
    ended = sum(event.name == "QUICKCALL_END" for event in truth.events.values())
    again = {name: told.twice for name, told in stage.feeds.items()}
    print(
        f"{ended} calls, {len(truth.events)} events on each of {len(stage.feeds)} feeds,"
        f" {len(truth.records)} records; told again after an outage: {again};"
        f" refused: {dict(asked.refused)}; asked without an answer: {len(asked.unknown)}",
        file=sys.stderr,
    )
    assert len(asked.accepted) > chaos_seconds
