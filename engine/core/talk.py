"""Two legs that talk, or are about to: their bridge, hold, and what they send each other.

Theory. The near leg has answered; the far one is heard from its first early media on and is joined
when it answers. While nobody is heard, the near leg is played ringback. Both shall use one codec,
for then their packets are relayed undecoded: when one side agrees with us on another, the other
side is offered that one if it takes it. Should there be none, the media plane transcodes; where
that is not wanted, the other side is offered it all the same, and should it refuse, the first is
asked to come back. A leg that we put on hold is offered to listen only, and hears nobody but hold
music.

Where bypass is wanted the media of two that talk go past the engine (`engine.core.bypass`) until
something needs them here.

A transfer takes the two apart. The one that is transferred is the near one from then on, and hears
the target's early media; when the target answers it takes the place of the one that asked, who is
told and released. A transfer that fails joins the two again, or leaves the near one alone when the
other has left meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.bridge import Bridge
from engine.core.bypass import Bypass, takes, wants_bypass
from engine.core.causes import Ending, status_of_cause
from engine.core.commands import Command, Join, Reoffer, Split
from engine.core.leg import Leg
from engine.core.leg_plan import OtherLeg
from engine.core.machine import MachineError
from engine.core.sounds import Sound
from engine.core.transfer import Transfer
from engine.core.turn import Turn
from engine.core.values import Party


class Talk:
    """The near and the far leg of an originate."""

    __slots__ = (
        "_asked_to_follow",
        "_bridge",
        "_bypass",
        "_bypass_ends",
        "_heard",
        "far",
        "near",
        "transfer",
    )

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
        self._bypass: Bypass | None = None
        """Of the near and the far leg, or still of two that talked before."""
        self._bypass_ends = False
        """Something has brought the media back for good."""

    def wait(self, turn: Turn) -> None:
        """Let the near leg hear that somebody rings, unless it hears somebody."""
        if self._heard is None:
            self.near.sounds.play(Sound.RINGBACK, turn.settings.ringback, turn, repeat=True)

    def hear(self, leg: Leg, turn: Turn) -> None:
        """Let the near leg hear another's early media, unless it hears somebody's."""
        if self._heard is None:
            self._heard = leg
            self.near.sounds.stop(turn, Sound.RINGBACK)
            self._bridge.hear(self.near, leg, turn)

    def connect(self, far: Leg, turn: Turn) -> None:
        """Join the two, for both have answered."""
        self.far = self._heard = far
        self.near.sounds.stop(turn, Sound.RINGBACK)
        self._bridge.connect(self.near, far, turn)
        self._follow(self.near, turn)
        self._shift(turn)

    def part(self, leg: Leg, turn: Turn) -> None:
        """Take the two apart if this leg is joined."""
        heard = self._heard
        if heard is not None and leg in (self.near, heard):
            self._heard = None
            self._bridge.part(self.near, heard, turn)

    def close(self) -> None:
        """Ask nobody for anything any more: the call is being released."""
        self._bypass, self._bypass_ends = None, True

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
        bypass = self._bypass
        if bypass is None or bypass.idle:
            leg.hold(on, turn)
        else:
            told = bypass.will_ask(leg)
            leg.park(on, turn)
            bypass.pull_back(turn)
            if not told:
                turn.commands.append(Reoffer(leg.invite.leg, on))
        self._silence(on, turn)
        self._hold_music(leg, on, turn)

    def renegotiated(self, leg: Leg, was_held: bool, turn: Turn, *, by_us: bool) -> None:
        """Have the other leg follow what this one agreed on."""
        partner = self.partner(leg)
        if partner is not None and leg.held is not was_held:
            self._hold_music(partner, leg.held, turn)
        bypass = self._bypass
        if bypass is not None and bypass.renegotiated(leg, turn, by_us=by_us):
            self._shift(turn)
            return
        if leg is self._asked_to_follow:
            self._asked_to_follow = None
        else:
            self._follow(leg, turn)
        self._shift(turn)

    def reoffer_failed(self, leg: Leg, reason: str, turn: Turn) -> None:
        """Undo what the peer of this leg would not have."""
        if self._bypass is not None and self._bypass.refused(leg, reason, turn):
            self._shift(turn)
            return
        partner = self.partner(leg)
        if leg is self._asked_to_follow and partner is not None:
            self._asked_to_follow = None
            turn.commands.append(
                Reoffer(partner.invite.leg, partner.parked, codec_of=leg.invite.leg)
            )
        elif leg.parked:
            leg.park(False, turn)
            self._silence(False, turn)
            self._hold_music(leg, False, turn)

    def bring_media(self, then: Sequence[Command], turn: Turn) -> None:
        """Have the media go through the engine from now on, and then do this."""
        self._bypass_ends = True
        if self._bypass is None:
            turn.commands.extend(then)
        else:
            self._bypass.pull_back(turn, then)

    def keep(self, leg: Leg, turn: Turn) -> Leg | None:
        """Take the two apart: this leg stays and is the near one; return the other, if any."""
        partner = self.partner(leg)
        self.leave_bypass(turn)
        self.part(self.near, turn)
        leg.sounds.stop(turn, Sound.RINGBACK)
        if leg.parked:
            # It was on hold for the sake of who has left.
            leg.hold(False, turn)
        if partner is not None:
            self._lose(partner, turn)
        self._bridge = Bridge()
        self._asked_to_follow = None
        self.near, self.far = leg, None
        return partner

    def begin_transfer(self, turn: Turn) -> Transfer:
        """Take the two apart; the one that is transferred is near from now on."""
        transfer = self._transferring()
        self.leave_bypass(turn)
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
            self._lose(transfer.transferor, turn)
            transfer.transferor.hang_up(cause, Party.LOCAL, turn)
        self.transfer = None
        self._shift(turn)

    def abandon_transfer(self, ending: Ending, turn: Turn) -> None:
        """Say that the target was not reached, and join the two again."""
        transfer = self._transferring()
        self.part(self.near, turn)
        self.refuse_transfer(ending, turn)
        if transfer.transferor is not None:
            self._bridge = Bridge()
            if self._bypass is not None and not self._bypass.idle:
                self._bypass.joined = True
            self.connect(transfer.transferor, turn)

    def refuse_transfer(self, ending: Ending, turn: Turn) -> None:
        """Say that the target was not reached."""
        refused = ending.sip_status if ending.sip_status >= 300 else status_of_cause(ending.cause)
        self._transferring().tell(refused, ending.cause, turn)
        self.transfer = None

    def lose_transferor(self, turn: Turn) -> None:
        """Go on with the transfer, though the one that asked for it has left."""
        transfer = self._transferring()
        if transfer.transferor is not None:
            self._lose(transfer.transferor, turn)
        transfer.transferor = None
        self.far = None

    def leave_bypass(self, turn: Turn) -> None:
        """Bring the media of the two back, for they part."""
        if self._bypass is not None:
            self._bypass.joined = False
            self._bypass.pull_back(turn)

    def _transferring(self) -> Transfer:
        if self.transfer is None:
            raise MachineError("talk", "-", "transfer", (), "no transfer was asked for", "")
        return self.transfer

    def give_away(self, leg: Leg, partner: Leg, turn: Turn) -> None:
        """Part this leg from its partner, who leaves for another call."""
        self.part(leg, turn)
        if self._bypass is not None:
            self._bypass.let_go(partner, turn)

    def _lose(self, leg: Leg, turn: Turn) -> None:
        if self._bypass is not None:
            self._bypass.lose(leg, turn)

    def _shift(self, turn: Turn) -> None:
        """Send the media past the engine when that is wanted and nothing stands against it now."""
        near, far, old = self.near, self.far, self._bypass
        if far is None or self.transfer is not None or self._bypass_ends:
            return
        if not wants_bypass(near, far) or near.parked or far.parked or near.held or far.held:
            return
        if old is not None and not old.idle:
            return
        if old is None or not old.of(near, far):
            self._bypass = Bypass(near, far)
        elif old.failure:
            return
        if self._asked_to_follow is None and self._bypass is not None:
            self._bypass.start(turn)

    def _hold_music(self, leg: Leg, on: bool, turn: Turn) -> None:
        if on:
            leg.sounds.play(Sound.HOLD_MUSIC, turn.settings.hold_music, turn, repeat=True)
        else:
            leg.sounds.stop(turn, Sound.HOLD_MUSIC)

    def _follow(self, leg: Leg, turn: Turn) -> None:
        partner = self.partner(leg)
        if partner is None or not leg.codec or not partner.codec:
            return
        if partner.codec.upper() == leg.codec.upper():
            return
        if turn.settings.transcoding and not takes(partner.media, leg.codec):
            return
        self._asked_to_follow = partner
        turn.commands.append(Reoffer(partner.invite.leg, partner.parked, codec_of=leg.invite.leg))

    def _silence(self, on: bool, turn: Turn) -> None:
        """Stop relaying, or begin again when neither is on hold."""
        if self._heard is None or (not on and (self.near.parked or self._heard.parked)):
            return
        pair = (self.near.invite.leg, self._heard.invite.leg)
        turn.commands.append(Split(*pair) if on else Join(*pair))
