"""An `EngineFace` made of the real store, feed and tokens; only ringing is decided by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from engine.control.auth import ROOT, Tokens
from engine.control.face import ControlPlane
from engine.control.feed import Feed
from engine.control.kazoo import Switch, channel_event, quickcall_end
from engine.control.metrics import Metrics
from engine.control.operations import Operations
from engine.control.route_report import RouteReport
from engine.control.webhooks import Webhooks
from engine.core.digits import USUAL_MS, check_digits
from engine.core.errors import (
    Conflict,
    EngineUnavailable,
    LimitExceeded,
    NotFound,
    RequestInvalid,
    WrongState,
)
from engine.core.events import ChannelNotice, SipMessageSeen
from engine.core.settings import CallSettings
from engine.core.values import (
    BridgeOrder,
    Endpoint,
    EndpointType,
    LegSnapshot,
    OriginateId,
    OriginateRequest,
    Outcome,
    PlannedAttempt,
)
from engine.numbers.number_filter import FilterResult, NumberFilter
from engine.runtime.explain import Explainer
from engine.runtime.plans import Plans
from engine.runtime.resolve import Resolver
from engine.sip.port import SipStats
from engine.store.database import Database
from engine.store.deliveries import Deliveries
from engine.store.directory import Directory
from engine.store.idempotency import IdempotencyKeys
from engine.store.journal import Journal
from engine.store.location import Location
from engine.store.route_tables import RouteTables
from tests.control.samples import endpoint, outcome, snapshot


@dataclass
class Handle:
    """An accepted originate that ends as the test says."""

    originate_id: OriginateId
    request: OriginateRequest
    number: str
    filter_note: str
    endpoints: tuple[Endpoint, ...]
    planned: tuple[PlannedAttempt, ...]
    done: asyncio.Event = field(default_factory=asyncio.Event)
    result: Outcome | None = None
    hung_up: int = 0
    end: Callable[[], None] = lambda: None

    def hang_up(self) -> None:
        """Note that it was hung up, and do it."""
        self.hung_up += 1
        self.end()

    def finish(self, **changes: object) -> None:
        """Let the waiters have an outcome."""
        base = outcome(
            originate_id=self.originate_id, number=self.number, filter_note=self.filter_note
        )
        self.result = replace(base, **changes)
        self.done.set()

    async def answered(self) -> Outcome:
        """Wait for the outcome."""
        await self.done.wait()
        assert self.result is not None
        return self.result

    async def ended(self) -> Outcome:
        """Wait for the outcome."""
        return await self.answered()


class ScriptedEngine:
    """The engine as HTTP sees it."""

    route_tables: RouteTables
    idempotency: IdempotencyKeys
    control_plane: ControlPlane | None = None
    recovered: frozenset[str] = frozenset()
    webhooks: Webhooks

    def __init__(self, directory: Directory, location: Location, journal: Journal) -> None:
        self.node = "engine@test.example.org"
        self.metrics = Metrics()
        self.directory = directory
        self.location = location
        self.journal = journal
        self.feed = Feed(journal.last_sequence())
        self.tokens = Tokens({"root-token": ROOT})
        self.operations = Operations(self.node, "", lambda: len(self.handles))
        self.switch = Switch(self.node, "127.0.0.1:5060")
        self.handles: list[Handle] = []
        self.started = asyncio.Event()
        self.legs: list[LegSnapshot] = []
        self.asked: list[tuple[str, str]] = []
        self.refused = ""
        self.shed_s = 0.0
        self.waited_s: list[float] = []
        self.limited: LimitExceeded | None = None
        self.conflict: Conflict | None = None
        self.answer_at_once: dict[str, object] | None = None

    def shed(self, waited_s: float = 0.0) -> float:
        """Return what the test says."""
        self.waited_s.append(waited_s)
        return self.shed_s

    def limits(self, account_id: str) -> Mapping[str, object]:
        """Return some limits of an account that exists."""
        self.directory.account(account_id)
        return {"calls": 5, "calls_active": 2, "calls_per_second": 0.5, "burst": 3}

    def start(self, request: OriginateRequest) -> Handle:
        """Accept a request for an endpoint that exists; nobody is registered for `nobody`."""
        self.operations.draining.check()
        if self.refused:
            raise EngineUnavailable(self.refused)
        if self.conflict is not None:
            raise self.conflict
        if self.limited is not None:
            raise self.limited
        self.directory.account(request.account_id)
        if request.endpoint_type is EndpointType.DEVICE:
            devices = [self.directory.device(request.account_id, request.endpoint_id)]
        else:
            devices = list(self.directory.devices_of(request.account_id, request.endpoint_id))
        filtered = self.check_number_filter(request.number_filter, request.number)
        rung = tuple(endpoint(id=device.id, user=device.sip.username) for device in devices)
        planned = tuple(
            PlannedAttempt(one, one.contacts[0], f"{index}-quickcall")
            for index, one in enumerate(rung)
            if one.user != "nobody"
        )
        originate_id = OriginateId(request.request_id or f"made-{len(self.handles)}")
        handle = Handle(originate_id, request, filtered.number, filtered.note or "", rung, planned)
        self.handles.append(handle)
        self.started.set()
        if not planned:
            handle.finish(answered=False, call_id="", cause="DESTINATION_OUT_OF_ORDER", final=True)
            self.end(handle)
        elif self.answer_at_once is not None:
            handle.finish(**self.answer_at_once)
        return handle

    def call(self, name: str, account_id: str | None = None) -> Handle:
        """Return the call that planned a Call-ID, has a leg of it, or has this request id."""
        legs = [leg for handle in self.handles for leg in self.legs_of(handle.originate_id)]
        owners = {leg.originate_id for leg in legs if leg.call_id == name} | {name}
        for handle in self.handles:
            planned = {attempt.call_id for attempt in handle.planned}
            ours = account_id in (None, handle.request.account_id)
            if ours and (name in planned or handle.originate_id in owners):
                return handle
        raise NotFound("channel", name)

    def hold(self, name: str, account_id: str | None = None, *, on: bool = True) -> None:
        """Note it; what does not live cannot be held."""
        self.call(name, account_id)
        self.asked.append(("hold" if on else "unhold", name))

    def transfer(self, name: str, number: str, account_id: str | None = None) -> None:
        """Note it, but of a call nobody has answered."""
        if not self.call(name, account_id).done.is_set():
            raise WrongState(f"call {name}", "ringing", "answered")
        self.asked.append(("transfer", f"{name} to {number}"))

    def bridge(self, name: str, order: BridgeOrder, account_id: str | None = None) -> None:
        """Note it."""
        self.call(name, account_id)
        self.asked.append(("bridge", f"{name} to {', '.join(e.id for e in order.endpoints)}"))

    def intercept(self, name: str, other: str, account_id: str | None = None) -> None:
        """Note it, of two channels that are there."""
        self.call(name, account_id)
        self.call(other, account_id)
        self.asked.append(("intercept", f"{name} with {other}"))

    def park(self, name: str, account_id: str | None = None) -> None:
        """Note it."""
        self.call(name, account_id)
        self.asked.append(("park", name))

    def send_digits(
        self, name: str, digits: str, account_id: str | None = None, *, duration_ms: int = USUAL_MS
    ) -> None:
        """Note them when they are digits."""
        self.call(name, account_id)
        self.asked.append(("dtmf", f"{check_digits(digits, duration_ms)} for {duration_ms}"))

    def play(
        self, name: str, sound: object, account_id: str | None = None, *, repeat: bool = False
    ) -> None:
        """Note it."""
        self.call(name, account_id)
        if sound != "de":
            raise RequestInvalid("sound", sound, "de")
        self.asked.append(("play", f"{sound} {'again and again' if repeat else 'once'}"))

    def stop_playing(self, name: str, account_id: str | None = None) -> None:
        """Note it."""
        self.call(name, account_id)
        self.asked.append(("stop_playing", name))

    def record(
        self,
        name: str,
        account_id: str | None = None,
        *,
        media_name: object = None,
        max_s: float = 0.0,
    ) -> str:
        """Note it."""
        self.call(name, account_id)
        self.asked.append(("record", f"{media_name} for {max_s:g} s"))
        return f"/recordings/{media_name}"

    def stop_recording(self, name: str, account_id: str | None = None) -> None:
        """Note it."""
        self.call(name, account_id)
        self.asked.append(("stop_recording", name))

    def legs_of(self, originate_id: OriginateId) -> tuple[LegSnapshot, ...]:
        """Return the legs the test put there."""
        return tuple(leg for leg in self.legs if leg.originate_id == originate_id)

    def channels(self, account_id: str | None) -> tuple[LegSnapshot, ...]:
        """Return the legs the test put there."""
        return tuple(leg for leg in self.legs if account_id in (None, leg.account_id))

    def requests(self, account_id: str | None) -> tuple[Handle, ...]:
        """Return the accepted ones that the test has not finished."""
        live = (handle for handle in self.handles if not handle.done.is_set())
        return tuple(one for one in live if account_id in (None, one.request.account_id))

    def channel(self, call_id: str) -> LegSnapshot:
        """Return the leg the test put there."""
        for leg in self.legs:
            if leg.call_id == call_id:
                return leg
        raise NotFound("channel", call_id)

    def channel_ids(
        self,
        account_id: str | None = None,
        wanted: Callable[[Mapping[str, object]], bool] | None = None,
    ) -> list[str]:
        """Return those of the legs the test put there."""
        return [
            leg.call_id
            for leg in self.legs
            if account_id in (None, leg.account_id) and (wanted is None or wanted(leg.channel_vars))
        ]

    def trace_of(self, name: str, account_id: str | None = None) -> tuple[SipMessageSeen, ...]:
        """Keep none."""
        del account_id
        raise NotFound("trace", name)

    def stats(self) -> SipStats:
        """Return zeros."""
        return SipStats(*([0] * 8))

    def refusal(self) -> str:
        """Return what the test says."""
        return self.refused or self.operations.refusal()

    def check_number_filter(self, spec: bool | str | None, number: str) -> FilterResult:
        """Take no brackets for a pattern."""
        if isinstance(spec, str) and "(" in spec and ")" not in spec:
            raise RequestInvalid(
                "number_filter", spec, "a pattern; position 0: missing )", "pattern"
            )
        return NumberFilter.compile(spec).apply(number)

    def dialled(self, account_id: str, number: str) -> tuple[Endpoint, ...]:
        """Return what the real one does."""
        plans = Plans(self.directory, self.route_tables.table)
        resolver = Resolver(self.directory, self.location, plans, lambda _: 0)
        return resolver.dialled(account_id, number, 1443672757.0)

    def explain_route(
        self,
        account_id: str,
        number: str,
        *,
        endpoint_type: EndpointType | None = None,
        endpoint_id: str = "",
        number_filter: bool | str | None = None,
    ) -> RouteReport:
        """Return what the real one does."""
        plans = Plans(self.directory, self.route_tables.table)
        resolver = Resolver(self.directory, self.location, plans, lambda _: 0)
        request = OriginateRequest(
            account_id, endpoint_type or EndpointType.DEVICE, endpoint_id, number
        )
        return Explainer(resolver, CallSettings("192.0.2.254")).report(
            request,
            self.check_number_filter(number_filter, number),
            1443672757.0,
            endpoint=endpoint_type is not None,
        )

    def notice(self, name: str, **changes: object) -> int:
        """Publish and journal an event of a leg, as the runtime does; return its sequence."""
        leg = snapshot(**changes)
        payload = channel_event(ChannelNotice(name, 1443672757.0, leg), self.switch)
        return self.publish(leg.account_id, leg.call_id, name, payload)

    def end(self, handle: Handle) -> None:
        """Publish the terminal event of a request."""
        assert handle.result is not None
        payload = quickcall_end(handle.result, handle.request, 1443672757.0, self.switch)
        account_id = handle.request.account_id
        self.publish(account_id, handle.result.call_id, "QUICKCALL_END", payload)

    def publish(self, account_id: str, call_id: str, name: str, payload: dict[str, object]) -> int:
        """Publish and journal one event."""
        event = self.feed.publish(account_id, call_id, name, payload, 1443672757.0)
        self.journal.add_event(event.sequence, account_id, call_id, name, event.at, event.json())
        self.journal.persist()
        return event.sequence


E = TypeVar("E", bound=ScriptedEngine)


@asynccontextmanager
async def engine_on(folder: Path, kind: type[E]) -> AsyncIterator[E]:
    """Open an engine on a database in a folder; opened again there, it continues."""
    closing = AsyncExitStack()
    database = await Database.open(f"sqlite+aiosqlite:///{folder}/engine.db")
    journal = await Journal.open(database)
    location = await Location.open(database)
    try:
        engine = kind(await Directory.open(database), location, journal)
        engine.route_tables = await RouteTables.open(database, engine.directory)
        engine.idempotency = await IdempotencyKeys.open(database)
        closing.push_async_callback(engine.idempotency.close, 1.0)
        deliveries = await Deliveries.open(database)
        closing.push_async_callback(deliveries.close, 1.0)
        engine.webhooks = Webhooks(
            *(engine.node, engine.directory, journal, engine.feed, deliveries),
            private_addresses=True,
        )
        yield engine
    finally:
        await closing.aclose()
        await location.close()
        await journal.close()
        await database.close()


def scripted_engine(folder: Path) -> AbstractAsyncContextManager[ScriptedEngine]:
    """Open a scripted engine."""
    return engine_on(folder, ScriptedEngine)
