"""Between the driver and the stack: INVITEs pass when whoever is dialled can take them.

What the pacer lets pass at once goes on with the other commands. An INVITE that waits is told by a
timer when its turn has come; what is ordered of its leg meanwhile can only be its hang-up: then it
ends without an INVITE.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence, Set

from engine.core.commands import Dial, HangUp, SipCommand
from engine.core.events import LegEnded
from engine.core.values import LegId, Party
from engine.runtime.clock import Clock
from engine.runtime.pacing import Pacer

_log = logging.getLogger(__name__)

Report = Callable[[Sequence[LegEnded], Sequence[Dial]], None]
"""Takes ends for call control and INVITEs for the stack, in this order."""


class PacedDials:
    """Holds INVITEs back until their turn has come."""

    def __init__(self, pacer: Pacer, clock: Clock, report: Report) -> None:
        """Take who decides, and whom to tell; `report` is called from the loop alone."""
        self._pacer = pacer
        self._clock = clock
        self._report = report
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._lost: Set[LegId] = frozenset()

    @property
    def waiting(self) -> Set[LegId]:
        """Legs whose INVITE is held back now."""
        return self._pacer.waiting

    def sift(
        self, commands: list[SipCommand], now: float
    ) -> tuple[list[SipCommand], list[LegEnded]]:
        """Return the commands that go to the stack now, and what call control is to be told."""
        if not self._concerns(commands):
            return commands, []
        passed: list[SipCommand] = []
        ends: list[LegEnded] = []
        for command in commands:
            if isinstance(command, Dial) and self._pacer.concerns(command):
                decided = self._pacer.offer(command, now)
                if isinstance(decided, Dial):
                    passed.append(decided)
                elif decided is not None:
                    ends.append(decided)
            elif isinstance(command, HangUp) and self._pacer.drop(command.leg):
                ends.append(LegEnded(command.leg, 0, "", Party.LOCAL, 0))
            else:
                passed.append(command)
        self._arm(now)
        return passed, ends

    def ended(self, leg: LegId) -> None:
        """Let a leg that is over count no more."""
        self._pacer.ended(leg)

    def audit(self, live: Collection[LegId], now: float) -> None:
        """Let legs count no more that two audits in a row found nowhere else."""
        nowhere = self._pacer.legs - set(live) - self._pacer.waiting
        if lost := self._pacer.forget(self._pacer.legs - (nowhere & self._lost), now):
            _log.error("audit: %d legs that have ended counted for a carrier", len(lost))
        self._lost = nowhere

    def detach(self) -> None:
        """Stop the timer; what waits is not sent any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _concerns(self, commands: list[SipCommand]) -> bool:
        """Where nothing is limited, commands cost no list of their own."""
        for command in commands:
            if isinstance(command, Dial):
                if self._pacer.concerns(command):
                    return True
            elif self._pacer.waiting and isinstance(command, HangUp):
                return True
        return False

    def _arm(self, now: float) -> None:
        due = self._pacer.next_due(now)
        if self._timer is not None:
            if due is None or self._timer_at <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer_at = due
            self._timer = loop.call_later(max(due - now, 0.001), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._clock.now()
        dials, ends = self._pacer.due(now)
        self._arm(now)
        if dials or ends:
            self._report(ends, dials)
