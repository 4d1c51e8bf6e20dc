"""The native stack alone, without engine or store: commands in, events awaited."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from engine.core.commands import Dial, HangUp, SipCommand, TakeStock
from engine.core.events import LegEnded, SipEvent, StackEvent, StackLogged, StockTaken
from engine.core.values import LegId
from engine.sip.native import NativeSip
from engine.sip.port import Listener, SipConfig, SipPort, SipStats

E = TypeVar("E", bound=StackEvent)

GUARD_S = 40.0
"""Longest wait for an event: above timer B of RFC 3261 (32 s). A guard against hanging."""


def gauges(stats: SipStats) -> dict[str, int]:
    """Return the gauges that must be zero when every call has ended.

    RFC 3261 has an INVITE transaction answered with a failure wait 32 s (timer D) for that answer
    to be repeated, and its dialog waits with it. Such a dialog is not left over; one without a
    transaction is.
    """
    return {
        "legs": stats.legs,
        "dialogs without transaction": max(0, stats.dialogs - stats.transactions),
        "media_ports": stats.media_ports,
        "pending_requests": stats.pending_requests,
    }


async def all_zero(stats: Callable[[], SipStats]) -> None:
    """Wait until every gauge is zero; the stack announces no such moment, so look every 10 ms.

    Raises `AssertionError` with the gauges after `GUARD_S`.
    """
    deadline = asyncio.get_running_loop().time() + GUARD_S
    while any(gauges(stats()).values()):
        assert asyncio.get_running_loop().time() < deadline, f"left over: {gauges(stats())}"
        await asyncio.sleep(0.01)


class Stack:
    """A `NativeSip` with its events collected as they come.

    Args:
        config: how to start it; None listens on UDP and TCP at 127.0.0.1.

    Leaving the `async with` block waits until every gauge is zero, then closes the stack.
    """

    def __init__(self, config: SipConfig | None = None) -> None:
        """Keep the configuration; entering starts the stack."""
        self._config = config or SipConfig(
            listeners=(Listener("udp", "127.0.0.1", 0), Listener("tcp", "127.0.0.1", 0)),
        )
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()
        self.events: list[StackEvent] = []
        self.sip: SipPort

    async def __aenter__(self) -> Self:
        self.sip = NativeSip(self._config)
        asyncio.get_running_loop().add_reader(self.sip.fileno(), self._drain)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await all_zero(self.sip.stats)
            else:
                error.add_note("\n".join(repr(event)[:400] for event in self.events))
        finally:
            asyncio.get_running_loop().remove_reader(self.sip.fileno())
            self.sip.close()

    def address(self, transport: str = "udp") -> str:
        """Return `host:port` of the listener of that transport."""
        for listener in self.sip.listeners:
            if listener.transport == transport:
                host = f"[{listener.host}]" if ":" in listener.host else listener.host
                return f"{host}:{listener.port}"
        raise AssertionError(f"no {transport} listener in {self.sip.listeners}")

    def submit(self, *commands: SipCommand) -> None:
        """Give commands to the stack."""
        self.sip.submit(commands)

    def next_leg(self) -> LegId:
        """Return a leg id that was not used before."""
        return LegId(next(self._ids))

    def dial(self, uri: str, headers: tuple[tuple[str, str], ...] | None = None) -> LegId:
        """Send an INVITE as a quickcall would; return its leg."""
        leg = self.next_leg()
        self.submit(self.dial_command(leg, uri, headers))
        return leg

    def dial_command(
        self, leg: LegId, uri: str, headers: tuple[tuple[str, str], ...] | None = None
    ) -> Dial:
        """Build the command of `dial`; headers None: those of a call to a device."""
        device = (
            ("X-KAZOO-AOR", "sip:alice@test.local"),
            ("X-KAZOO-INVITE-FORMAT", "contact"),
        )
        return Dial(
            leg=leg,
            call_id=f"leg-{leg}-{id(self):x}@test.local",
            request_uri=uri,
            to_uri="<sip:alice@test.local>",
            from_uri='"Device QuickCall" <sip:1000@test.local>',
            headers=device if headers is None else headers,
        )

    def hang_up(self, leg: LegId, reason: str = "") -> None:
        """End a leg."""
        self.submit(HangUp(leg, reason))

    async def event(self, kind: type[E], leg: LegId | None = None, guard_s: float = GUARD_S) -> E:
        """Wait for the first event of that kind (of that leg) since the start, and return it.

        Raises `TimeoutError` when it has not come within `guard_s` seconds.
        """
        async with asyncio.timeout(guard_s):
            while True:
                self._changed.clear()
                for event in self.events:
                    if isinstance(event, kind) and leg in (None, getattr(event, "leg", None)):
                        return event
                await self._changed.wait()

    async def events_of(self, kind: type[E], leg: LegId, count: int) -> list[E]:
        """Wait until `count` events of that kind of that leg have come, and return them."""
        async with asyncio.timeout(GUARD_S):
            while True:
                self._changed.clear()
                seen: list[E] = [event for event in self.events if isinstance(event, kind)]
                seen = [event for event in seen if getattr(event, "leg", None) == leg]
                if len(seen) >= count:
                    return seen
                await self._changed.wait()

    async def transactions_over(self) -> None:
        """Wait until no transaction is left, however it ended; looks every 10 ms, as all_zero."""
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while self.sip.stats().transactions:
            assert asyncio.get_running_loop().time() < deadline, self.sip.stats()
            await asyncio.sleep(0.01)

    async def stock(self) -> StockTaken:
        """Ask what the stack holds, and return the answer: all earlier commands are carried out."""
        before = sum(isinstance(event, StockTaken) for event in self.events)
        self.submit(TakeStock())
        async with asyncio.timeout(GUARD_S):
            while True:
                self._changed.clear()
                taken = [event for event in self.events if isinstance(event, StockTaken)]
                if len(taken) > before:
                    return taken[-1]
                await self._changed.wait()

    async def next_event(self) -> None:
        """Wait until at least one more event has come."""
        self._changed.clear()
        await self._changed.wait()

    async def ended(self, leg: LegId) -> LegEnded:
        """Wait for the end of a leg."""
        return await self.event(LegEnded, leg)

    def story(self, leg: LegId) -> list[str]:
        """Return the names of a leg's events in order."""
        return [type(event).__name__ for event in self.events if getattr(event, "leg", 0) == leg]

    def leg_events(self) -> list[SipEvent]:
        """Return every event of every leg in order."""
        return [event for event in self.events if isinstance(event, SipEvent)]

    def _drain(self) -> None:
        """Collect what waits (called by the event loop)."""
        drained = self.sip.drain()
        self.events += [event for event in drained if not isinstance(event, StackLogged)]
        if drained:
            self._changed.set()
