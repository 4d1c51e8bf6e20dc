"""Two legs that talk, or are about to: their bridge, hold, and one codec for both.

Theory. The near leg has answered; the far one is heard from its first early media on and is joined
when it answers. Media are relayed undecoded, so both must use one codec: when one side agrees with
us on another, the other side is offered that one; should it refuse, the first is asked to come
back. A leg that we put on hold is offered to listen only, and hears nobody.

A transfer takes the two apart. The one that is transferred is the near one from then on, and hears
the target's early media; when the target answers it takes the place of the one that asked, who is
told and released. A transfer that fails joins the two again, or leaves the near one alone when the
other has left meanwhile.
"""

from __future__ import annotations

from engine.core.bridge import Bridge
from engine.core.causes import Ending, status_of_cause
from engine.core.commands import Join, Reoffer, Split
from engine.core.leg import Leg, OtherLeg
from engine.core.machine import MachineError
from engine.core.transfer import Transfer
from engine.core.turn import Turn
from engine.core.values import Party


class Talk:
    """The near and the far leg of an originate."""

    __slots__ = ("_asked_to_follow", "_bridge", "_heard", "far", "near", "transfer")

    def __init__(self, near: Leg) -> None:
        """Begin with a leg that has answered."""
        self.near = near
        self.far: Leg | None = None
        self.transfer: Transfer | None = None
        """The transfer that is asked for or under way."""
        self._bridge = Bridge()
        self._heard: Leg | None = None
        """The leg that is joined with the near one."""
        self._asked_to_follow: Leg | None = None

    def hear(self, leg: Leg, turn: Turn) -> None:
        """Let the near leg hear another's early media, unless it hears somebody's."""
        if self._heard is None:
            self._heard = leg
            self._bridge.hear(self.near, leg, turn)

    def connect(self, far: Leg, turn: Turn) -> None:
        """Join the two, for both have answered."""
        self.far = self._heard = far
        self._bridge.connect(self.near, far, turn)
        self._follow(self.near, turn)

    def part(self, leg: Leg, turn: Turn) -> None:
        """Take the two apart if this leg is joined."""
        heard = self._heard
        if heard is not None and leg in (self.near, heard):
            self._heard = None
            self._bridge.part(self.near, heard, turn)

    def partner(self, leg: Leg) -> Leg | None:
        """Return the leg at the other end of this one, None while there is none."""
        if leg is self.near:
            return self.far
        return self.near if leg is self.far else None

    def hearer(self, leg: Leg) -> Leg | None:
        """Return the leg that hears this one, None when it is heard by nobody."""
        heard = self._heard
        if heard is None or self.near.parked or heard.parked:
            return None
        if leg is self.near:
            return heard
        return self.near if leg is heard else None

    def hold(self, leg: Leg, on: bool, turn: Turn) -> None:
        """Put the peer of a leg on hold, or talk to it again; nothing when it is so already."""
        if leg.parked is on:
            return
        leg.hold(on, turn)
        self._silence(on, turn)

    def renegotiated(self, leg: Leg, turn: Turn) -> None:
        """Have the other leg follow what this one agreed on."""
        if leg is self._asked_to_follow:
            self._asked_to_follow = None
        else:
            self._follow(leg, turn)

    def reoffer_failed(self, leg: Leg, turn: Turn) -> None:
        """Undo what the peer of this leg would not have."""
        partner = self.partner(leg)
        if leg is self._asked_to_follow and partner is not None:
            self._asked_to_follow = None
            turn.commands.append(
                Reoffer(partner.invite.leg, partner.parked, codec_of=leg.invite.leg)
            )
        elif leg.parked:
            leg.park(False, turn)
            self._silence(False, turn)

    def begin_transfer(self, turn: Turn) -> Transfer:
        """Take the two apart; the one that is transferred is near from now on."""
        transfer = self._transferring()
        self.part(self.near, turn)
        self.near, self.far = transfer.transferee, transfer.transferor
        self._bridge = Bridge()
        return transfer

    def target_rings(self, turn: Turn) -> None:
        """Tell the transferor that the target rings, the first time."""
        transfer = self._transferring()
        if not transfer.rang:
            transfer.rang = True
            transfer.tell(180, "Ringing", turn)

    def complete_transfer(self, target: Leg, cause: str, turn: Turn) -> None:
        """Join the target with the transferee; the transferor is told and leaves with `cause`."""
        transfer = self._transferring()
        details = {"Target-Call-ID": target.invite.call_id}
        self.near.announce("CHANNEL_TRANSFEREE", turn, details)
        plan = self.near.plan
        target.other = OtherLeg(
            self.near.invite.call_id, plan.endpoint.user or plan.callee_id.number, plan.caller_id
        )
        self.connect(target, turn)
        transfer.tell(200, "OK", turn)
        if transfer.transferor is not None:
            transfer.transferor.hang_up(cause, Party.LOCAL, turn)
        self.transfer = None

    def abandon_transfer(self, ending: Ending, turn: Turn) -> None:
        """Say that the target was not reached, and join the two again."""
        transfer = self._transferring()
        self.part(self.near, turn)
        self.refuse_transfer(ending, turn)
        if transfer.transferor is not None:
            self._bridge = Bridge()
            self.connect(transfer.transferor, turn)

    def refuse_transfer(self, ending: Ending, turn: Turn) -> None:
        """Say that the target was not reached."""
        refused = ending.sip_status if ending.sip_status >= 300 else status_of_cause(ending.cause)
        self._transferring().tell(refused, ending.cause, turn)
        self.transfer = None

    def lose_transferor(self) -> None:
        """Go on with the transfer, though the one that asked for it has left."""
        self._transferring().transferor = None
        self.far = None

    def _transferring(self) -> Transfer:
        if self.transfer is None:
            raise MachineError("talk", "-", "transfer", (), "no transfer was asked for", "")
        return self.transfer

    def _follow(self, leg: Leg, turn: Turn) -> None:
        partner = self.partner(leg)
        if partner is None or not leg.codec or not partner.codec:
            return
        if partner.codec.upper() == leg.codec.upper():
            return
        self._asked_to_follow = partner
        turn.commands.append(Reoffer(partner.invite.leg, partner.parked, codec_of=leg.invite.leg))

    def _silence(self, on: bool, turn: Turn) -> None:
        """Stop relaying, or begin again when neither is on hold."""
        if self._heard is None or (not on and (self.near.parked or self._heard.parked)):
            return
        pair = (self.near.invite.leg, self._heard.invite.leg)
        turn.commands.append(Split(*pair) if on else Join(*pair))
