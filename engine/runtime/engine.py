"""The engine: opens the house, takes requests, closes in order."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import AsyncExitStack
from time import perf_counter
from types import TracebackType
from typing import Self

import msgspec

from engine.config import EngineConfig
from engine.control.auth import Tokens
from engine.control.face import ControlPlane
from engine.control.feed import Feed
from engine.control.health import Severity
from engine.control.kazoo import Switch
from engine.control.metrics import Metrics
from engine.control.operations import Operations
from engine.control.request_bounds import check_bounds
from engine.control.webhook_metrics import show_webhooks
from engine.control.webhooks import Webhooks
from engine.core.control import CallControl
from engine.core.errors import EngineUnavailable, RequestInvalid
from engine.core.media_values import Encryption
from engine.core.values import (
    Application,
    OriginateId,
    OriginateRequest,
    Outcome,
)
from engine.numbers.number_filter import FilterResult
from engine.runtime.calls import Call
from engine.runtime.channel_actions import ChannelActions
from engine.runtime.clock import Clock
from engine.runtime.door import Door, Doorway
from engine.runtime.driver import Driver
from engine.runtime.explain import Explainer
from engine.runtime.gauges import show_gauges
from engine.runtime.ids import new_call_id, new_interaction_id, new_request_id
from engine.runtime.live import LiveCalls
from engine.runtime.media_files import MediaFiles
from engine.runtime.pacing import Pacer
from engine.runtime.plans import Plans
from engine.runtime.publisher import Publisher
from engine.runtime.questions import Questions
from engine.runtime.reaper import Reaper
from engine.runtime.recovery import recover
from engine.runtime.resolve import Resolver
from engine.runtime.settings import (
    call_settings,
    hep_sender,
    name_locator,
    registrar_settings,
    sip_config,
)
from engine.runtime.token_watch import TokenWatch
from engine.runtime.trace import SipTrace
from engine.sip.digest import DigestServer
from engine.sip.kernel_ports import overlap_in_words
from engine.sip.port import Listener, SipPort
from engine.sip.registrar import Registrar
from engine.store.database import Database
from engine.store.deliveries import Deliveries
from engine.store.directory import Directory
from engine.store.idempotency import IdempotencyKeys
from engine.store.journal import Journal
from engine.store.location import Location
from engine.store.route_tables import RouteTables
from engine.store.tokens import TokenStore

HOUSEKEEPING_S = 10.0
"""Seconds between two looks for what has expired."""

_LAST_WORDS_S = 1.0

_NOT_OPEN = "the engine is not open"
_CLOSING = "the engine is closing"
_CLOSED = "the engine is closed"

_Writer = Journal | Location | IdempotencyKeys | Deliveries

_log = logging.getLogger(__name__)


class Engine(Doorway, ChannelActions, Questions):
    """A quickcall engine inside this process and event loop.

    `async with Engine(config) as engine:` opens and closes it; `open` and `close` do the same. One
    engine with the native stack may be open in a process at a time.
    """

    node: str
    """`name@host` of this engine, in every envelope and event."""
    directory: Directory
    """Accounts, users, devices and carriers."""
    route_tables: RouteTables
    """The route table of each account."""
    location: Location
    """Where devices are registered."""
    journal: Journal
    """Stored events and call records."""
    idempotency: IdempotencyKeys
    """Requests of the HTTP API that are carried out once, however often they are sent."""
    feed: Feed
    """The live event stream."""
    tokens: Tokens
    """Who may use the HTTP API."""
    metrics: Metrics
    """What the engine measures of itself; whoever counts something adds it."""
    control_plane: ControlPlane | None
    """Who may say where an answered originate goes, None: the dial plan alone."""
    recovered: frozenset[str]
    """Requests that had been accepted when the engine died; it told their end when it came back."""
    webhooks: Webhooks
    """Where events are sent to over HTTP; a `Server` starts and stops them."""
    operations: Operations
    """Draining, health and the audit log."""

    def __init__(self, config: EngineConfig | None = None, sip: SipPort | None = None) -> None:
        """Prepare an engine; nothing is opened yet.

        `config` None: the defaults. `sip`: a SIP stack to use (`engine.sip.loopback.LoopbackSip` in
        tests), which the engine closes in the end; None: the native stack.
        """
        self.config = config if config is not None else EngineConfig()
        self.node = self.config.node
        self.tokens = Tokens(self.config.tokens)
        self.control_plane = None
        self.metrics = Metrics()
        self.operations = Operations(
            self.node, self.config.audit_log, lambda: self._control.originates
        )
        self._given_sip = sip
        self._clock = Clock()
        self._exit = AsyncExitStack()
        self._refusal = _NOT_OPEN
        self._calls: dict[OriginateId, Call] = {}
        self._opening = False
        self._sip: SipPort
        self._trace: SipTrace
        self._control: CallControl
        self._driver: Driver
        self._resolver: Resolver
        self._publisher: Publisher
        self._reaper: Reaper
        self._explainer: Explainer
        self._housekeeping: asyncio.TimerHandle | None = None

    # --- life -------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open the engine."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the engine."""
        await self.close()

    async def open(self) -> None:
        """Open store and SIP stack and begin to take requests.

        Raises `EngineUnavailable` when the database cannot be opened, `RuntimeError` when a
        listener cannot be bound, `ValueError` for a configuration the stack refuses; nothing stays
        open then. An engine is opened once.
        """
        if self._refusal != _NOT_OPEN or self._opening:
            raise RuntimeError("this engine has been opened before; make a new one")
        self._opening = True
        try:
            await self._open_store()
            await self._open_sip()
        except BaseException:
            self._refusal = _CLOSED
            await self._exit.aclose()
            raise
        self._refusal = ""

    async def _open_store(self) -> None:
        config = self.config
        self.operations.audit.open()
        self._exit.callback(self.operations.audit.close)
        database = await Database.open(config.database, config.spool_dir)
        self._exit.push_async_callback(database.close)
        self.directory = await Directory.open(database)
        self.directory.on_account_deleted(self.tokens.forget_account)
        watch = TokenWatch(TokenStore(database), self.tokens)
        await watch.start()
        self._exit.push_async_callback(watch.stop)
        self.route_tables = await RouteTables.open(database, self.directory)
        self.location = await Location.open(database)
        self._exit.push_async_callback(self._close_writer, "bindings", self.location)
        self.journal = await Journal.open(
            database, keep_events=config.events_kept, spool_max_mb=config.spool_max_mb
        )
        self._exit.push_async_callback(self._close_writer, "events", self.journal)
        self.idempotency = await IdempotencyKeys.open(database)
        self._exit.push_async_callback(self._close_writer, "answers", self.idempotency)
        self.feed = Feed(last_sequence=self.journal.last_sequence())
        deliveries = await Deliveries.open(database)
        self._exit.push_async_callback(self._close_writer, "webhook deliveries", deliveries)
        self.webhooks = Webhooks(
            *(self.node, self.directory, self.journal, self.feed, deliveries),
            private_addresses=config.webhook_private_addresses,
        )
        show_webhooks(self.metrics, self.webhooks)

    async def _open_sip(self) -> None:
        config = self.config
        if self._given_sip is not None:
            self._sip = self._given_sip
        else:
            # The compiled module is needed by nobody who brings a stack of their own.
            from engine.sip.native import NativeSip  # noqa: PLC0415

            if overlap := overlap_in_words(config.rtp_ports):
                _log.warning("%s", overlap)
            self._sip = NativeSip(await sip_config(config))
        self._exit.push_async_callback(asyncio.to_thread, self._sip.close)
        hep = hep_sender(config)
        if hep is not None:
            self._exit.callback(hep.close)
        self._trace = SipTrace(config.trace_calls if config.trace else 0, hep)
        settings = await call_settings(config, self._sip.listeners)
        self._control = CallControl(settings, new_call_id)
        plans = Plans(self.directory, self.route_tables.table)
        self._resolver = Resolver(
            *(self.directory, self.location, plans, secrets.randbelow),
            outbound_proxy=config.outbound_proxy,
            encryption=Encryption(config.media_encryption),
        )
        self._explainer = Explainer(self._resolver, settings)
        first = self._sip.listeners[0]
        self._publisher = publisher = Publisher(
            self.feed, self.journal, Switch(self.node, _address(first))
        )
        self._calls = publisher.calls
        self._door = Door(self.directory, self._clock, config)
        self._exit.callback(self._door.close)
        self.recovered = await recover(self.journal, publisher, self._clock.now())
        digest = DigestServer(
            secrets.token_bytes(32), secrets.token_bytes, algorithms=config.digest_algorithms
        )
        registrar = Registrar(
            self.directory.sip_password, self.location, digest, registrar_settings(config)
        )
        locator = name_locator(config, self._sip.listeners, secrets.randbelow)
        self._exit.push_async_callback(locator.close)
        self._reaper = Reaper(
            self._control, self.journal.unended, publisher.calls.keys(), self._door.limits.calls
        )
        pacer = Pacer(config.max_calls_per_second, config.pacing_wait_s)
        self._driver = Driver(
            self._sip,
            self._control,
            registrar,
            self._resolver,
            publisher,
            self._trace,
            self._clock,
            self._reaper,
            config.reaper_s,
            locator,
            lambda: self.control_plane,
            pacer,
            self.metrics,
        )
        show_gauges(
            *(self.metrics, self._control, self._sip, self.feed, self.journal, self._reaper),
            *(self._door, pacer),
        )
        self._live = LiveCalls(
            *(self._control, self._driver, self._calls, self._clock),
            MediaFiles(config.sounds_dir, config.recordings_dir),
            self._resolver,
        )
        self.operations.health.add("sip_stack", Severity.DEAD, self._driver.stack_fault)
        self._driver.attach(asyncio.get_running_loop())
        self._exit.callback(self._driver.detach)
        self._keep_house()
        self._exit.callback(self._stop_housekeeping)

    async def drained(self, seconds: float) -> bool:
        """Wait until no call is left, at most so many seconds; return whether none is."""
        return await self._idle_within(seconds)

    async def drain(self) -> None:
        """Refuse new requests, hang up every call, wait until each has told its terminal event.

        Waits at most `shutdown_s` seconds. The store and the feed stay open, so waiting requests
        get their answers and readers their events; `close` does the rest. Idempotent.
        """
        if self._refusal in (_NOT_OPEN, _CLOSED):
            return
        self._refusal = _CLOSING
        self._driver.carry_out(self._control.close(self._clock.now()), self._clock.now())
        if not await self._idle_within(self.config.shutdown_s):
            _log.warning("%d calls did not end in time and are cut off", self._control.originates)
            self._sip.begin_close()
            await self._idle_within(_LAST_WORDS_S)

    async def close(self) -> None:
        """Close the engine and leave nothing of it in the loop or the process. Idempotent.

        In this order: refuse new requests; hang up every call and wait for the last terminal event
        or the deadline (`shutdown_s`); stop listening to the stack; destroy the stack; end what it
        left behind, so that even a cut-off call gets its one terminal event; write events and
        bindings; close the database.
        """
        if self._refusal in (_NOT_OPEN, _CLOSED):
            return
        await self.drain()
        self._refusal = _CLOSED
        self._stop_housekeeping()
        self._driver.detach()
        await asyncio.to_thread(self._sip.close)
        self._driver.end_what_is_left()
        await self._exit.aclose()

    async def _idle_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._driver.wait_idle()
        except TimeoutError:
            return False
        return True

    @staticmethod
    async def _close_writer(what: str, writer: _Writer) -> None:
        left = await writer.close()
        if left:
            _log.error("%d %s could not be written to the database", left, what)

    def _keep_house(self) -> None:
        now = self._clock.now()
        self.location.expire(now)
        self.idempotency.expire(now)
        self._door.limits.forget(now)
        loop = asyncio.get_running_loop()
        self._housekeeping = loop.call_later(HOUSEKEEPING_S, self._keep_house)

    def _stop_housekeeping(self) -> None:
        if self._housekeeping is not None:
            self._housekeeping.cancel()

    # --- requests ---------------------------------------------------------------------------------

    async def originate(self, request: OriginateRequest) -> Outcome:
        """Ring the endpoint and return what came of it, as soon as that is known.

        `outcome.answered` is true when the endpoint answered (or gave early media that is not
        ignored); the call then goes on, and `start` gives a handle to follow it. Raises as `start`.
        """
        return await self.start(request).answered()

    def start(self, request: OriginateRequest) -> Call:
        """Accept a request, send its INVITEs and return its handle at once.

        Exactly one terminal event follows, even when nobody is registered or the number is blocked
        or barred and nobody is rung. Raises `NotFound`
        (account, user, device), `RequestInvalid` (a value out of bounds, a bad number filter),
        `Conflict` (a live call, of whatever account, has this `request_id` or `call_id`),
        `LimitExceeded` (the account has too many calls, or asks for them too fast),
        `EngineUnavailable` (not open, closing, `Overloaded`: try again later).
        """
        self.operations.draining.check()
        refusal = self.refusal()
        if refusal:
            raise EngineUnavailable(refusal)
        _check(request)
        originate_id = OriginateId(request.request_id) if request.request_id else new_request_id()
        self._live.check_free(originate_id, request.chosen_call_ids)
        filtered = self._filtered(request)
        number = filtered.number
        now = self._clock.now()
        endpoints = self._resolver.endpoints_for(request, number, now)
        refused = self._resolver.refusal(request, number)
        self._door.admit(request.account_id, now)
        effects = self._control.originate(
            originate_id,
            request,
            number,
            endpoints,
            str(request.channel_vars.get("Call-Interaction-ID") or new_interaction_id(now)),
            now,
            self._resolver.owner_caller_id(request, number),
            filter_note=filtered.note or "",
            refusal=refused,
        )
        slot = self._door.slot(request.account_id, now)
        call = Call(originate_id, request, filtered, endpoints, self._live.end, slot)
        call.planned = self._control.planned(originate_id)
        self._calls[originate_id] = call
        self._driver.carry_out(effects, now)
        self._publisher.accept(call)
        return call

    def _filtered(self, request: OriginateRequest) -> FilterResult:
        if not request.number and request.application is not Application.TRANSFER:
            return FilterResult("", "", None)
        began = perf_counter()
        filtered = self.check_number_filter(request.number_filter, request.number)
        self.metrics.number_filter.observe(perf_counter() - began)
        return filtered

    def refusal(self) -> str:
        """Return why new requests are refused now, empty when they are taken."""
        if refusal := self._refusal or self.operations.refusal() or self.journal.refusal():
            return refusal
        if self._driver.busy:
            return "the SIP stack does not keep up with commands"
        if self._control.legs >= self.config.max_legs:
            return f"all {self.config.max_legs} legs are in use"
        return ""


def _check(request: OriginateRequest) -> None:
    """Check the bounds that hold however a request came; the core checks its header texts."""
    check_bounds(request)
    try:
        msgspec.json.encode(request.custom_application_vars)
    except (TypeError, ValueError) as error:
        # They are part of every event, and an event that is not JSON could not be told.
        allowed = f"what JSON can hold ({error})"
        raise RequestInvalid("custom_application_vars", "...", allowed, "type") from error


def _address(listener: Listener) -> str:
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"{host}:{listener.port}"
