"""Events on a real RabbitMQ: each one, once, in order, whatever goes away in between."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.control.amqp import AmqpFace
from engine.control.amqp_events import AmqpEvents
from engine.control.amqp_link import AmqpLink
from engine.control.feed import QUEUE_SIZE, RING_SIZE
from engine.control.kapi import encode_key
from engine.control.outbox import Outbox
from engine.sip.loopback import Answer, LoopbackSip, Ring
from tests.control.engine import ScriptedEngine
from tests.control.rig import A_URI, B_URI, Rig
from tests.kit.addresses import free_port
from tests.kit.kazoo_bus import GUARD_S, Inbox, KazooBus
from tests.kit.rabbitmq import RabbitMq
from tests.kit.server import ServerProcess
from tests.kit.tcp_gate import TcpGate


@pytest.fixture
async def gate(rabbitmq: RabbitMq) -> AsyncIterator[TcpGate]:
    """The engine's way to the broker; the test itself has one of its own."""
    async with TcpGate("127.0.0.1", rabbitmq.port) as gate:
        yield gate


@pytest.fixture
def gated_url(gate: TcpGate, rabbitmq: RabbitMq, amqp_url: str) -> str:
    """The broker's URL through the gate."""
    return amqp_url.replace(f":{rabbitmq.port}/", f":{gate.port}/")


@asynccontextmanager
async def on_the_bus(directory: Path, url: str) -> AsyncIterator[tuple[Rig, AmqpFace]]:
    """An engine on the loopback stack whose events go to the bus."""
    async with Rig(directory, LoopbackSip()) as rig:
        face = AmqpFace(rig.engine, url, 64, routes_numbers=False)
        await face.start()
        try:
            yield rig, face
        finally:
            async with asyncio.timeout(GUARD_S):
                await face.stop()


async def whole_call(rig: Rig, number: int = 1) -> None:
    """Carry out the engine's call of this number and wait until the feed has told its end."""
    rig.sip.script(A_URI, Ring(), Answer())
    rig.sip.script(B_URI, Ring(), Answer())
    call = rig.start()
    await rig.event("CHANNEL_BRIDGE", 2 * number)
    call.hang_up()
    await rig.event("QUICKCALL_END", number)


async def confirmed(face: AmqpFace) -> None:
    """Wait until the broker has confirmed everything that was told."""
    async with asyncio.timeout(GUARD_S):
        while face.events.lag:  # noqa: ASYNC110 - nobody tells when it is
            await asyncio.sleep(0.01)


async def ids_in(inbox: Inbox, wanted: set[str]) -> list[str]:
    """Wait until every wanted message id has come; return all that came, in order."""
    missing = set(wanted)
    while missing:
        message = await inbox.next()
        missing.discard(str(message.message_id))
    return [str(message.message_id) for message in inbox.seen]


async def test_every_event_of_a_call_arrives_once_and_in_order(
    tmp_path: Path, amqp_url: str
) -> None:
    async with KazooBus(amqp_url) as bus, on_the_bus(tmp_path, amqp_url) as (rig, face):
        inbox = await bus.listen(("callevt", "call.#"))
        records = await bus.listen(("cdr", "cdr.report.*.*"))
        await whole_call(rig)
        told = rig.seen
        seen = [await inbox.next() for _ in told]
        await confirmed(face)
        assert inbox.empty()
        assert [message.payload for message in seen] == [event.payload for event in told]
        node = rig.engine.node
        assert [message.message_id for message in seen] == [e.event_id(node) for e in told]
        for message, event in zip(seen, told, strict=True):
            assert message.routing_key == f"call.{event.name}.{encode_key(event.call_id)}"
            assert message.headers == {"call-id": event.call_id}
            assert message.content_type == "application/json"
            assert message.timestamp == round(event.at * 1_000_000)
        assert (face.events.published, face.link.unconfirmed) == (len(told), 0)
        destroyed = [event for event in told if event.name == "CHANNEL_DESTROY"]
        assert len(destroyed) == 2
        for event in destroyed:
            record = await records.next()
            assert record.routing_key == f"cdr.report.{rig.account}.{encode_key(event.call_id)}"
            assert record.message_id == f"{event.event_id(node)}.cdr"
            payload = record.payload
            assert (payload["Event-Category"], payload["Event-Name"]) == ("cdr", "report")
            assert (payload["Account-ID"], payload["Call-ID"]) == (rig.account, event.call_id)
            for key in ("Timestamp", "Billing-Seconds", "Hangup-Cause", "Custom-Channel-Vars"):
                assert payload[key] == event.payload[key]
            interaction = event.payload["Custom-Channel-Vars"]["Call-Interaction-ID"]  # type: ignore[index]
            assert payload["Call-Interaction"]["Id"] == interaction


async def test_a_request_nobody_answers_is_told_under_its_own_id(
    tmp_path: Path, amqp_url: str
) -> None:
    async with KazooBus(amqp_url) as bus, on_the_bus(tmp_path, amqp_url) as (rig, _):
        inbox = await bus.listen(("callevt", "call.QUICKCALL_END.#"))
        call = rig.start(endpoint_id="registering", request_id="request.1")
        async with asyncio.timeout(GUARD_S):
            await call.ended()
        message = await inbox.next()
        assert message.routing_key == "call.QUICKCALL_END.request%2E1"
        assert message.headers == {"call-id": "request.1"}
        assert message.payload["Hangup-Cause"] == "DESTINATION_OUT_OF_ORDER"


async def test_calls_go_on_while_the_broker_is_dead_and_all_of_it_is_told_when_it_is_back(
    tmp_path: Path, gate: TcpGate, gated_url: str, rabbitmq: RabbitMq, amqp_url: str
) -> None:
    async with on_the_bus(tmp_path, gated_url) as (rig, face):
        node = rig.engine.node
        async with KazooBus(amqp_url) as bus:
            inbox = await bus.listen(("callevt", "call.#"))
            call = await rig.talk()
            before = await ids_in(inbox, {event.event_id(node) for event in rig.seen})
            await confirmed(face)
            gate.shut()
        rabbitmq.kill()
        call.hang_up()
        await rig.event("QUICKCALL_END")
        await whole_call(rig, 2)
        assert face.events.lag == len(rig.seen) - len(before)
        await rabbitmq.restarted()
        async with KazooBus(amqp_url) as bus:
            inbox = await bus.listen(("callevt", "call.#"))
            gate.open()
            wanted = [event.event_id(node) for event in rig.seen]
            after = await ids_in(inbox, set(wanted[len(before) :]))
    assert before + after == wanted


async def test_a_cut_at_any_moment_loses_nothing_and_keeps_the_order(
    tmp_path: Path, gate: TcpGate, gated_url: str, amqp_url: str
) -> None:
    async with KazooBus(amqp_url) as bus, on_the_bus(tmp_path, gated_url) as (rig, face):
        inbox = await bus.listen(("callevt", "call.#"))
        for _ in range(12):
            rig.sip.script(A_URI, Ring(), Answer())
            rig.sip.script(B_URI, Ring(), Answer())
            call = rig.start()
            for _ in range(secrets.randbelow(8)):
                await asyncio.sleep(0)
            gate.shut()
            call.hang_up()
            async with asyncio.timeout(GUARD_S):
                await call.ended()
            gate.open()
        await rig.event("QUICKCALL_END", 12)
        wanted = [event.event_id(rig.engine.node) for event in rig.seen]
        seen = await ids_in(inbox, set(wanted))
        await confirmed(face)
    # Some come twice, by one id; without the second ones all are there in their order.
    assert list(dict.fromkeys(seen)) == wanted
    assert face.link.reconnects > 0


@pytest.mark.parametrize("how", ["frozen", "out of memory"])
async def test_a_broker_that_takes_nothing_gets_it_later(
    tmp_path: Path, rabbitmq: RabbitMq, amqp_url: str, how: str
) -> None:
    async with KazooBus(amqp_url) as bus, on_the_bus(tmp_path, amqp_url) as (rig, _):
        inbox = await bus.listen(("callevt", "call.#"))
        if how == "frozen":
            rabbitmq.pause()
        else:
            rabbitmq.block()
        try:
            await whole_call(rig)
        finally:
            if how == "frozen":
                rabbitmq.resume()
            else:
                rabbitmq.unblock()
        wanted = [event.event_id(rig.engine.node) for event in rig.seen]
        assert await ids_in(inbox, set(wanted)) == wanted


async def test_more_than_memory_holds_is_told_in_order(
    engine: ScriptedEngine, gate: TcpGate, gated_url: str, amqp_url: str
) -> None:
    link = AmqpLink(gated_url, engine.node)
    events = AmqpEvents(link, Outbox(engine.feed, engine.journal, "amqp"), engine.node)
    gate.shut()
    events.start()
    await link.start()
    count = RING_SIZE + QUEUE_SIZE + 100
    for number in range(count):
        engine.publish("acme", f"call-{number}", "CHANNEL_ANSWER", {"Number": number})
    assert events.lag == count
    async with KazooBus(amqp_url) as bus:
        inbox = await bus.listen(("callevt", "call.#"))
        gate.open()
        assert [(await inbox.next()).payload["Number"] for _ in range(count)] == list(range(count))
    await events.stop()
    await link.stop()
    assert events.lag == 0


async def test_closing_without_a_broker_is_quick_and_the_next_start_tells_the_rest(
    tmp_path: Path, gate: TcpGate, gated_url: str, amqp_url: str
) -> None:
    gate.shut()
    async with on_the_bus(tmp_path, gated_url) as (rig, _):
        await whole_call(rig)
        wanted = [event.event_id(rig.engine.node) for event in rig.seen]
    async with KazooBus(amqp_url) as bus:
        inbox = await bus.listen(("callevt", "call.#"))
        gate.open()
        async with on_the_bus(tmp_path, gated_url):
            assert await ids_in(inbox, set(wanted)) == wanted


@pytest.mark.native
async def test_what_a_killed_engine_had_not_told_is_told_by_the_next_one(
    tmp_path: Path, gate: TcpGate, gated_url: str, amqp_url: str
) -> None:
    gate.shut()
    # Nobody is there: the call rings until the engine dies.
    uri = f"sip:p@127.0.0.1:{free_port('127.0.0.1')}"
    phone = {"username": "p", "invite_format": "route", "route": uri}
    options = {"amqp_url": gated_url, "node": "quickcall@kill.test"}
    async with ServerProcess(tmp_path, **options) as server:
        account = (await server.put("/v2/accounts", {"name": "A", "realm": "a.test"}))["id"]
        url = f"/v2/accounts/{account}"
        device = (await server.put(f"{url}/devices", {"name": "p", "sip": phone}))["id"]
        answer = await server.http.get(f"{url}/devices/{device}/quickcall/1002")
        assert answer.status_code == 202, answer.text
        request_id = answer.json()["request_id"]
        await server.kill()
    async with KazooBus(amqp_url) as bus:
        inbox = await bus.listen(("callevt", "call.#"))
        gate.open()
        async with ServerProcess(tmp_path, **options):
            end = await inbox.named("QUICKCALL_END")
    assert [message.name for message in inbox.seen] == [
        "CHANNEL_CREATE",
        "CHANNEL_DESTROY",
        "QUICKCALL_END",
    ]
    assert end.payload["Msg-ID"] == request_id
    assert end.payload["Hangup-Cause"] == "CRASH"
    ids = [message.message_id for message in inbox.seen]
    assert ids[0] == "1.quickcall@kill.test"
    assert ids[2] == f"{request_id}.quickcall@kill.test.end"
