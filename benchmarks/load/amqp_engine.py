"""An engine on a message bus, and Kazoo's side of the bus: who asks for calls and hears of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from benchmarks.load.directory import EXTENSION
from benchmarks.load.engines import HttpEngine, Load, Made
from benchmarks.load.pacing import at_rate
from engine.control.amqp_delivery import Delivery
from engine.control.amqp_link import AmqpLink
from engine.control.kapi import new_msg_id

ANSWER_S = 60.0
"""Longest wait for the answer to one request."""

REPLIES = "bench-replies"


class _Event(msgspec.Struct):
    """What is looked at of an event."""

    name: str = msgspec.field(name="Event-Name")
    call_id: str = msgspec.field(name="Call-ID", default="")


class BusEngine(HttpEngine):
    """`quickcall serve` on a bus, asked over HTTP; all its events are heard."""

    def __init__(self, load: Load, directory: Path, url: str) -> None:
        """Prepare; nothing is started."""
        super().__init__(load, directory, {"QUICKCALL_AMQP_URL": url})
        self.heard: Counter[str] = Counter()
        """Event names and how many of each came, call records as `report`."""
        self.twice = 0
        """Events that came again."""
        self._ids: set[str] = set()
        self._link = AmqpLink(url, "bench@localhost")
        self._link.listen("bench-events", [("callevt", "call.#"), ("cdr", "#")], self._hear)
        self._link.listen(REPLIES, [("targeted", REPLIES)], self._reply)
        self._answers: dict[str, asyncio.Future[Mapping[str, object]]] = {}

    async def __aenter__(self) -> Self:
        """Join the bus, then start the engine."""
        await self._link.start()
        return await super().__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the engine, leave the bus."""
        await super().__aexit__(kind, error, trace)
        await self._link.stop()

    async def heard_all(self, calls: int) -> None:
        """Wait until the end of every call has been heard."""
        async with asyncio.timeout(ANSWER_S):
            while self.heard["QUICKCALL_END"] < calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def _hear(self, delivery: Delivery) -> None:
        if delivery.message_id in self._ids:
            self.twice += 1
            return
        self._ids.add(delivery.message_id)
        self.heard[msgspec.json.decode(delivery.body, type=_Event).name] += 1

    def _reply(self, delivery: Delivery) -> None:
        message = delivery.json()
        # originate_uuid comes before; an error and originate_resp say what came of it.
        if message["Event-Name"] == "originate_resp":
            waiting = self._answers.pop(str(message["Msg-ID"]), None)
            if waiting is not None:
                waiting.set_result(message)


class AmqpEngine(BusEngine):
    """`quickcall serve` asked for each call with crossbar's originate_req."""

    async def make_calls(self) -> list[Made]:
        """Publish each request at its time."""
        return await at_rate(self._load.rate, self._load.calls, self._call)

    async def _call(self) -> Made:
        message = self._originate()
        waiting: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._answers[str(message["Msg-ID"])] = waiting
        asked_at = time.time()
        self._link.send("callmgr", "originate.resource.req", message, mandatory=True)
        async with asyncio.timeout(ANSWER_S):
            answer = await waiting
        answered = answer["Event-Category"] == "resource"
        return Made(str(answer.get("Call-ID", "")), asked_at, time.time(), answered)

    def _originate(self) -> dict[str, object]:
        """Return originate_req as crossbar's quickcall builds it."""
        account = self._account.rpartition("/")[2]
        variables = {
            "Account-ID": account,
            "Authorizing-Type": "device",
            "Authorizing-ID": "rung",
        }
        endpoint = {
            "Invite-Format": "route",
            "Route": self._load.rung,
            "To-User": "rung",
            "To-Username": "rung",
            "To-Realm": "load.local",
            "To-DID": EXTENSION,
            "Outbound-Call-ID": f"{new_msg_id()}-quickcall",
            "Ignore-Completed-Elsewhere": False,
            "Custom-SIP-Headers": {"X-KAZOO-AOR": "sip:rung@load.local"},
            "Custom-Channel-Vars": {**variables, "Auto-Answer": True},
        }
        return {
            "App-Name": "crossbar",
            "App-Version": "4.0.0",
            "Event-Category": "resource",
            "Event-Name": "originate_req",
            "Msg-ID": new_msg_id(),
            "Server-ID": REPLIES,
            "Application-Name": "transfer",
            "Application-Data": {"Route": self._load.number},
            "Continue-On-Fail": False,
            "Custom-Channel-Vars": {**variables, "Retain-CID": "true", "Inherit-Codec": "false"},
            "Dial-Endpoint-Method": "simultaneous",
            "Endpoints": [endpoint],
            "Export-Custom-Channel-Vars": ["Account-ID", "Authorizing-ID", "Authorizing-Type"],
            "Ignore-Early-Media": True,
            "Media": "process",
            "Outbound-Caller-ID-Name": "Device QuickCall",
            "Outbound-Caller-ID-Number": EXTENSION,
            "Timeout": 30,
        }
