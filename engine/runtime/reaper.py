"""The audit: what call control, the SIP stack and the journal hold must be the same calls.

Every `reaper_s` seconds the stack is asked what it holds (`TakeStock`) and the answer is compared
with the other two. What only one of them has is left over from a fault: it is ended, logged as an
error and counted. In an engine without faults every audit finds nothing.

A leg that was dialled or ended a moment ago is in one list and not yet in the other, so an audit
acts only on what the one before it saw too. Two in a row are enough: commands and events keep their
order, so a leg that call control had when an audit's answer came has reached the stack before the
next audit asks, unless its INVITE is held back on the way (`held`).

Held calls cost one number each to compare, some 8000 of them about a millisecond.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Set
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import astuple

from engine.core.commands import HangUp
from engine.core.control import CallControl
from engine.core.events import LegEnded, StockTaken
from engine.core.values import LegId, OriginateId, Party
from engine.store.unended import UnendedCalls

T = TypeVar("T")

UNKNOWN_TO_STACK = "the SIP stack does not know this leg"
"""`LegEnded.warning` of a leg that only call control had."""

_log = logging.getLogger(__name__)


class Reaped(msgspec.Struct, frozen=True):
    """What the audits have found since the start."""

    stack_legs: int = 0
    """Legs that only the stack had; they were hung up."""
    control_legs: int = 0
    """Legs that only call control had; they were ended."""
    media_ports: int = 0
    """RTP ports in use beyond the stack's legs."""
    dialogs: int = 0
    """Dialogs beyond the stack's legs and the transactions that may keep them alive."""
    channels: int = 0
    """Channels the events say live that no leg has."""
    requests: int = 0
    """Requests without a terminal event that call control does not have."""
    slots: int = 0
    """Calls that count for their account although they have ended, or do not and should."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(astuple(self))


class Reaper:
    """Compares the three, one audit at a time. Not thread-safe."""

    def __init__(
        self,
        control: CallControl,
        live: UnendedCalls,
        accepted: Collection[OriginateId],
        slots: Callable[[], int],
    ) -> None:
        """Take call control, what the events tell to live, and the requests not yet ended.

        `slots` returns how many calls count for their accounts.
        """
        self._control = control
        self._live = live
        self._accepted = accepted
        self._slots = slots
        self._miscounted = _Level()
        self._stack_legs = _Twice[LegId]()
        self._control_legs = _Twice[LegId]()
        self._channels = _Twice[str]()
        self._requests = _Twice[str]()
        self._ports = _Level()
        self._dialogs = _Level()

    @property
    def reaped(self) -> Reaped:
        """What has been found since the start."""
        return Reaped(
            self._stack_legs.found,
            self._control_legs.found,
            self._ports.found,
            self._dialogs.found,
            self._channels.found,
            self._requests.found,
            self._miscounted.found,
        )

    def look(
        self, stock: StockTaken, held: Set[LegId]
    ) -> tuple[tuple[HangUp, ...], tuple[LegEnded, ...]]:
        """Audit; return the hang-ups to order and the ends to tell call control.

        `held`: legs whose INVITE has not been given to the stack yet.
        """
        stack, ours = frozenset(stock.legs), self._control.leg_ids()
        lost = (leg for leg in ours - stack if leg not in held and self._control.expects(leg))
        stray = self._stack_legs.see(stack.difference(ours))
        gone = self._control_legs.see(frozenset(lost))
        _report("legs that only the SIP stack had are hung up", stray)
        _report("legs that only call control had are ended", gone)
        self._count(stock)
        self._compare_published()
        return (
            tuple(HangUp(leg) for leg in stray),
            tuple(LegEnded(leg, 0, "", Party.TIMEOUT, 0, UNKNOWN_TO_STACK) for leg in gone),
        )

    def _count(self, stock: StockTaken) -> None:
        legs = len(stock.legs)
        if ports := self._ports.see(stock.media_ports - legs):
            _log.error("audit: %d RTP ports are in use without a leg", ports)
        # RFC 3261 17: a dialog outlives its leg for as long as one of its transactions waits.
        if dialogs := self._dialogs.see(stock.dialogs - legs - stock.transactions):
            _log.error("audit: %d dialogs are left without a leg", dialogs)

    def _compare_published(self) -> None:
        ours = self._control.originate_ids()
        unended = [r for r in (*self._live.requests, *self._accepted) if r not in ours]
        channels = self._channels.see(self._live.channels - self._control.call_ids())
        requests = self._requests.see(frozenset(unended))
        if wrong := self._miscounted.see(abs(self._slots() - len(self._accepted))):
            _log.error("audit: %d calls are counted wrong for their accounts", wrong)
        _report("channels without CHANNEL_DESTROY have no leg", channels)
        _report("requests without a terminal event are not known", requests)


class _Twice(Generic[T]):
    """Finds what two audits in a row saw, once."""

    def __init__(self) -> None:
        self.found = 0
        self._seen: Set[T] = frozenset()
        self._told: Set[T] = frozenset()

    def see(self, now: Set[T]) -> Set[T]:
        """Return what was seen last time too and was not returned before."""
        both = now & self._seen
        new = both - self._told
        self._seen, self._told = now, both
        self.found += len(new)
        return new


class _Level:
    """Finds by how much a surplus that two audits in a row saw has grown."""

    def __init__(self) -> None:
        self.found = 0
        self._last = self._known = 0

    def see(self, surplus: int) -> int:
        """Return the growth since the last one returned."""
        lasting = max(0, min(surplus, self._last))
        grown = max(0, lasting - self._known)
        self._last, self._known = surplus, lasting
        self.found += grown
        return grown


def _report(what: str, found: Set[object]) -> None:
    if found:
        some = ", ".join(sorted(map(str, found))[:10])
        _log.error("audit: %d %s: %s", len(found), what, some)
