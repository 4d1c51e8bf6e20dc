"""The turn of the engine: drain events, feed call control, submit its commands, arm one timer.

Everything here runs in the event loop, in plain calls: no task per event, no lock. What must hold:

* Commands go down before notices go up, so that the wire does not wait for JSON.
* A command is never lost. When the stack's queue is full the commands wait here, in order, and are
  submitted as soon as it takes them; meanwhile `busy` tells the engine to refuse new work. A
  command the stack cannot take at all ends its leg.
* A fault while one call is handled ends that call and no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, get_args

from msgspec.structs import replace

from engine.control.face import ControlPlane
from engine.control.metrics import Metrics
from engine.core.commands import Dial, HangUp, ResolveDestination, Respond, SipCommand, TakeStock
from engine.core.control import CallControl, Effects
from engine.core.events import (
    ChannelNotice,
    DestinationResolved,
    HopsFound,
    HopsNeeded,
    LegEnded,
    Notice,
    RegisterReceived,
    SipEvent,
    SipMessageSeen,
    StackEvent,
    StackLogged,
    StockTaken,
)
from engine.core.values import Application, LegId, OriginateId, Party, Refusal
from engine.runtime.clock import Clock
from engine.runtime.dialer import Dialer
from engine.runtime.logs import log_notice
from engine.runtime.paced_dials import PacedDials
from engine.runtime.pacing import Pacer
from engine.runtime.publisher import Publisher
from engine.runtime.reaper import Reaper
from engine.runtime.resolve import Resolver
from engine.runtime.trace import SipTrace
from engine.sip.locate import Locator
from engine.sip.port import SipPort, StackBusy
from engine.sip.registrar import Registrar

EVENTS_PER_TURN = 64
"""Events handled before their commands are submitted: a burst must not delay the first answers."""

DEAF_AUDITS = 3
"""Audits in a row without an answer after which the SIP stack counts as dead."""

RETRY_S = 0.002
"""Pause before commands are offered again to a stack whose queue was full."""

_NO_LEG = HopsNeeded | RegisterReceived | SipMessageSeen | StackLogged | StockTaken
"""Events that belong to no call."""

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO}

_log = logging.getLogger(__name__)
_stack_log = logging.getLogger("engine.sip")


class Driver:
    """Moves events, commands and notices between the stack, call control and the control plane."""

    def __init__(
        self,
        sip: SipPort,
        control: CallControl,
        registrar: Registrar,
        resolver: Resolver,
        publisher: Publisher,
        trace: SipTrace,
        clock: Clock,
        reaper: Reaper,
        reaper_s: float,
        locator: Locator,
        control_plane: Callable[[], ControlPlane | None],
        pacer: Pacer,
        metrics: Metrics,
    ) -> None:
        """Take the parts and the seconds between two audits; `attach` begins."""
        self._metrics = metrics
        self._control_plane = control_plane
        self._sip = sip
        self._control = control
        self._registrar = registrar
        self._resolver = resolver
        self._publisher = publisher
        self._trace = trace
        self._clock = clock
        self._reaper = reaper
        self._reaper_s = reaper_s
        self._audit: asyncio.TimerHandle | None = None
        self._unanswered = 0
        self._dialer = Dialer(locator, self._on_dials)
        self._paced = PacedDials(pacer, clock, self._on_dials)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._commands: list[SipCommand] = []
        self._notices: list[Notice] = []
        self._unsent: deque[SipCommand] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._takers: dict[type[StackEvent], Callable[[Any, float], None]] = {
            **dict.fromkeys(get_args(SipEvent), self._take_of_leg),
            LegEnded: self._take_end,
            RegisterReceived: self._register,
            SipMessageSeen: self._trace_message,
            StackLogged: self._log_line,
            StockTaken: self._take_stock,
            HopsNeeded: self._look_up,
        }
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def busy(self) -> bool:
        """True while commands wait because the stack's queue is full."""
        return bool(self._unsent)

    def stack_fault(self) -> str:
        """Return what is the matter with the SIP stack, empty when it answers."""
        if self._unanswered < DEAF_AUDITS:
            return ""
        return f"no answer to the last {self._unanswered} audits"

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen for events of the stack in this loop."""
        self._loop = loop
        loop.add_reader(self._sip.fileno(), self._on_readable)
        self._audit = loop.call_later(self._reaper_s, self._on_audit)

    def detach(self) -> None:
        """Stop listening and clear every timer; the stack may be closed after that."""
        if self._loop is None:
            return
        self._on_readable()
        self._loop.remove_reader(self._sip.fileno())
        self._loop = None
        for handle in (self._timer, self._retry, self._audit):
            if handle is not None:
                handle.cancel()
        self._timer = self._retry = self._audit = None
        self._paced.detach()
        self._unsent.clear()

    def carry_out(self, effects: Effects, now: float) -> None:
        """Submit the commands of a turn of call control and tell its notices."""
        self._take_effects(effects, now)
        self._end_turn(now)

    async def wait_idle(self) -> None:
        """Wait until every originate has told its terminal event."""
        await self._idle.wait()

    def end_what_is_left(self) -> None:
        """End the legs a destroyed stack can no longer tell about: every call gets its end."""
        self._take_all(self._sip.drain())
        for leg in self._control.snapshots():
            event = LegEnded(leg.leg, 0, "", Party.TIMEOUT, 0, "the SIP stack was destroyed")
            self._take(event, self._clock.now())
        self._end_turn(self._clock.now())
        self._publisher.checkpoint(self._clock.now())

    # --- events -----------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        self._take_all(self._sip.drain())

    def _take_all(self, events: list[StackEvent]) -> None:
        for start in range(0, len(events), EVENTS_PER_TURN):
            now = self._clock.now()
            for event in events[start : start + EVENTS_PER_TURN]:
                self._take(event, now)
            self._end_turn(now)

    def _take(self, event: StackEvent, now: float) -> None:
        try:
            self._takers[type(event)](event, now)
        except Exception:
            ids = {} if isinstance(event, _NO_LEG) else self._ids_of(event.leg)
            _log.exception("an event could not be handled: %r", event, extra=ids)
            if not isinstance(event, _NO_LEG):
                self._give_up(event.leg, now)

    def _take_of_leg(self, event: SipEvent, now: float) -> None:
        self._take_effects(self._control.handle(event, now), now)

    def _take_end(self, event: LegEnded, now: float) -> None:
        self._paced.ended(event.leg)
        self._take_of_leg(event, now)

    def _trace_message(self, event: SipMessageSeen, _now: float) -> None:
        self._trace.add(event)

    def _log_line(self, event: StackLogged, _now: float) -> None:
        _stack_log.log(_LEVELS.get(event.level, logging.DEBUG), "%s", event.text)

    def _look_up(self, event: HopsNeeded, _now: float) -> None:
        answer = self._dialer.answer(event)
        self._commands += [answer] if answer is not None else []

    def _on_dials(
        self, events: Sequence[HopsFound | LegEnded], commands: Sequence[SipCommand]
    ) -> None:
        now = self._clock.now()
        for event in events:
            self._take(event, now)
        self._commands += commands
        self._end_turn(now)

    def _register(self, event: RegisterReceived, now: float) -> None:
        try:
            self._commands.append(self._registrar.handle(event, now))
        except Exception:
            # Without an answer the transaction would stay in the stack.
            self._commands.append(Respond(event.transaction, 500, "Server Internal Error"))
            raise

    def _take_stock(self, stock: StockTaken, now: float) -> None:
        self._unanswered = 0
        held = {command.leg for command in self._unsent if isinstance(command, Dial)}
        held |= self._dialer.waiting | self._paced.waiting
        hangups, ends = self._reaper.look(stock, held)
        self._paced.audit(self._control.leg_ids() | set(stock.legs), now)
        self._commands += hangups
        for end in ends:
            self._take(end, now)
        self._publisher.checkpoint(now)

    def _take_effects(self, effects: Effects, now: float) -> None:
        self._notices += effects.notices
        for command in effects.commands:
            if isinstance(command, ResolveDestination):
                if not self._ask_control_plane(command):
                    found = self._resolve(command, now)
                    self._take_effects(self._control.handle(found, now), now)
            else:
                self._commands.append(command)

    def _ask_control_plane(self, asked: ResolveDestination) -> bool:
        """Ask whoever decides before the dial plan does; return whether an answer will come."""
        plane = self._control_plane()
        transfers = asked.request.application is Application.TRANSFER
        if plane is None or asked.for_leg is not None or not transfers:
            return False
        answered = (s for s in self._control.legs_of(asked.originate_id) if s.answered_at)
        rung = next(answered, None)

        def answer(found: DestinationResolved | None) -> None:
            now = self._clock.now()
            if found is None:
                found = self._resolve(asked, now)
            try:
                found = replace(found, endpoints=self._resolver.reached(found.endpoints, now))
                self._take_effects(self._control.handle(found, now), now)
            except Exception:
                _log.exception("%s could not be routed as told", asked.originate_id)
            self._end_turn(now)

        try:
            return rung is not None and plane.route(asked, rung, answer)
        except Exception:
            _log.exception("the control plane could not be asked about %s", asked.originate_id)
            return False

    def _resolve(self, asked: ResolveDestination, now: float) -> DestinationResolved:
        began = perf_counter()
        try:
            found = self._resolver.destination(asked, now)
            self._metrics.dialplan.observe(perf_counter() - began)
            return found
        except Exception:
            ids = {"request_id": asked.originate_id, "account_id": asked.request.account_id}
            _log.exception("%r could not be routed", asked.number, extra=ids)
            return DestinationResolved(
                originate_id=asked.originate_id,
                number=asked.number,
                endpoints=(),
                rule="",
                refusal=Refusal("NORMAL_TEMPORARY_FAILURE", "the router failed"),
                for_leg=asked.for_leg,
            )

    def _ids_of(self, leg: LegId) -> dict[str, str]:
        """Return what a log line about this leg names."""
        owner = self._control.originate_of(leg)
        found = [s for s in self._control.legs_of(owner) if s.leg == leg] if owner else []
        return {
            "request_id": owner or "",
            "call_id": found[0].call_id if found else "",
            "account_id": found[0].account_id if found else "",
        }

    def _give_up(self, leg: LegId, now: float) -> None:
        """End a call whose event could not be handled, and its legs in any case."""
        try:
            legs = self._control.snapshots()
            owner = next((found.originate_id for found in legs if found.leg == leg), None)
            if owner is not None:
                self._end_faulty(owner, [f.leg for f in legs if f.originate_id == owner], now)
        except Exception:
            _log.exception("the call of leg %s could not be given up", leg)
            self._commands.append(HangUp(leg))

    def _end_faulty(self, owner: OriginateId, legs: list[LegId], now: float) -> None:
        try:
            self._take_effects(self._control.hang_up(owner, now), now)
        finally:
            self._commands += [HangUp(leg) for leg in legs]

    # --- the end of a turn ------------------------------------------------------------------------

    def _end_turn(self, now: float) -> None:
        while self._commands:
            commands, self._commands = self._commands, []
            self._submit(commands, now)
        notices, self._notices = self._notices, []
        self._publisher.tell(notices)
        self._count(notices)
        self._arm(now)
        if self._control.originates:
            self._idle.clear()
        else:
            self._idle.set()

    def _count(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            try:
                if isinstance(notice, ChannelNotice) and notice.name == "CHANNEL_CREATE":
                    self._trace.begin(notice.leg)
                self._metrics.take(notice)
                log_notice(notice)
            except Exception:
                _log.exception("a notice could not be counted: %r", notice)

    def _submit(self, commands: list[SipCommand], now: float) -> None:
        if self._loop is None:
            return
        commands, events = self._dialer.sift(commands)
        commands, refused = self._paced.sift(commands, now)
        for event in (*events, *refused):
            self._take(event, now)
        if self._unsent:
            self._unsent += commands
            return
        try:
            self._sip.submit(commands)
        except StackBusy:
            self._unsent += commands
            self._try_again_soon()
        except Exception:
            # One value the stack cannot take must not take the commands of other calls with it.
            for command in commands:
                self._submit_alone(command, now)

    def _submit_alone(self, command: SipCommand, now: float) -> None:
        try:
            self._sip.submit([command])
        except StackBusy:
            self._unsent.append(command)
            self._try_again_soon()
        except Exception as error:
            _log.exception("the SIP stack does not take %r", command)
            if isinstance(command, Dial):
                ended = LegEnded(command.leg, 0, "", Party.POLICY, 0, str(error))
                self._take(ended, now)

    def _try_again_soon(self) -> None:
        if self._retry is None and self._loop is not None:
            self._retry = self._loop.call_later(RETRY_S, self._on_retry)

    def _on_retry(self) -> None:
        self._retry = None
        waiting, self._unsent = list(self._unsent), deque()
        now = self._clock.now()
        # In small portions: a queue with room for some of them must not refuse them all.
        for start in range(0, len(waiting), EVENTS_PER_TURN):
            self._submit(waiting[start : start + EVENTS_PER_TURN], now)
        self._end_turn(now)

    def _arm(self, now: float) -> None:
        deadline = self._control.next_deadline()
        if self._loop is None or deadline is None:
            return
        if self._timer is not None:
            # Most deadlines are cleared before they are due: a timer that fires early and finds
            # nothing is cheaper than one moved at every event.
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        # The loop counts in milliseconds and may wake a little early: never spin on that.
        self._timer = self._loop.call_later(max(deadline - now, 0.001), self._on_timer)

    def _on_audit(self) -> None:
        if self._loop is None:
            return
        self._audit = self._loop.call_later(self._reaper_s, self._on_audit)
        self._unanswered += 1
        self._commands.append(TakeStock())
        self._end_turn(self._clock.now())

    def _on_timer(self) -> None:
        self._timer = None
        now = self._clock.now()
        while (due := self._control.next_deadline()) is not None and due <= now:
            try:
                self._take_effects(self._control.expire(now), now)
            except Exception:
                _log.exception("a deadline could not be handled")
        self._end_turn(now)
