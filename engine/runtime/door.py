"""What a request has to pass before it is accepted: overload, then the limits of its account.

How late the event loop is, is measured by a timer that runs only while requests come: the engine
that has nothing to do is not wakened for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from engine.config import EngineConfig
from engine.core.errors import LimitExceeded, NotFound, Overloaded
from engine.runtime.clock import Clock
from engine.runtime.limits import Allowed, CallLimits
from engine.runtime.overload import Overload
from engine.store.directory import Directory
from engine.store.documents import AccountLimits

TICK_S = 0.005
"""Seconds between two measurements of the loop."""

STILL_S = 2.0
"""Seconds after the last request during which it is measured."""

RETRY_S = 1.0
"""What whoever is refused for overload is told to wait: the least that Retry-After can say."""

_log = logging.getLogger(__name__)


class Door:
    """Lets requests in, or says why not and counts them."""

    def __init__(self, directory: Directory, clock: Clock, config: EngineConfig) -> None:
        """Take the accounts, the limits of those that have none, and how late the loop may be."""
        self._directory = directory
        self._clock = clock
        lag_s = config.overload_lag_ms / 1000
        self._overload = Overload(lag_s) if lag_s else None
        self._tick: asyncio.TimerHandle | None = None
        self._due = self._asked_at = 0.0
        self.limits = CallLimits(
            Allowed(config.account_calls, config.account_calls_per_second, config.account_burst)
        )
        """The calls of each account."""
        self.rejected = {"overloaded": 0, "rate_limited": 0, "concurrency_exceeded": 0}
        """Requests not accepted, by reason."""

    # --- overload ---------------------------------------------------------------------------------

    def shed(self, waited_s: float = 0.0) -> float:
        """Return 0 when a request may come in; else it is refused and counted: seconds to wait.

        `waited_s`: how long it has waited already before it was seen. Costs next to nothing, so
        that it can be asked before anything else is done for a request.
        """
        overload, now = self._overload, self._clock.now()
        if overload is None:
            return 0.0
        self._asked_at = now
        if self._tick is None:
            self._measure(now)
        # While the loop works the timer cannot run: how late it is overdue says how late we are.
        if not overload.wait(now, max(waited_s, now - self._due)):
            return 0.0
        overload.refused(now)
        self.rejected["overloaded"] += 1
        return RETRY_S

    @property
    def limit(self) -> float:
        """Requests a second that are let in, infinite while the engine is not overloaded."""
        return float("inf") if self._overload is None else self._overload.limit

    @property
    def lag_s(self) -> float:
        """How late the event loop was when it was measured last, seconds; 0 at rest."""
        return 0.0 if self._overload is None else self._overload.lag

    # --- accounts ---------------------------------------------------------------------------------

    def admit(self, account_id: str, now: float) -> None:
        """Let in a request for an account. Raises `Overloaded`, `LimitExceeded`."""
        wait = self.shed()
        if wait:
            raise Overloaded(wait)
        try:
            self.limits.admit(account_id, self._limits_of(account_id), now)
        except LimitExceeded as error:
            self.rejected[error.code] += 1
            raise
        if self._overload is not None:
            self._overload.let_in(now)

    def slot(self, account_id: str, now: float) -> Callable[[], None]:
        """Take a slot of an account; call what is returned to give it back."""
        give_back = self.limits.take(account_id, now)
        return lambda: give_back(self._clock.now())

    def status(self, account_id: str) -> Mapping[str, object]:
        """Return what an account has and may have now. Raises `NotFound`."""
        may = self.limits.allowed(self._directory.account(account_id).limits)
        return {
            "calls": may.calls,
            "calls_active": self.limits.calls(account_id),
            "calls_per_second": may.calls_per_second,
            "burst": may.burst,
        }

    def _limits_of(self, account_id: str) -> AccountLimits | None:
        try:
            return self._directory.account(account_id).limits
        except NotFound:
            return None

    # --- the measurement --------------------------------------------------------------------------

    def close(self) -> None:
        """Stop measuring."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _measure(self, now: float) -> None:
        self._due = now + TICK_S
        self._tick = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)

    def _on_tick(self) -> None:
        overload, now = self._overload, self._clock.now()
        if overload is None:
            return
        if overload.tick(now, max(0.0, now - self._due), time.thread_time()):
            _log.warning(
                "overloaded: quickcalls are let in at %.0f a second, the others are refused",
                overload.limit,
            )
        if now - self._asked_at > STILL_S:
            overload.lift()
            self._tick = None
        else:
            self._measure(now)


class Doorway:
    """What an engine tells of its door."""

    _door: Door

    def shed(self, waited_s: float = 0.0) -> float:
        """Return 0 when a request may come in now, else how many seconds it should wait.

        `waited_s`: how long it has waited already before it was seen. For whoever can refuse it
        before more is done for it, and does so: it is counted. `start` asks too.
        """
        return self._door.shed(waited_s)

    def limits(self, account_id: str) -> Mapping[str, object]:
        """Return what an account uses of its limits. Raises `NotFound`."""
        return self._door.status(account_id)

    @property
    def rejected(self) -> Mapping[str, int]:
        """Requests that were not accepted since the engine was opened, by reason."""
        return self._door.rejected
