"""The link against a real RabbitMQ, with pika on the other side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from engine.control.amqp_confirms import LinkDown
from engine.control.amqp_delivery import Delivery
from engine.control.amqp_frames import Message
from engine.control.amqp_link import AmqpLink
from engine.core.errors import RequestInvalid
from tests.kit.kazoo_bus import GUARD_S, KazooBus
from tests.kit.rabbitmq import RabbitMq
from tests.kit.tls import TlsTerminator, make_certificate

NODE = "engine@test.example.org"


@pytest.fixture
async def link(amqp_url: str) -> AsyncIterator[AmqpLink]:
    """A link that its test starts."""
    link = AmqpLink(amqp_url, NODE, prefetch=4)
    yield link
    await link.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Heard:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._more = asyncio.Event()

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self._more.set()

    async def count(self, count: int) -> list[Delivery]:
        async with asyncio.timeout(GUARD_S):
            while len(self.deliveries) < count:
                self._more.clear()
                await self._more.wait()
        return self.deliveries


async def eventually(done: Callable[[], bool]) -> None:
    """Wait for what tells nobody when it happens."""
    async with asyncio.timeout(GUARD_S):
        while not done():  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.01)


def messages(first: int, count: int, size: int = 10) -> list[Message]:
    return [
        Message(
            *("callevt", f"call.TEST.{number}", b'{"n": %d, "x": "%s"}' % (number, b"y" * size)),
            *(f"id-{number}", 1443672757123456, {"call-id": f"c {number}"}),
        )
        for number in range(first, first + count)
    ]


async def test_publishes_in_order_with_kazoos_properties(link: AmqpLink, bus: KazooBus) -> None:
    inbox = await bus.listen(("callevt", "call.#"))
    await link.start()
    assert link.connected
    for first in (0, 100, 200):
        await link.publish(messages(first, 100))
    assert (link.published, link.unconfirmed) == (300, 0)
    seen = [await inbox.next() for _ in range(300)]
    assert [message.payload["n"] for message in seen] == list(range(300))
    assert seen[7].message_id == "id-7"
    assert seen[7].headers == {"call-id": "c 7"}
    assert seen[7].content_type == "application/json"
    assert seen[7].timestamp == 1443672757123456


async def test_publishes_in_uvloop_too(amqp_url: str) -> None:
    async def publish() -> int:
        link = AmqpLink(amqp_url, NODE)
        await link.start()
        await link.publish(messages(0, 3, size=300_000))
        await link.stop()
        return link.published

    assert await asyncio.to_thread(uvloop.run, publish()) == 3


async def test_a_body_of_many_frames_arrives_whole(link: AmqpLink, bus: KazooBus) -> None:
    inbox = await bus.listen(("callevt", "call.#"))
    await link.start()
    await link.publish(messages(0, 2, size=700_000))
    assert [len((await inbox.next()).payload["x"]) for _ in range(2)] == [700_000] * 2


async def test_replies_go_to_who_asked_and_nowhere_without_server_id(
    link: AmqpLink, bus: KazooBus
) -> None:
    await link.start()
    answer = {"Event-Category": "resource", "Event-Name": "originate_resp", "Call-ID": "", "A": [0]}
    asked = {"Server-ID": f"pid://<0.12.3>/{bus.server_id}", "Msg-ID": "m1"}
    assert not link.reply({"Msg-ID": "m0"}, answer)
    assert link.reply(asked, answer)
    reply = await bus.replies.next()
    assert reply.headers == {"Deliver-To-PID": "<0.12.3>"}
    assert reply.payload == {
        "Event-Category": "resource",
        "Event-Name": "originate_resp",
        "App-Name": "ecallmgr",
        "App-Version": "4.0.0",
        "Node": NODE,
        "Msg-ID": "m1",
        "A": [0],
    }


async def test_what_nobody_listens_to_comes_back(link: AmqpLink, bus: KazooBus) -> None:
    await link.start()
    inbox = await bus.listen(("callmgr", "route.req.*"))
    back: asyncio.Queue[str] = asyncio.Queue()
    for key in ("route.req.yes", "nobody.1", "nobody.2"):
        payload = {"Event-Category": "dialplan", "Event-Name": "route_req"}
        link.send(
            *("callmgr", key, payload),
            mandatory=True,
            on_returned=lambda key=key: back.put_nowait(key),  # type: ignore[misc]
        )
    async with asyncio.timeout(GUARD_S):
        assert [await back.get(), await back.get()] == ["nobody.1", "nobody.2"]
    assert (await inbox.next()).routing_key == "route.req.yes"
    assert link.returned == 2
    assert back.empty()


async def test_replies_to_this_node_arrive_by_its_own_name(link: AmqpLink, bus: KazooBus) -> None:
    heard = Heard()
    link.listen(link.reply_queue, [], heard)
    await link.start()
    bus.publish("targeted", link.reply_queue, {"Msg-ID": "m"}, headers={"k": "v", "n": 3})
    (delivery,) = await heard.count(1)
    assert delivery.json() == {"Msg-ID": "m"}
    assert delivery.headers == {"k": "v", "n": 3}
    assert not delivery.redelivered


async def test_the_window_of_a_queue_is_its_prefetch(link: AmqpLink, bus: KazooBus) -> None:
    heard = Heard()
    link.listen("work", [("callmgr", "originate.resource.req")], heard, shared=True, ack=True)
    await link.start()
    for number in range(10):
        bus.publish("callmgr", "originate.resource.req", {"n": number})
    await bus.settled()
    assert [d.json()["n"] for d in await heard.count(4)] == [0, 1, 2, 3]
    # One place is free, one message takes it; the rejected one does not come again.
    heard.deliveries[0].ack()
    heard.deliveries[0].ack()
    heard.deliveries[1].reject()
    assert [d.json()["n"] for d in await heard.count(6)] == [0, 1, 2, 3, 4, 5]
    heard.deliveries[2].reject(requeue=True)
    again = (await heard.count(7))[6]
    assert (again.json()["n"], again.redelivered) == (2, True)


async def test_two_nodes_share_a_queue_and_one_may_leave_it(
    link: AmqpLink, amqp_url: str, bus: KazooBus
) -> None:
    other = AmqpLink(amqp_url, "other@test.example.org")
    here, there = Heard(), Heard()
    binding = [("callmgr", "originate.resource.req")]
    for one, heard in ((link, here), (other, there)):
        one.listen("work", binding, heard, shared=True, ack=True)
        await one.start()
    for _ in range(8):
        bus.publish("callmgr", "originate.resource.req", {})
    await here.count(4)
    await there.count(4)
    for delivery in (*here.deliveries, *there.deliveries):
        delivery.ack()
    other.stop_listening("work")
    async with asyncio.timeout(GUARD_S):
        while await bus.consumers("work") > 1:
            pass
    for _ in range(4):
        bus.publish("callmgr", "originate.resource.req", {})
    await here.count(8)
    assert len(there.deliveries) == 4
    for delivery in here.deliveries:
        delivery.ack()
    # When nobody is left the broker deletes the queue; who comes back makes it again.
    link.stop_listening("work")
    async with asyncio.timeout(GUARD_S):
        while bus.returned.empty():
            bus.publish("callmgr", "originate.resource.req", {}, mandatory=True)
            await bus.settled()
        other.listen_again("work")
        while len(there.deliveries) == 4:
            bus.publish("callmgr", "originate.resource.req", {})
            await bus.settled()
    await other.stop()


async def test_hostile_messages_do_no_harm(link: AmqpLink, bus: KazooBus) -> None:
    heard = Heard()

    def handle(delivery: Delivery) -> None:
        delivery.json()
        heard(delivery)

    link.listen("work", [("callmgr", "#")], handle, shared=True, ack=True)
    await link.start()
    deep = b"[" * 100_000
    for body in (b"", b"not json", b"[1]", b"\xff\xfe", b'{"a":', deep, b"x" * 10_000_000):
        bus.publish("callmgr", "originate.resource.req", body)
    bus.publish("callmgr", "x" * 255, {"n": 1}, headers={"a": {"b": [1, None, "x"]}})
    (delivery,) = await heard.count(1)
    assert delivery.json() == {"n": 1}
    delivery.ack()
    assert link.refused == 7
    assert (link.connected, link.reconnects) == (True, 0)


async def test_comes_back_after_the_broker_closed_its_connection(
    link: AmqpLink, rabbitmq: RabbitMq, amqp_url: str
) -> None:
    heard = Heard()
    link.listen("mine", [("callmgr", "a.b")], heard)
    await link.start()
    rabbitmq.drop_connections()
    await eventually(lambda: link.reconnects == 1 and link.connected)
    async with KazooBus(amqp_url) as bus:
        bus.publish("callmgr", "a.b", {"n": 1})
        assert (await heard.count(1))[0].json() == {"n": 1}


async def test_without_a_broker_start_returns_and_nothing_waits(link: AmqpLink) -> None:
    away = AmqpLink("amqp://guest:guest@127.0.0.1:1/x", NODE)
    await away.start()
    assert not away.connected
    assert not away.send("targeted", "x", {})
    assert away.unsent == 1
    with pytest.raises(LinkDown, match="no broker"):
        await away.publish(messages(0, 1))
    await away.stop()
    await away.stop()


async def test_a_refused_password_is_said_and_not_shown(
    link: AmqpLink, amqp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = AmqpLink(amqp_url.replace("guest:guest", "guest:s3cret"), NODE)
    await wrong.start()
    await wrong.stop()
    assert "ACCESS_REFUSED" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_broker_that_blocks_is_away_until_it_does_not(
    link: AmqpLink, rabbitmq: RabbitMq, bus: KazooBus
) -> None:
    inbox = await bus.listen(("callevt", "call.#"))
    await link.start()
    rabbitmq.block()
    try:
        # The broker says so to who tries to publish, and takes the message in the end.
        first = asyncio.create_task(link.publish(messages(0, 1)))
        await eventually(lambda: not link.connected)
        assert not link.send("callevt", "call.X.1", {})
        with pytest.raises(LinkDown, match="takes no messages"):
            await link.publish(messages(1, 1))
        assert not first.done()
    finally:
        rabbitmq.unblock()
    async with asyncio.timeout(GUARD_S):
        await first
        await link.wait_connected()
    await link.publish(messages(1, 1))
    assert [(await inbox.next()).message_id for _ in range(2)] == ["id-0", "id-1"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_for_a_broker_whose_certificate_is_trusted(
    amqp_url: str,
    rabbitmq: RabbitMq,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    trusted: bool,
) -> None:
    host = "127.0.0.1"
    certificate, key = await make_certificate(tmp_path, host)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with TlsTerminator(host, certificate, key).carry_to(rabbitmq.port) as front:
        url = amqp_url.replace(f":{rabbitmq.port}/", f":{front.port}/")
        link = AmqpLink(url.replace("amqp:", "amqps:"), NODE)
        await link.start()
        assert link.connected is trusted
        if trusted:
            await link.publish(messages(0, 3))
        else:
            assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
        await link.stop()


@pytest.mark.parametrize(
    "url", ["", "http://x", "amqp://", "amqp://h:x", "amqp://h:70000", "amqp://u:s3cret@h?x=1"]
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(RequestInvalid, match="amqp_url") as refused:
        AmqpLink(url, NODE)
    assert "s3cret" not in str(refused.value)
