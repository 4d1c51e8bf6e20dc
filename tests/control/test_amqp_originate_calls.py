"""originate_req on a real broker: what is done to other calls, and that each is done once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path

from engine.control.amqp_delivery import Delivery
from engine.control.amqp_link import AmqpLink
from engine.control.amqp_originate import NOTE, QUEUE, AmqpOriginate
from engine.core.values import BridgeOrder, Contact, Endpoint, LegRole
from engine.sip.loopback import Answer, Bye, LoopbackSip, Refuse, Ring
from tests.control.originate_node import (
    ACCOUNT,
    CONTROL,
    KEY,
    Node,
    ask,
    message,
    node_on,
    rings,
    the_error,
)
from tests.control.rig import A_URI, B_URI, Rig
from tests.kit.kazoo_bus import GUARD_S, KazooBus
from tests.kit.rabbitmq import RabbitMq

# --- park, bridge, Existing-Call-ID ------------------------------------------------------------


async def test_who_controls_the_channel_hears_of_start_and_end(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    ask(
        bus,
        **{
            "Application-Name": "park",
            "Originate-Immediate": True,
            "Start-Control-Process": False,
        },
    )
    started = await bus.replies.named("originate_started")
    call_id = started.payload["Call-ID"]
    assert call_id == rings()["Outbound-Call-ID"]
    assert started.payload["Control-Queue"] == CONTROL
    assert bus.replies.empty()
    node.sip.play(call_id, Bye())
    reply = (await bus.replies.next()).payload
    assert (reply["Event-Name"], reply["Call-ID"]) == ("originate_resp", call_id)
    await node.event("QUICKCALL_END")
    assert node.engine.feed.readers == 1, "only the rig reads"


async def test_the_end_of_a_bridge_is_told_to_who_controls_the_channel(
    node: Node, bus: KazooBus
) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    node.sip.script(B_URI, Ring(), Answer())
    parks = {"Application-Name": "park", "Originate-Immediate": True}
    ask(bus, **parks, **{"Start-Control-Process": False})
    started = await bus.replies.named("originate_started")
    call_id = started.payload["Call-ID"]
    bob = Endpoint(id="bob", kind="device", contacts=(Contact(B_URI),), invite_format="route")
    node.engine.bridge(call_id, BridgeOrder((bob,), goes_on=True))
    await node.event("CHANNEL_BRIDGE", 2)
    assert bus.replies.empty()
    node.sip.play(node.call_id(LegRole.B), Bye())
    reply = (await bus.replies.next()).payload
    assert (reply["Event-Name"], reply["Call-ID"]) == ("originate_resp", call_id)
    assert [leg.call_id for leg in node.engine.channels(ACCOUNT)] == [call_id]


async def test_bridge_connects_to_its_endpoint(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    node.sip.script(B_URI, Ring(), Answer())
    to = rings(B_URI, **{"Outbound-Call-ID": "b-leg", "To-User": "bob", "To-Username": "bob"})
    ask(bus, **{"Application-Name": "bridge", "Application-Data": to})
    reply = await bus.replies.named("originate_resp")
    assert reply.payload["Application-Response"] == "SUCCESS"
    await node.event("CHANNEL_BRIDGE", 2)
    legs = {event.call_id for event in node.seen if event.name == "CHANNEL_BRIDGE"}
    assert legs == {rings()["Outbound-Call-ID"], "b-leg"}


async def test_bridge_to_a_call_takes_the_place_of_its_partner(node: Node, bus: KazooBus) -> None:
    await node.talk()
    taken = node.call_id(LegRole.B)
    third = "sip:1003@192.0.2.13"
    node.sip.script(third, Ring(), Answer())
    ask(
        bus,
        **{
            "Application-Name": "bridge",
            "Application-Data": None,
            "Existing-Call-ID": taken,
            "Endpoints": [rings(third)],
        },
    )
    reply = await bus.replies.named("originate_resp")
    assert reply.payload["Call-ID"] == rings()["Outbound-Call-ID"]
    await node.event("CHANNEL_BRIDGE", 4)
    assert {e.call_id for e in node.seen[-8:] if e.name == "CHANNEL_BRIDGE"} >= {taken}


async def test_a_call_that_nobody_knows_is_noted(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    ask(bus, **{"Existing-Call-ID": "gone"})
    created = await node.event("CHANNEL_CREATE")
    variables = created.payload["Custom-Channel-Vars"]
    assert isinstance(variables, dict)
    assert variables[NOTE] == "gone is not known, taken by engine@one.test"


async def test_a_call_of_this_node_needs_no_note(node: Node, bus: KazooBus) -> None:
    await node.talk()
    third = "sip:1003@192.0.2.13"
    node.sip.script(third, Ring())
    known = node.call_id(LegRole.A)
    ask(bus, **{"Existing-Call-ID": known, "Endpoints": [rings(third)]})
    created = await node.event("CHANNEL_CREATE", 3)
    assert NOTE not in str(created.payload["Custom-Channel-Vars"])


class Elsewhere:
    """Other nodes, one of which has one call."""

    def __init__(self, has: str) -> None:
        self.has = has
        self.given: list[Mapping[str, object]] = []

    async def place(self, call_id: str, message: Mapping[str, object]) -> bool:
        if call_id != self.has:
            return False
        self.given.append(message)
        return True


async def test_a_call_of_another_node_is_left_to_it(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    others = Elsewhere("theirs")
    async with node_on(tmp_path, amqp_url, places=others) as node:
        sent = ask(bus, **{"Existing-Call-ID": "theirs"})
        ask(bus, "last", **{"Application-Name": "fax"})
        assert (await bus.replies.next()).payload["Msg-ID"] == "last"
        assert others.given == [sent]
        assert node.originate.accepted == 0
        node.sip.script(A_URI, Refuse())
        ask(bus, "nobody's", **{"Existing-Call-ID": "nobody's"})
        assert (await the_error(bus))["Error-Message"] == "USER_BUSY"


# --- once, and never lost ----------------------------------------------------------------------


async def test_two_engines_take_each_request_once(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    count = 200
    async with AsyncExitStack() as opened:
        nodes = [
            await opened.enter_async_context(
                node_on(tmp_path / name, amqp_url, f"engine@{name}.test")
            )
            for name in ("one", "two")
        ]
        for node in nodes:
            node.sip.script(A_URI, Refuse())
        for n in range(count):
            ask(bus, f"r-{n}", Endpoints=[rings(**{"Outbound-Call-ID": f"call-{n}"})])
        answered = [(await the_error(bus))["Msg-ID"] for _ in range(count)]
        assert sorted(answered) == sorted(f"r-{n}" for n in range(count))
        taken = [node.originate.accepted for node in nodes]
        assert sum(taken) == count
        assert min(taken) > 0
        await bus.settled()
        assert bus.replies.empty()


async def test_a_node_that_drains_leaves_requests_to_the_others(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    async with (
        node_on(tmp_path / "one", amqp_url, "engine@one.test") as one,
        node_on(tmp_path / "two", amqp_url, "engine@two.test") as two,
    ):
        two.sip.script(A_URI, Refuse())
        for n in range(20):
            ask(bus, f"r-{n}", Endpoints=[rings(**{"Outbound-Call-ID": f"call-{n}"})])
            if n == 0:
                one.originate.drain()
                await one.engine.drain()
        answered = [await the_error(bus) for _ in range(20)]
        assert {reply["Msg-ID"] for reply in answered} == {f"r-{n}" for n in range(20)}
        left = [reply for reply in answered if reply["Error-Message"] != "USER_BUSY"]
        assert len(left) <= 1, "at most the one that was taken before"


async def test_what_comes_to_a_node_that_drains_goes_back(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    held: list[Delivery] = []
    async with Rig(tmp_path, LoopbackSip()) as drained:
        link = AmqpLink(amqp_url, "engine@one.test")
        originate = AmqpOriginate(drained.engine, link, CONTROL)
        # In the place of `take`, which would not wait until the node drains.
        link.listen(QUEUE, [KEY], held.append, shared=True, ack=True)
        await link.start()
        await link.wait_connected()
        ask(bus)
        async with asyncio.timeout(GUARD_S):
            while not held:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)
        async with node_on(tmp_path / "two", amqp_url, "engine@two.test") as two:
            two.sip.script(A_URI, Refuse())
            originate.drain()
            await drained.engine.drain()
            originate.take(held[0])
            assert (await the_error(bus))["Error-Message"] == "USER_BUSY"
        await originate.close()
        await link.stop()


async def test_what_was_accepted_here_is_not_carried_out_again(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Ring())
    sent = ask(bus)
    await node.event("CHANNEL_PROGRESS")
    again = Delivery(*KEY, json.dumps(sent).encode(), {}, redelivered=True)
    node.originate.take(again)
    node.sip.play(rings()["Outbound-Call-ID"], Refuse())
    assert (await the_error(bus))["Error-Message"] == "USER_BUSY"
    assert (node.originate.accepted, node.originate.refused) == (1, 0)


async def store_of(node: Node, folder: Path) -> Path:
    """Return a folder with the store of an engine as it is now."""
    await node.engine.journal.flush()
    folder.mkdir()
    path = str(node.engine.config.database).partition(":///")[2]
    with (
        closing(sqlite3.connect(path)) as live,
        closing(sqlite3.connect(folder / "quickcall.db")) as copy,
    ):
        live.backup(copy)
    return folder


async def test_what_was_accepted_before_a_crash_is_not_carried_out_again(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    async with node_on(tmp_path / "one", amqp_url, "engine@one.test") as dying:
        dying.sip.script(A_URI, Ring())
        sent = ask(bus)
        await dying.event("CHANNEL_PROGRESS")
        dead = await store_of(dying, tmp_path / "dead")
        dying.originate.drain()
        async with node_on(dead, amqp_url, "engine@one.test") as back:
            again = Delivery(*KEY, json.dumps(sent).encode(), {}, redelivered=True)
            back.originate.take(again)
            assert (await the_error(bus))["Error-Message"] == "CRASH"
            assert (back.originate.accepted, back.sip.submitted) == (0, [])
            ends = [e for e in await back.engine.journal.events(None) if e.name == "QUICKCALL_END"]
            assert len(ends) == 1


async def test_what_is_redelivered_is_carried_out(node: Node, bus: KazooBus) -> None:
    node.sip.script(A_URI, Refuse())
    node.originate.take(Delivery(*KEY, json.dumps(message(bus)).encode(), {}, redelivered=True))
    assert (await the_error(bus))["Error-Message"] == "USER_BUSY"


async def test_who_dies_before_accepting_leaves_the_request_to_another(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    async with AsyncExitStack() as life:
        dying = await life.enter_async_context(KazooBus(amqp_url))
        inbox = await dying.listen(KEY, queue=QUEUE, ack=True)
        ask(bus)
        await inbox.next()
        async with node_on(tmp_path, amqp_url) as node:
            node.sip.script(A_URI, Refuse())
            assert node.originate.accepted == 0
            await life.aclose()
            assert (await the_error(bus))["Error-Message"] == "USER_BUSY"


async def test_answers_go_over_whatever_connection_there_is(
    rabbitmq: RabbitMq, node: Node, amqp_url: str
) -> None:
    node.sip.script(A_URI, Ring())
    async with KazooBus(amqp_url) as before:
        ask(before, **{"Server-ID": "replies"})
        await node.event("CHANNEL_PROGRESS")
    rabbitmq.drop_connections()
    async with asyncio.timeout(GUARD_S):
        while node.link.reconnects == 0:  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.01)
        await node.link.wait_connected()
    async with KazooBus(amqp_url) as after:
        replies = await after.listen(("targeted", "replies"))
        node.sip.play(rings()["Outbound-Call-ID"], Refuse())
        assert (await replies.named("originate_resp")).payload["Error-Message"] == "USER_BUSY"
        assert node.originate.accepted == 1
        ask(after, **{"Application-Name": "fax"})
        assert (await the_error(after))["Msg-ID"] == "request-1"


async def test_the_interaction_of_the_request_is_that_of_its_legs(
    node: Node, bus: KazooBus
) -> None:
    node.sip.script(A_URI, Ring(), Answer())
    node.sip.script(B_URI, Ring(), Answer())
    interaction = "63610891956-0a1b2c3d"
    given = {"Account-ID": ACCOUNT, "Call-Interaction-ID": interaction}
    ask(bus, **{"Custom-Channel-Vars": given})
    await node.event("CHANNEL_BRIDGE", 2)
    assert {leg.interaction_id for leg in node.engine.channels(ACCOUNT)} == {interaction}


async def test_who_leaves_the_bus_gives_back_what_it_has_not_accepted(
    tmp_path: Path, amqp_url: str, bus: KazooBus
) -> None:
    class Slow:
        """Other nodes that never answer."""

        asked = asyncio.Event()

        async def place(self, call_id: str, message: Mapping[str, object]) -> bool:
            del call_id, message
            self.asked.set()
            await asyncio.Event().wait()
            return False

    slow = Slow()
    async with (
        node_on(tmp_path / "one", amqp_url, "engine@one.test", places=slow) as one,
        AsyncExitStack() as life,
    ):
        ask(bus, **{"Existing-Call-ID": "somewhere"})
        async with asyncio.timeout(GUARD_S):
            await slow.asked.wait()
        two = await life.enter_async_context(node_on(tmp_path / "two", amqp_url, "engine@two.test"))
        two.sip.script(A_URI, Refuse())
        one.originate.drain()
        await one.originate.close()
        assert (await the_error(bus))["Error-Message"] == "USER_BUSY"
        assert (one.originate.accepted, two.originate.accepted) == (0, 1)
