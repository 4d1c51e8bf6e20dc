"""Several engines on one RabbitMQ: whose call it is, and who tells the end of one that is gone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from engine.control.amqp import AmqpFace
from engine.control.kapi import queue_name
from engine.control.other_nodes import KEPT
from engine.sip.loopback import LoopbackSip, Ring
from tests.control.originate_node import ask, rings
from tests.control.rig import A_URI, Rig
from tests.kit.addresses import free_port
from tests.kit.kazoo_bus import GUARD_S, Inbox, KazooBus, Seen
from tests.kit.rabbitmq import RabbitMq
from tests.kit.server import ServerProcess
from tests.kit.tcp_gate import TcpGate

GONE_S = 3.0


class Cluster:
    """Engines on one virtual host."""

    def __init__(self, folder: Path, url: str, rabbitmq: RabbitMq) -> None:
        self.rigs: dict[str, Rig] = {}
        self.faces: dict[str, AmqpFace] = {}
        self._folder = folder
        self._url = url
        self._rabbitmq = rabbitmq
        self._closing = AsyncExitStack()

    async def add(self, name: str, url: str = "") -> Rig:
        """Start another engine."""
        folder = self._folder / name
        folder.mkdir()
        rig = await self._closing.enter_async_context(Rig(folder, LoopbackSip(), node=name))
        face = AmqpFace(
            *(rig.engine, url or self._url, 64), routes_numbers=False, node_gone_s=GONE_S
        )
        await face.start()
        self._closing.push_async_callback(face.stop)
        self.rigs[name], self.faces[name] = rig, face
        return rig

    async def acquainted(self, *more: str) -> None:
        """Wait until everybody hears of the calls of everybody else."""
        everybody = {*self.faces, *more}
        for name, face in self.faces.items():
            await eventually(lambda: set(face.nodes.others.names) == everybody - {name})  # noqa: B023
            queue = queue_name("quickcall-calls", name)
            await eventually(lambda: self.bindings(queue) == len(KEPT) + 1)  # noqa: B023

    def bindings(self, queue: str) -> int:
        """Return the bindings of a queue: one more than were made, that by its own name."""
        vhost = self._url.rpartition("/")[2]
        resource = f'{{resource,<<"{vhost}">>,queue,<<"{queue}">>}}'
        return int(self._rabbitmq.tell(f"length(rabbit_binding:list_for_destination({resource}))"))

    async def close(self) -> None:
        async with asyncio.timeout(GUARD_S):
            await self._closing.aclose()


async def eventually(done: Callable[[], bool]) -> None:
    """Wait for what tells nobody when it happens."""
    async with asyncio.timeout(GUARD_S):
        while not done():  # noqa: ASYNC110 - counters have no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def cluster(folder: Path, url: str, rabbitmq: RabbitMq) -> AsyncIterator[Cluster]:
    made = Cluster(folder, url, rabbitmq)
    try:
        yield made
    finally:
        await made.close()


async def ends(inbox: Inbox, count: int) -> list[Seen]:
    """Wait for so many terminal events; return them and every CHANNEL_DESTROY before."""
    first = len(inbox.seen)
    await inbox.named("QUICKCALL_END", count)
    names = ("CHANNEL_DESTROY", "QUICKCALL_END")
    return [message for message in inbox.seen[first:] if message.name in names]


async def test_a_request_goes_to_the_engine_that_has_its_call(
    tmp_path: Path, amqp_url: str, rabbitmq: RabbitMq, bus: KazooBus
) -> None:
    async with cluster(tmp_path, amqp_url, rabbitmq) as nodes:
        rigs = [await nodes.add("a.1@test"), await nodes.add("b.2@test")]
        await nodes.acquainted()
        created = await bus.listen(("callevt", "call.CHANNEL_CREATE.#"))
        owner = rigs[0]
        for rig in rigs:
            rig.sip.script(A_URI, *[Ring()] * 12)
        owner.start(call_id="the.call")
        owned = await created.next()
        call_id = str(owned.payload["Call-ID"])
        other = nodes.faces["b.2@test"].nodes.others
        await eventually(lambda: other.owner(call_id) == "a.1@test")
        for number in range(6):
            if number == 3:
                # From now on it does not know, and asks.
                other.begin_again(asyncio.get_running_loop().time())
            endpoint = rings(**{"Outbound-Call-ID": f"leg-{number}"})
            ask(bus, f"r{number}", **{"Existing-Call-ID": call_id, "Endpoints": [endpoint]})
            seen = await created.until(lambda m: m.payload["Call-ID"] == f"leg-{number}")  # noqa: B023
            assert seen.payload["Node"] == "a.1@test"
            assert "Existing-Call-ID-Note" not in seen.payload["Custom-Channel-Vars"]
        endpoint = rings(**{"Outbound-Call-ID": "leg-x"})
        ask(bus, "rx", **{"Existing-Call-ID": "nobody's", "Endpoints": [endpoint]})
        seen = await created.until(lambda m: m.payload["Call-ID"] == "leg-x")
        note = seen.payload["Custom-Channel-Vars"]["Existing-Call-ID-Note"]
        assert note.startswith("nobody's is not known")


async def test_an_engine_that_drains_leaves_requests_to_others_until_it_does_not(
    tmp_path: Path, amqp_url: str, rabbitmq: RabbitMq, bus: KazooBus
) -> None:
    async with cluster(tmp_path, amqp_url, rabbitmq) as nodes:
        owner, other = await nodes.add("a@test"), await nodes.add("b@test")
        await nodes.acquainted()
        created = await bus.listen(("callevt", "call.CHANNEL_CREATE.#"))
        for rig in (owner, other):
            rig.sip.script(A_URI, *[Ring()] * 8)
        owner.start(call_id="the-call")
        call_id = (await created.next()).payload["Call-ID"]
        await eventually(lambda: nodes.faces["b@test"].nodes.others.channels == 1)

        async def taken_by(leg: str, **existing: str) -> str:
            ask(bus, leg, **{"Endpoints": [rings(**{"Outbound-Call-ID": leg})], **existing})
            seen = await created.until(lambda m: m.payload["Call-ID"] == leg)
            return str(seen.payload["Node"])

        nodes.faces["a@test"].drain()
        async with asyncio.timeout(GUARD_S):
            while await bus.consumers("ecallmgr_fs_resource") > 1:
                pass
        assert await taken_by("one") == "b@test"
        assert await taken_by("two", **{"Existing-Call-ID": call_id}) == "b@test"
        nodes.faces["a@test"].resume()
        async with asyncio.timeout(GUARD_S):
            while await bus.consumers("ecallmgr_fs_resource") < 2:
                pass
        await eventually(lambda: nodes.bindings(queue_name("quickcall-placed", "a@test")) == 2)
        assert await taken_by("three", **{"Existing-Call-ID": call_id}) == "a@test"


async def test_one_survivor_tells_the_end_of_an_engine_that_is_cut_off(
    tmp_path: Path, amqp_url: str, rabbitmq: RabbitMq, bus: KazooBus
) -> None:
    async with (
        TcpGate("127.0.0.1", rabbitmq.port) as gate,
        cluster(tmp_path, amqp_url, rabbitmq) as nodes,
    ):
        await nodes.add("b@test")
        await nodes.add("c@test")
        lost = await nodes.add("a@test", amqp_url.replace(f":{rabbitmq.port}/", f":{gate.port}/"))
        await nodes.acquainted()
        inbox = await bus.listen(("callevt", "call.#"))
        records = await bus.listen(("cdr", "#"))
        over = await lost.talk()
        over.hang_up()
        await lost.event("QUICKCALL_END")
        talking = await lost.talk()
        await lost.event("CHANNEL_BRIDGE", 4)
        lost.sip.script(A_URI, Ring())
        ringing = lost.start()
        await lost.event("CHANNEL_PROGRESS", 5)
        of_survivor = nodes.faces["b@test"].nodes
        await eventually(lambda: of_survivor.others.channels == 3)
        await inbox.until(lambda message: message.message_id == f"{lost.seen[-1].sequence}.a@test")
        legs = {leg.call_id for leg in lost.engine.channels(lost.account)}
        gate.shut()
        told = await ends(inbox, 2)
        destroyed = [message for message in told if message.name == "CHANNEL_DESTROY"]
        assert len(legs) == 3
        assert {message.payload["Call-ID"] for message in destroyed} == legs
        ended = {m.payload["Msg-ID"]: m.payload for m in told if m.name == "QUICKCALL_END"}
        assert set(ended) == {talking.originate_id, ringing.originate_id}
        assert ended[talking.originate_id]["Answered"] is True
        assert ended[ringing.originate_id]["Answered"] is False
        for message in told:
            assert (message.payload["Node"], message.payload["Hangup-Cause"]) == ("a@test", "CRASH")
        # Two of the call that was over, three of those that were cut off.
        ids = [(await records.next()).message_id for _ in range(5)]
        assert set(ids[2:]) == {f"{message.message_id}.cdr" for message in destroyed}
        await eventually(lambda: of_survivor.others.names == ["c@test"])
        assert of_survivor.told_for_others == 5
        assert nodes.faces["c@test"].nodes.told_for_others == 0
        # It was not dead: its calls end, once more and by the same ids, when it is back.
        talking.hang_up()
        ringing.hang_up()
        await lost.event("QUICKCALL_END", 3)
        gate.open()
        again = await ends(inbox, 2)
        assert Counter(m.message_id for m in again) == Counter(m.message_id for m in told)


@pytest.mark.native
async def test_the_end_of_a_killed_engine_is_told_before_it_is_back_and_by_the_same_ids(
    tmp_path: Path, amqp_url: str, rabbitmq: RabbitMq, bus: KazooBus
) -> None:
    # Nobody is there: the call rings until the engine dies.
    uri = f"sip:p@127.0.0.1:{free_port('127.0.0.1')}"
    phone = {"username": "p", "invite_format": "route", "route": uri}
    folder = tmp_path / "killed"
    folder.mkdir()
    options = {"amqp_url": amqp_url, "node": "killed@test", "node_gone_s": GONE_S}
    async with cluster(tmp_path, amqp_url, rabbitmq) as nodes:
        await nodes.add("survivor@test")
        inbox = await bus.listen(("callevt", "call.#"))
        async with ServerProcess(folder, **options) as server:
            await nodes.acquainted("killed@test")
            account = (await server.put("/v2/accounts", {"name": "A", "realm": "a.test"}))["id"]
            url = f"/v2/accounts/{account}"
            device = (await server.put(f"{url}/devices", {"name": "p", "sip": phone}))["id"]
            answer = await server.http.get(f"{url}/devices/{device}/quickcall/1002")
            request_id = answer.json()["request_id"]
            await inbox.named("CHANNEL_CREATE")
            await server.kill()
            told = await ends(inbox, 1)
        assert [message.name for message in told] == ["CHANNEL_DESTROY", "QUICKCALL_END"]
        assert told[1].payload["Msg-ID"] == request_id
        async with ServerProcess(folder, **options):
            again = await ends(inbox, 1)
        assert [m.message_id for m in again] == [m.message_id for m in told]
        assert [m.payload["Hangup-Cause"] for m in again] == ["CRASH", "CRASH"]
