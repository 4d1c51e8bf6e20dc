"""An engine over the loopback stack on Kazoo's bus, and Kazoo's applications on the other end.

Only what `engine.control.amqp_control`, `_queries` and `_router` do; the engine's events stay in
its own feed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from engine import Call
from engine.control.amqp_control import AmqpControl
from engine.control.amqp_link import AmqpLink
from engine.control.amqp_queries import AmqpQueries
from engine.control.amqp_router import AmqpRouter
from engine.control.kapi import encode_key
from engine.core.values import Application
from engine.sip.loopback import Answer, LoopbackSip, Ring
from tests.control.rig import A_URI, B_URI, GUARD_S, Rig
from tests.kit.kazoo_bus import Inbox, KazooBus, Seen

Json = dict[str, Any]


class KazooRig(Rig):
    """A rig with the control face on a broker, and a client that plays Kazoo's applications."""

    def __init__(self, directory: Path, sip: LoopbackSip, url: str, **changes: Any) -> None:
        super().__init__(directory, sip, **changes)
        self.bus = KazooBus(url)
        self.link = AmqpLink(url, self.engine.node)
        self.control = AmqpControl(self.engine, self.link)
        self.queries = AmqpQueries(self.engine, self.link)
        self.router = AmqpRouter(self.engine, self.link, self.control.queue)
        self.told: Inbox
        """What is told on the bus alone: ends of commands, and errors."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.bus.__aenter__()
        self.told = await self.bus.listen(
            ("callevt", "call.CHANNEL_EXECUTE_COMPLETE.*"), ("callevt", "call.dialplan.*")
        )
        await self.link.start()
        await self.link.wait_connected()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.router.stop()
        await self.link.stop()
        await self.queries.stop()
        await self.control.stop()
        await self.bus.__aexit__(None, None, None)
        await super().__aexit__(*error)

    def command(self, call_id: str, application: str, **keys: object) -> None:
        """Send a command; `Media_Name` stands for `Media-Name`."""
        message = {
            **self.envelope("call", "command"),
            "Call-ID": call_id,
            "Application-Name": application,
            **{key.replace("_", "-"): value for key, value in keys.items()},
        }
        self.bus.publish("callctl", self.control.queue, message)

    def ask(self, name: str, tail: str, **keys: object) -> None:
        """Ask about channels; `tail` is the last part of the routing key."""
        message = {
            **self.envelope("call_event", name),
            "Server-ID": self.bus.server_id,
            **{key.replace("_", "-"): value for key, value in keys.items()},
        }
        self.bus.publish("callevt", f"call.status_req.{encode_key(tail)}", message)

    async def answer(self) -> Json:
        """Wait for the next answer."""
        return (await self.bus.replies.next()).payload

    async def complete(self, application: str) -> Json:
        """Wait for the end of a command, told on the bus."""

        def wanted(seen: Seen) -> bool:
            assert seen.name == "CHANNEL_EXECUTE_COMPLETE", seen.payload
            return bool(seen.payload["Application-Name"] == application)

        return (await self.told.until(wanted)).payload

    async def refused(self) -> Json:
        """Wait for the next error."""
        seen = await self.told.next()
        assert seen.routing_key.startswith("call.dialplan."), seen
        return seen.payload

    async def parked(self, uri: str = A_URI) -> Call:
        """Return a call whose phone waits for orders; the other phone would answer."""
        self.sip.script(uri, Ring(), Answer())
        self.sip.script(B_URI, Ring(), Answer())
        call = self.start("", application=Application.PARK)
        await self.event("CHANNEL_ANSWER", self.names.count("CHANNEL_ANSWER") + 1)
        return call

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so that the engine has no event for."""
        async with asyncio.timeout(GUARD_S):
            while not true():  # noqa: ASYNC110
                # Messages of the broker and turns of the engine come in the meantime.
                await asyncio.sleep(0)

    async def over(self, call: Call) -> str:
        """Hang a call up and return its cause."""
        call.hang_up()
        return (await call.ended()).cause

    @staticmethod
    def envelope(category: str, name: str, msg_id: str = "m1") -> Json:
        """What every message of an application says."""
        return {
            "Event-Category": category,
            "Event-Name": name,
            "App-Name": "callflow",
            "App-Version": "4.0.0",
            "Msg-ID": msg_id,
        }


def element(user: str, host: str, **keys: object) -> Json:
    """An endpoint as Kazoo's applications describe a device."""
    return {
        "Invite-Format": "route",
        "To-User": user,
        "To-Username": user,
        "To-Realm": "acme.test",
        "Route": f"sip:{user}@{host}",
        **{key.replace("_", "-"): value for key, value in keys.items()},
    }
