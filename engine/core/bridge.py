"""Two legs joined.

Theory. The answered device (A) hears the dialled party (B) from B's first early media on, because
announcements such as "number not in service" come before a failure; A's own early media is never
played to anybody. Only one early stream is heard at a time, the first (RFC 3960 3.1 has no good
answer to forks): when another leg of a fork answers, the relay moves to it. The bridge is told to
the control plane (CHANNEL_BRIDGE for both) when both have answered, and untold (CHANNEL_UNBRIDGE
for both) before either leg's end is, once each. A bridge is used once.

It holds leg ids; the legs themselves are given to it when it speaks for them.
"""

from __future__ import annotations

from enum import StrEnum

from engine.core.commands import Join, Split
from engine.core.leg import Leg
from engine.core.leg_plan import OtherLeg
from engine.core.machine import Table, Transition, ignore, refuse
from engine.core.turn import Turn
from engine.core.values import LegId

NOBODY = LegId(0)
"""What a bridge holds that joins nothing; leg ids begin at 1."""


class BridgeState(StrEnum):
    """States of a bridge."""

    APART = "apart"
    EARLY = "early"
    UP = "up"
    DOWN = "down"


class BridgeInput(StrEnum):
    """What can happen to a bridge."""

    EARLY_MEDIA = "early_media"
    ANSWER = "answer"
    ANSWER_OF_ANOTHER = "answer_of_another"
    LEAVE = "leave"


_S, _I = BridgeState, BridgeInput
_ONE_ANSWER = refuse(
    "one answer makes the bridge, the other legs have been hung up", _I.ANSWER, _I.ANSWER_OF_ANOTHER
)

BRIDGE_TABLE: Table[BridgeState, BridgeInput] = Table(
    "bridge",
    BridgeState,
    BridgeInput,
    {
        _S.APART: {
            _I.EARLY_MEDIA: Transition(_S.EARLY, "join"),
            _I.ANSWER: Transition(_S.UP, "join_and_tell"),
            **refuse("nothing is joined, so no leg is another", _I.ANSWER_OF_ANOTHER),
            **ignore("nothing is joined", _I.LEAVE),
        },
        _S.EARLY: {
            **ignore("one early stream is heard, the first", _I.EARLY_MEDIA),
            _I.ANSWER: Transition(_S.UP, "tell"),
            _I.ANSWER_OF_ANOTHER: Transition(_S.UP, "move_and_tell"),
            _I.LEAVE: Transition(_S.APART, "split"),
        },
        _S.UP: {
            **refuse("the other legs have been hung up", _I.EARLY_MEDIA),
            **_ONE_ANSWER,
            _I.LEAVE: Transition(_S.DOWN, "split_and_tell"),
        },
        _S.DOWN: {
            **refuse("the call is being released", _I.EARLY_MEDIA),
            **_ONE_ANSWER,
            **ignore("the legs are apart already", _I.LEAVE),
        },
    },
)


class Bridge:
    """The media path between the two legs of an originate."""

    __slots__ = ("a", "b", "state")

    def __init__(self) -> None:
        """Start with nothing joined."""
        self.state = BridgeState.APART
        self.a = self.b = NOBODY

    def __str__(self) -> str:
        """Return how errors name this bridge."""
        return f"bridge of legs {self.a} and {self.b}"

    def holds(self, leg: LegId) -> bool:
        """Return whether this leg is joined now."""
        return leg in (self.a, self.b)

    def hear(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Let A hear B's early media, unless it hears another leg's."""
        self._feed(BridgeInput.EARLY_MEDIA, a, b, turn)

    def connect(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Join two answered legs. Raises `MachineError` when the bridge has been up before."""
        another = self.b not in (NOBODY, b.invite.leg)
        given = BridgeInput.ANSWER_OF_ANOTHER if another else BridgeInput.ANSWER
        self._feed(given, a, b, turn)

    def part(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Take the joined legs apart; does nothing when they are apart."""
        self._feed(BridgeInput.LEAVE, a, b, turn)

    def _feed(self, given: BridgeInput, a: Leg, b: Leg, turn: Turn) -> None:
        transition = BRIDGE_TABLE.step(self.state, given, self)
        if transition is not None:
            self.state = transition.state
            _DO[transition.action](self, a, b, turn)

    def join(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Action: relay between the two."""
        self.a, self.b = a.invite.leg, b.invite.leg
        turn.commands.append(Join(self.a, self.b))
        a.other = OtherLeg(b.invite.call_id, b.plan.callee_id.number, b.plan.caller_id)
        a.channel_vars = {**a.channel_vars, "Bridge-ID": a.invite.call_id}

    def tell(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Action: announce the bridge on both legs."""
        a.announce("CHANNEL_BRIDGE", turn)
        b.announce("CHANNEL_BRIDGE", turn)

    def join_and_tell(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Action: relay and announce."""
        self.join(a, b, turn)
        self.tell(a, b, turn)

    def move_and_tell(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Action: leave the leg that was heard for the one that answered."""
        turn.commands.append(Split(self.a, self.b))
        self.join_and_tell(a, b, turn)

    def split(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Action: stop relaying."""
        turn.commands.append(Split(a.invite.leg, b.invite.leg))
        self.a = self.b = NOBODY

    def split_and_tell(self, a: Leg, b: Leg, turn: Turn) -> None:
        """Action: stop relaying and announce it on both legs."""
        a.announce("CHANNEL_UNBRIDGE", turn)
        b.announce("CHANNEL_UNBRIDGE", turn)
        self.split(a, b, turn)


_DO = BRIDGE_TABLE.actions(Bridge)
