"""An originate whose answered leg does what it is told: wait, be bridged, be joined with a channel.

Theory. Who answered may wait for orders (PARKED) instead of being connected to the number: because
the request said so, the control plane did, or an order took it from whom it talked to, who leaves
then. It is the near leg while it waits. An order to bridge it rings endpoints as if the dial plan
had found them; when nobody is reached, or they leave, the order says whether the near leg waits
again or the call ends. The end of the order is told on the near leg, for whoever gave it waits for
that.
"""

from __future__ import annotations

from abc import abstractmethod

from msgspec.structs import replace

from engine.core.attempts import Target, fork, one_by_one
from engine.core.causes import Ending, ending_by_us
from engine.core.commands import ResolveDestination
from engine.core.endings import NOBODY
from engine.core.errors import WrongState
from engine.core.leg import Leg
from engine.core.leg_maker import LegMaker
from engine.core.leg_plans import Subject
from engine.core.originate_table import OriginateInput, OriginateState
from engine.core.talking import Talking
from engine.core.turn import Turn
from engine.core.values import (
    Application,
    BridgeOrder,
    DialMethod,
    Endpoint,
    LegRole,
    LegState,
    Party,
)

_S, _I = OriginateState, OriginateInput
_MAY_WAIT = "answered, and waiting for orders, ringing somebody or talking"
BRIDGED = "SUCCESS"
"""What is told of an order whose two legs talked."""


class Ordered(Talking):
    """The part of an originate that carries out orders."""

    __slots__ = ("_order",)

    def __init__(self, subject: Subject, maker: LegMaker) -> None:
        """Begin without an order."""
        super().__init__(subject, maker)
        self._order: BridgeOrder | None = None
        """The order that is being carried out."""

    @abstractmethod
    def _ring_b(
        self, number: str, groups: tuple[tuple[Target, ...], ...], *, choosy: bool = True
    ) -> None: ...

    # --- inputs ---

    def park(self, leg: Leg, turn: Turn) -> None:
        """Let a leg wait for orders; whom it talks to, and who is rung for it, is given up.

        Raises `WrongState` before its answer, and while it is transferred.
        """
        self.check_parks(leg)
        self._feed(_I.PARK, leg, turn)

    def check_parks(self, leg: Leg) -> None:
        """Raise as `park` when this leg cannot wait for orders."""
        talk = self._talk
        free = talk is not None and talk.transfer is None and leg in (talk.near, talk.far)
        if not free or self.state not in (_S.PARKED, _S.CONNECTING, _S.TALKING):
            raise WrongState(str(leg), leg.state, _MAY_WAIT)

    def bridge(self, leg: Leg, order: BridgeOrder, turn: Turn) -> None:
        """Connect a leg to endpoints; whom it talks to leaves first. Raises as `park`."""
        self.park(leg, turn)
        targets = fork((_as_ordered(e, order) for e in order.endpoints), turn.settings.max_attempts)
        if not targets:
            self._order = order
            self._order_failed(ending_by_us("DESTINATION_OUT_OF_ORDER", Party.POLICY, NOBODY), turn)
            return
        self._order = order
        together = order.dial_method is DialMethod.SIMULTANEOUS
        self._maker.rung, self._maker.transfer = leg, None
        groups = (targets,) if together else one_by_one(targets)
        self._ring_b(order.number, groups, choosy=False)
        self._feed(_I.BRIDGE, None, turn)

    def route(self, leg: Leg, number: str, turn: Turn) -> None:
        """Have the dial plan connect a leg that waits for orders to a number."""
        self.subject = replace(self.subject, number=number)
        self._feed(_I.ROUTE, leg, turn)

    def join_with(self, leg: Leg, taken: Leg, turn: Turn) -> None:
        """Connect a leg to one of another call, which is a leg of this call from now on.

        Raises as `park`.
        """
        self.park(leg, turn)
        self._maker.adopt(taken, turn)
        details = {"Intercepted-By": leg.invite.call_id}
        taken.announce("CHANNEL_INTERCEPTED", turn, details)
        self._feed(_I.JOIN, taken, turn)

    def let_go(self, leg: Leg, turn: Turn) -> None:
        """Leave a leg to another call; whom it talks to leaves for good. `left` must follow.

        Raises `WrongState` when it neither talks nor waits for orders.
        """
        self.check_leaves(leg)
        if leg is self.waits:
            self._maker.let_go(leg)
        else:
            self.give_away(self._partner(leg), turn, "PICKED_OFF")

    def left(self, turn: Turn) -> None:
        """End, if the leg that waited for orders belongs to another call by now."""
        if self.waits is not None and not self.legs:
            self._feed(_I.GIVE_AWAY, ending_by_us("PICKED_OFF", Party.LOCAL), turn)

    def check_leaves(self, leg: Leg) -> None:
        """Raise `WrongState` when this leg neither talks nor waits for orders."""
        if leg is not self.waits:
            self._partner(leg)

    @property
    def waits(self) -> Leg | None:
        """The leg that waits for orders, None when none does."""
        return self._talking().near if self.state is _S.PARKED else None

    @property
    def wants_channel(self) -> str:
        """Call-ID of the channel that the request wants its waiting leg joined with, else empty."""
        request = self.subject.request
        wanted = request.application is Application.BRIDGE and not request.bridge_to
        return request.target_call_id or "" if wanted and self.state is _S.PARKED else ""

    # --- actions ---

    def wait_for_orders(self, leg: Leg, turn: Turn) -> None:
        """Action: take a leg from everybody else and let it wait."""
        talk = self._talking()
        self._tell_order(BRIDGED if talk.far is not None else "ORIGINATOR_CANCEL", turn)
        partner = talk.keep(leg, turn)
        if partner is not None:
            self._give_up(partner, "NORMAL_CLEARING", Party.LOCAL, turn)
        if self._ringing.role is LegRole.B:
            for rival in self._ringing.rivals(leg):
                self._give_up(rival, "ORIGINATOR_CANCEL", Party.LOCAL, turn)
        self._arm_wait(turn)

    def wait_again(self, _what: Ending | None, turn: Turn) -> None:
        """Action: the order is done; the near leg waits for the next one."""
        talk = self._talking()
        talk.keep(talk.near, turn)
        self._arm_wait(turn)

    def ask_anew(self, leg: Leg, turn: Turn) -> None:
        """Action: ask the router where the number goes for a leg that waited."""
        subject = self.subject
        self._maker.rung, self._maker.transfer = leg, None
        turn.deadlines.set((subject.id, None), turn.now + turn.settings.route_s)
        request = replace(subject.request, application=Application.TRANSFER)
        turn.commands.append(ResolveDestination(subject.id, request, subject.number))

    def join(self, taken: Leg, turn: Turn) -> None:
        """Action: connect the near leg to a channel of another call."""
        self._begin_talk(turn)
        self._talking().connect(taken, turn)

    # --- parts ---

    def _stays(self) -> bool:
        return self._order is not None and self._order.goes_on

    def _order_failed(self, ending: Ending, turn: Turn) -> None:
        """Act on an order that reached nobody."""
        stays = self._stays() or (self._order is not None and self._order.may_fail)
        self._tell_order(ending.cause, turn)
        if self.state is _S.PARKED:
            if not stays:
                self._feed(_I.HANG_UP, ending, turn)
        else:
            self._feed(_I.NEAR_STAYS if stays else _I.B_FAILED, ending, turn)

    def _tell_order(self, response: str, turn: Turn) -> None:
        order, self._order = self._order, None
        if order is None:
            return
        near = self._talking().near
        if near.state is LegState.ANSWERED:
            details = {"Application-Name": "bridge", "Application-Response": response}
            near.announce("CHANNEL_EXECUTE_COMPLETE", turn, details)

    def _arm_wait(self, turn: Turn) -> None:
        longest = turn.settings.max_call_s
        if longest:
            turn.deadlines.set((self.subject.id, None), turn.now + longest)
        else:
            turn.deadlines.clear((self.subject.id, None))


def _as_ordered(endpoint: Endpoint, order: BridgeOrder) -> Endpoint:
    shown = endpoint.shown or order.caller_id
    ignore = True if order.ignore_early_media else endpoint.ignore_early_media
    return replace(endpoint, shown=shown, ignore_early_media=ignore)
