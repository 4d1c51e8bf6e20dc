"""Calls asked for all the time, over HTTP and over the bus, and what became of each request."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.system import EngineProcess
from tests.kit.kazoo_bus import KazooBus

EXTENSION = "1002"


@dataclass
class Asked:
    """What was asked for, by request id."""

    accepted: set[str] = field(default_factory=set)
    """The engine said that it took them."""
    unknown: set[str] = field(default_factory=set)
    """Nobody knows: the connection died, or no answer came."""
    refused: Counter[str] = field(default_factory=Counter)
    """How many were refused, by the words of the refusal."""

    @property
    def unfit(self) -> int:
        """How many were refused for another reason than that this machine has no time for more."""
        return sum(count for words, count in self.refused.items() if "overloaded" not in words)


class Load:
    """Asks for calls at a rate, every other one over the bus, until it is told to stop."""

    def __init__(
        self, engine: EngineProcess, bus: KazooBus, account: str, device: str, rung: str
    ) -> None:
        """Ring this device, at the SIP URI `rung`, and connect it to the extension."""
        self.asked = Asked()
        self._engine = engine
        self._bus = bus
        self._account = account
        self._rung = rung
        self._path = f"/v2/accounts/{account}/devices/{device}/quickcall/{EXTENSION}"
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: asyncio.Task[None]

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Ask for `rate` calls a second until `stop`, whatever becomes of them."""
        self._replies = asyncio.create_task(self._read_replies())
        began = time.monotonic()
        number = 0
        while not stop.is_set():
            number += 1
            name = f"chaos-{number}"
            if number % 2:
                task = asyncio.create_task(self._by_http(name))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._by_bus(name)
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        await asyncio.gather(*self._tasks)

    def close(self) -> None:
        """Stop listening for answers."""
        self._replies.cancel()

    async def _by_http(self, name: str) -> None:
        headers = {"X-Request-ID": name}
        try:
            response = await self._engine.http.get(
                self._path, headers=headers, params={"chaos": name}
            )
        except httpx.TransportError:
            self.asked.unknown.add(name)
            return
        if response.status_code == 202:
            self.asked.accepted.add(name)
        else:
            self._refuse(f"{response.status_code} {response.json().get('message')}")

    def _refuse(self, words: str) -> None:
        self.asked.refused[words] += 1

    def _by_bus(self, name: str) -> None:
        self.asked.unknown.add(name)
        self._bus.publish("callmgr", "originate.resource.req", self._message(name))

    async def _read_replies(self) -> None:
        while True:
            reply = await self._bus.replies.wait()
            payload = reply.payload
            if payload["Event-Name"] != "originate_resp":
                continue
            name = str(payload["Msg-ID"])
            cause = str(payload.get("Error-Message", ""))
            self.asked.unknown.discard(name)
            # A call that failed had been taken; words with spaces are refusals.
            if cause and not cause.replace("_", "").isupper():
                self._refuse(cause)
            else:
                self.asked.accepted.add(name)

    def _message(self, name: str) -> dict[str, Any]:
        variables = {
            "Account-ID": self._account,
            "Authorizing-Type": "device",
            "Authorizing-ID": "rung",
        }
        endpoint = {
            "Invite-Format": "route",
            "Route": self._rung,
            "To-User": "rung",
            "To-Realm": "chaos.test",
            "Outbound-Call-ID": f"{name}-quickcall",
            "Custom-Channel-Vars": variables,
        }
        return {
            "App-Name": "crossbar",
            "App-Version": "4.0.0",
            "Event-Category": "resource",
            "Event-Name": "originate_req",
            "Msg-ID": name,
            "Server-ID": self._bus.server_id,
            "Application-Name": "transfer",
            "Application-Data": {"Route": EXTENSION},
            "Custom-Channel-Vars": variables,
            "Custom-Application-Vars": {"chaos": name},
            "Endpoints": [endpoint],
            "Outbound-Caller-ID-Name": "Device QuickCall",
            "Outbound-Caller-ID-Number": EXTENSION,
            "Timeout": 30,
        }
