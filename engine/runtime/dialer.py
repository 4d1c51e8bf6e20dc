"""Between the driver and the stack: no INVITE to a host name passes before the name is looked up.

An INVITE whose next hop is an address passes at once. One that names a host waits here until the
name has been looked up; it then goes to the first address, and call control is told them all. What
is ordered of a leg meanwhile can only be its hang-up: then it ends without an INVITE.

The stack asks here too, for host names that a peer put into a Contact or Record-Route: it never
asks a name server itself, which would hold up every call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from msgspec.structs import replace

from engine.core.commands import Dial, HangUp, SipCommand, UseHops
from engine.core.errors import RequestInvalid
from engine.core.events import HopsFound, HopsNeeded, LegEnded
from engine.core.values import LegId, Party
from engine.sip.locate import Location, Locator
from engine.sip.target import Target, destination_of, goes_straight, target_of

Report = Callable[[Sequence[HopsFound | LegEnded], Sequence[SipCommand]], None]
"""Takes events for call control and commands for the stack, in this order."""


class Dialer:
    """Holds INVITEs back until it is known where they go."""

    def __init__(self, locator: Locator, report: Report) -> None:
        """Take who looks names up, and whom to tell; `report` is called from the loop alone."""
        self._locator = locator
        self._report = report
        self._waiting: dict[LegId, Dial] = {}

    @property
    def waiting(self) -> Set[LegId]:
        """Legs whose INVITE is held back now."""
        return self._waiting.keys()

    def sift(
        self, commands: list[SipCommand]
    ) -> tuple[list[SipCommand], list[HopsFound | LegEnded]]:
        """Return the commands that go to the stack now, and what call control is to be told."""
        if not self._concerns(commands):
            return commands, []
        now: list[SipCommand] = []
        events: list[HopsFound | LegEnded] = []
        for command in commands:
            if isinstance(command, Dial) and not goes_straight(destination_of(command)):
                self._dial(command, now, events)
            elif isinstance(command, HangUp) and self._waiting.pop(command.leg, None) is not None:
                events.append(LegEnded(command.leg, 0, "", Party.LOCAL, 0))
            else:
                now.append(command)
        return now, events

    def answer(self, asked: HopsNeeded) -> UseHops | None:
        """Look up a name for the stack. None: the answer is not known yet and goes to `report`."""

        def done(location: Location) -> None:
            self._report((), (UseHops(asked.query, location.hops),))

        try:
            target = target_of(asked.uri)
        except (RequestInvalid, ValueError):
            return UseHops(asked.query, ())
        known = self._locator.known(target)
        if known is None:
            self._locator.look_up(target, done)
            return None
        return UseHops(asked.query, known.hops)

    def _concerns(self, commands: list[SipCommand]) -> bool:
        """Most commands have nothing to do with names: those cost no list of their own."""
        for command in commands:
            if isinstance(command, Dial):
                if not goes_straight(destination_of(command)):
                    return True
            elif self._waiting:
                return True
        return False

    def _dial(self, dial: Dial, now: list[SipCommand], events: list[HopsFound | LegEnded]) -> None:
        uri = destination_of(dial)
        try:
            target = target_of(uri)
        except (RequestInvalid, ValueError) as error:
            events.append(_unreachable(dial.leg, str(error)))
            return
        known = self._locator.known(target)
        if known is None:
            self._waiting[dial.leg] = dial
            self._look_up(target, dial.leg)
        elif known.hops:
            events.append(HopsFound(dial.leg, known.hops))
            now.append(_to_first(dial, known.hops))
        else:
            events.append(_unreachable(dial.leg, known.failure))

    def _look_up(self, target: Target, leg: LegId) -> None:
        def done(location: Location) -> None:
            dial = self._waiting.pop(leg, None)
            if dial is None:
                return
            if location.hops:
                sent = _to_first(dial, location.hops)
                self._report((HopsFound(leg, location.hops),), (sent,))
            else:
                self._report((_unreachable(leg, location.failure),), ())

        self._locator.look_up(target, done)


def _to_first(dial: Dial, hops: tuple[str, ...]) -> Dial:
    return replace(dial, next_hop=hops[0], more_hops=len(hops) > 1)


def _unreachable(leg: LegId, failure: str) -> LegEnded:
    """RFC 3263 4.3: a request that cannot be sent is one that was answered 503."""
    return LegEnded(leg, 503, "Service Unavailable", Party.POLICY, 0, failure)
