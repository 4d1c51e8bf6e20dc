"""An engine over the loopback stack, with an account and two phones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Self

from engine import Call, Engine, EngineConfig, OriginateRequest
from engine.control.feed import FeedEvent, Subscription
from engine.core.values import EndpointType, LegRole
from engine.sip.loopback import Answer, LoopbackSip, Ring
from engine.store.cdrs import CdrQuery

A_URI = "sip:1001@192.0.2.11"
B_URI = "sip:1002@192.0.2.12"
GUARD_S = 20.0


class Rig:
    """An open engine with an account and the phones 1001 and 1002."""

    def __init__(self, directory: Path, sip: LoopbackSip, **changes: Any) -> None:
        self.sip = sip
        changes.setdefault("database", f"sqlite+aiosqlite:///{directory / 'quickcall.db'}")
        # Other tests make this machine late, not the calls of this one.
        changes.setdefault("overload_lag_ms", 0)
        self.engine = Engine(EngineConfig(**changes), sip)
        self.account = "a" * 32
        self.seen: list[FeedEvent] = []
        self.feed: Subscription

    async def __aenter__(self) -> Self:
        await self.engine.open()
        directory = self.engine.directory
        account = {"name": "Acme", "realm": "acme.test"}
        await directory.put("account", "", account, self.account)
        for user, host in (("1001", "192.0.2.11"), ("1002", "192.0.2.12")):
            sip = {"username": user, "method": "ip", "ip": host}
            await directory.put("device", self.account, {"name": user, "sip": sip}, f"d{user}")
        registering = {"name": "r", "sip": {"username": "r", "password": "x"}}
        await directory.put("device", self.account, registering, "registering")
        self.feed = self.engine.events()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.close()
        self.feed.close()

    def request(self, number: str = "1002", **options: Any) -> OriginateRequest:
        device = {"endpoint_type": EndpointType.DEVICE, "endpoint_id": "d1001"}
        return OriginateRequest(self.account, number=number, **{**device, **options})

    def start(self, number: str = "1002", **options: Any) -> Call:
        return self.engine.start(self.request(number, **options))

    async def event(self, name: str, count: int = 1) -> FeedEvent:
        """Wait for the `count`th event of that name, counted from the start."""
        async with asyncio.timeout(GUARD_S):
            while True:
                found = [event for event in self.seen if event.name == name]
                if len(found) >= count:
                    return found[count - 1]
                self.seen.append(await anext(self.feed))

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.seen]

    def call_id(self, role: LegRole) -> str:
        (leg,) = [leg for leg in self.engine.channels(self.account) if leg.role is role]
        return leg.call_id

    async def records(self) -> list[dict[str, Any]]:
        """Return the call records of the account, newest first."""
        page = await self.engine.journal.records.page(CdrQuery(self.account))
        return page.records

    async def talk(self) -> Call:
        """Return a call whose two sides are connected."""
        self.sip.script(A_URI, Ring(), Answer())
        self.sip.script(B_URI, Ring(), Answer())
        call = self.start()
        await self.event("CHANNEL_BRIDGE", 2)
        return call


async def ended(call: Call) -> str:
    """Return the cause of a call's end."""
    async with asyncio.timeout(GUARD_S):
        outcome = await call.ended()
    assert outcome.final
    return outcome.cause
