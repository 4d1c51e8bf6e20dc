"""How many calls each account has, and how fast it asks for them.

A slot is taken when a request is accepted and belongs to its call: it is given back where the
terminal event is told, and an audit compares the slots with the calls. Rates are token buckets. Of
an account nothing is kept longer than it matters.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from engine.core.errors import ConcurrencyExceeded, RateLimited
from engine.core.rates import Rate
from engine.store.documents import AccountLimits

USUAL_CALL_S = 30.0
"""How long calls of an account are taken to last until the first of them has ended."""

MAX_RETRY_S = 60.0
"""Longest wait that is told to who has too many calls: it is an estimate."""

_LATEST = 0.1
"""Weight of the last call among those that say how long calls last."""


class Allowed(msgspec.Struct, frozen=True):
    """What an account may have; 0: no limit."""

    calls: int = 0
    calls_per_second: float = 0.0
    burst: int = 1

    def changed(self, own: AccountLimits) -> Allowed:
        """Return the same with what an account says itself."""
        return Allowed(
            self.calls if own.calls is None else own.calls,
            self.calls_per_second if own.calls_per_second is None else own.calls_per_second,
            self.burst if own.burst is None else own.burst,
        )


class _Use:
    """What one account uses."""

    __slots__ = ("call_s", "calls", "rate")

    def __init__(self) -> None:
        self.calls = 0
        self.rate = Rate()
        self.call_s = USUAL_CALL_S


class CallLimits:
    """The calls of all accounts. Pure: `now` is given, in seconds."""

    def __init__(self, usual: Allowed) -> None:
        """Take what an account may have that says nothing itself."""
        self._usual = usual
        self._uses: dict[str, _Use] = {}

    def allowed(self, own: AccountLimits | None) -> Allowed:
        """Return what an account may have; None: the directory does not know it."""
        return self._usual if own is None else self._usual.changed(own)

    def admit(self, account_id: str, own: AccountLimits | None, now: float) -> None:
        """Let an account ask for a call now. Raises `ConcurrencyExceeded`, `RateLimited`.

        What is refused counts for nothing: who asks too fast is let in at the rate he may have.
        """
        may = self.allowed(own)
        if not may.calls and not may.calls_per_second:
            return
        use = self._use(account_id)
        if may.calls and use.calls >= may.calls:
            retry = min(use.call_s / use.calls, MAX_RETRY_S)
            raise ConcurrencyExceeded(
                "limits.calls", use.calls + 1, f"at most {may.calls} calls at once", retry
            )
        if may.calls_per_second:
            wait = use.rate.wait(now, may.calls_per_second, may.burst)
            if wait > 0:
                allowed = f"{may.calls_per_second:g} calls a second, {may.burst} at once"
                raise RateLimited("limits.calls_per_second", "one more call now", allowed, wait)
            use.rate.take(now, may.calls_per_second)

    def take(self, account_id: str, now: float) -> Callable[[float], None]:
        """Take a slot; call what is returned with the time to give it back, which counts once."""
        use = self._use(account_id)
        use.calls += 1
        held = True

        def give_back(at: float) -> None:
            nonlocal held
            if held:
                held = False
                use.calls -= 1
                use.call_s += _LATEST * (at - now - use.call_s)

        return give_back

    def calls(self, account_id: str | None = None) -> int:
        """Return the slots taken, by an account or by all."""
        if account_id is None:
            return sum(use.calls for use in self._uses.values())
        use = self._uses.get(account_id)
        return 0 if use is None else use.calls

    def forget(self, now: float) -> None:
        """Forget the accounts that have no call and whose bucket is full again."""
        idle = [name for name, use in self._uses.items() if not use.calls and use.rate.full(now)]
        for name in idle:
            del self._uses[name]

    def _use(self, account_id: str) -> _Use:
        use = self._uses.get(account_id)
        if use is None:
            use = self._uses[account_id] = _Use()
        return use
