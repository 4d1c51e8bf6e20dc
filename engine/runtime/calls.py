"""The handle of an accepted request: what it rings, and its outcomes when they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.core.values import Endpoint, OriginateId, OriginateRequest, Outcome, PlannedAttempt
from engine.numbers.number_filter import FilterResult


class Call:
    """An accepted originate. Made by `Engine.start`; any number of tasks may wait on it."""

    __slots__ = (
        "_answered",
        "_cancel",
        "_ended",
        "_give_back",
        "_waiters",
        "endpoints",
        "filter_note",
        "number",
        "originate_id",
        "planned",
        "request",
    )

    def __init__(
        self,
        originate_id: OriginateId,
        request: OriginateRequest,
        filtered: FilterResult,
        endpoints: tuple[Endpoint, ...],
        cancel: Callable[[OriginateId], None],
        give_back: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep what was accepted; `cancel` ends the originate of an id.

        `give_back` frees the place that the call has among those of its account.
        """
        self.originate_id = originate_id
        self.request = request
        self.number = filtered.number
        """The number after the number filter."""
        self.filter_note = filtered.note or ""
        """Why a regex as number filter left the number as it was, empty: it did not."""
        self.endpoints = endpoints
        """The devices the request names, reachable or not."""
        self.planned: tuple[PlannedAttempt, ...] = ()
        """The INVITEs sent for it, empty when nobody is registered."""
        self._cancel = cancel
        self._give_back = give_back
        self._answered: Outcome | None = None
        self._ended: Outcome | None = None
        self._waiters: list[tuple[bool, asyncio.Future[Outcome]]] = []

    def __repr__(self) -> str:
        """Name the request and how far it is."""
        state = "ended" if self._ended else "answered" if self._answered else "ringing"
        return f"<Call {self.originate_id} to {self.number} {state}>"

    async def answered(self) -> Outcome:
        """Wait until ringing the endpoint has succeeded or failed and return how.

        Early media that is not ignored counts as an answer. When ringing fails this is the terminal
        outcome. Cancelling the wait does not end the call.
        """
        return self._answered or self._ended or await self._wait(final=False)

    async def ended(self) -> Outcome:
        """Wait for the terminal outcome: every leg is gone.

        Cancelling the wait does not end the call.
        """
        return self._ended or await self._wait(final=True)

    def hang_up(self) -> None:
        """End the call in whatever state it is; `ended` returns when it is over. Idempotent."""
        self._cancel(self.originate_id)

    @property
    def winner(self) -> str:
        """Call-ID of the leg that won the ringing, empty while none has."""
        return self._answered.call_id if self._answered is not None else ""

    def set_answered(self, outcome: Outcome) -> None:
        """Take the outcome of ringing and wake who waits for it."""
        self._answered = outcome
        self._wake(outcome)

    def set_ended(self, outcome: Outcome) -> None:
        """Take the terminal outcome, wake everybody and free the call's place."""
        self._ended = outcome
        self._give_back()
        self._wake(outcome)

    def _wait(self, *, final: bool) -> asyncio.Future[Outcome]:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append((final, waiter))
        return waiter

    def _wake(self, outcome: Outcome) -> None:
        still: list[tuple[bool, asyncio.Future[Outcome]]] = []
        for final, waiter in self._waiters:
            if final and not outcome.final:
                still.append((final, waiter))
            elif not waiter.done():
                waiter.set_result(outcome)
        self._waiters = still
