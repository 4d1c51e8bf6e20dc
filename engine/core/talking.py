"""An originate whose legs talk: hold, and transfers of either leg.

Theory. Two legs that talk are the near and the far one. A transfer takes them apart, dials its
target for the one that is transferred, the near one from then on, and puts the target in the place
of the one that asked when it answers; should it fail, the two are joined again, or the call ends
when the one that asked has left. An attended transfer between two calls of this engine hands a leg
from one originate to the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from engine.core.attempts import RESOURCE
from engine.core.causes import Ending, ending_by_us
from engine.core.commands import Play, Record, ResolveDestination, TransferProgress
from engine.core.errors import WrongState
from engine.core.events import TransferRequested
from engine.core.leg import Leg
from engine.core.leg_maker import LegMaker
from engine.core.leg_plans import Subject
from engine.core.machine import MachineError
from engine.core.originate_table import OriginateInput, OriginateState
from engine.core.questions import question
from engine.core.ringing import Ringing
from engine.core.talk import Talk
from engine.core.transfer import Transfer, transfer_number
from engine.core.turn import Turn
from engine.core.values import LegId, LegState, Party

_S, _I = OriginateState, OriginateInput
_NOT_TALKING = "answered, and talking to another leg"


class Talking(ABC):
    """The part of an originate that begins when its A-leg has answered."""

    __slots__ = ("_maker", "_ringing", "_talk", "_talk_until", "state", "subject")

    def __init__(self, subject: Subject, maker: LegMaker) -> None:
        """Begin before anybody talks."""
        self.subject = subject
        self.state = OriginateState.NEW
        self._maker = maker
        self._ringing: Ringing
        """The side that is rung, or was last."""
        self._talk: Talk | None = None
        self._talk_until: float | None = None

    def __str__(self) -> str:
        """Return how errors name this originate."""
        return f"originate {self.subject.id}"

    @property
    def legs(self) -> dict[LegId, Leg]:
        """Legs that wait or live, those being released too."""
        return self._maker.legs

    @abstractmethod
    def _feed(self, given: OriginateInput, what: Leg | Ending | None, turn: Turn) -> None: ...

    @abstractmethod
    def dial_next(self, what: Leg | Ending | None, turn: Turn) -> None:
        """Action: dial the next group of the hunt that can be dialled."""

    # --- inputs ---

    def hold(self, leg: Leg, on: bool, turn: Turn) -> None:
        """Put the peer of a leg on hold, or talk to it again. Raises `WrongState`."""
        self._partner(leg)
        self._talking().hold(leg, on, turn)

    def play(self, leg: Leg, sound: str, turn: Turn, *, repeat: bool) -> None:
        """Play a sound to an answered leg. Raises `WrongState`."""
        self._with_media(leg, leg.sounds.order(sound, repeat=repeat), turn)

    def record(self, leg: Leg, path: str, max_s: float, turn: Turn) -> None:
        """Record an answered leg. Raises `WrongState`, also when it is recorded."""
        self._check_answered(leg)
        if leg.sounds.recording:
            raise WrongState(str(leg), "recorded", "not recorded")
        self._with_media(leg, leg.sounds.record(path, max_s, turn, leg.announce), turn)

    def _with_media(self, leg: Leg, order: Play | Record, turn: Turn) -> None:
        self._check_answered(leg)
        if self._talk is None:
            turn.commands.append(order)
        else:
            self._talk.bring_media((order,), turn)

    def _check_answered(self, leg: Leg) -> None:
        if leg.state is not LegState.ANSWERED:
            raise WrongState(str(leg), leg.state, "answered")

    def transfer(self, leg: Leg, number: str, turn: Turn) -> None:
        """Connect a leg to a number; the one it talks to leaves when that answers.

        Raises `WrongState` when it talks to nobody, or a transfer is under way.
        """
        partner = self._partner(leg)
        subject = self.subject
        asked = ResolveDestination(subject.id, subject.request, number, leg.invite.leg)
        self._begin_transfer(Transfer(partner, leg, by_refer=False), asked, turn)

    def refer(self, leg: Leg, event: TransferRequested, turn: Turn) -> None:
        """Act on a REFER: the partner of its sender is connected to the number it names.

        Only devices may transfer, for it is on the account's bill. Who may not, or cannot now, is
        told so.
        """
        number = transfer_number(event.refer_to)
        if not number or not self.may_transfer(leg):
            turn.commands.append(TransferProgress(leg.invite.leg, 603, "Decline"))
            return
        transfer = Transfer(
            leg, self._partner(leg), True, replaces=event.replaces, referred_by=event.referred_by
        )
        self._begin_transfer(transfer, question(self.subject.id, leg, number), turn)

    def give_away(self, leg: Leg, turn: Turn, cause: str = "ATTENDED_TRANSFER") -> Leg:
        """End, but for the one this leg talks to, who is returned and is no leg of this call now.

        Raises `WrongState` when it talks to nobody.
        """
        partner = self._partner(leg)
        self._talking().give_away(leg, partner, turn)
        self._maker.let_go(partner)
        leg.announce("CHANNEL_REPLACED", turn, {"Replaced-By": partner.invite.call_id})
        self._feed(_I.GIVE_AWAY, ending_by_us(cause, Party.LOCAL), turn)
        return partner

    def take_over(self, transferor: Leg, taken: Leg, turn: Turn) -> None:
        """Put a leg of another call in the place of one that transferred its partner to it.

        Raises `WrongState` when it talks to nobody.
        """
        talk = self._talking()
        talk.transfer = Transfer(transferor, self._partner(transferor), by_refer=True)
        self._maker.adopt(taken, turn)
        details = {"Transfer-Type": "attended", "Transfer-To": taken.plan.callee_id.number}
        transferor.announce("CHANNEL_TRANSFEROR", turn, details)
        self._feed(_I.TAKE_OVER, taken, turn)

    def talks(self, leg: Leg) -> bool:
        """Return whether this leg talks to another."""
        return self._talk is not None and self._talk.partner(leg) is not None

    def may_transfer(self, leg: Leg) -> bool:
        """Return whether this leg talks and may transfer who it talks to."""
        return self.may_be_joined and self.talks(leg) and leg.plan.endpoint.kind != RESOURCE

    @property
    def may_be_joined(self) -> bool:
        """Whether two legs talk and no transfer is under way."""
        return self.state is _S.TALKING and self._talking().transfer is None

    # --- actions of transfers ---

    def dial_transfer(self, _what: None, turn: Turn) -> None:
        """Action: take the two apart and dial the target for the one that is transferred."""
        transfer = self._talking().begin_transfer(turn)
        self._maker.rung, self._maker.transfer = transfer.transferor, transfer
        self.dial_next(None, turn)

    def complete_transfer(self, leg: Leg, turn: Turn) -> None:
        """Action: the target answered; it takes the place of the transferor."""
        self._arm_talk(turn)
        self._drop_rivals(leg, turn)
        self._talking().complete_transfer(leg, "BLIND_TRANSFER", turn)

    def take_over_leg(self, taken: Leg, turn: Turn) -> None:
        """Action: join the partner of the transferor with the leg of another call."""
        self._talking().begin_transfer(turn)
        self._talking().complete_transfer(taken, "ATTENDED_TRANSFER", turn)

    def abandon_transfer(self, ending: Ending, turn: Turn) -> None:
        """Action: nobody answered at the target; the two are joined again."""
        self._drop_rivals(None, turn)
        self._talking().abandon_transfer(ending, turn)
        self._arm_talk(turn)

    def go_on_without_transferor(self, _what: None, turn: Turn) -> None:
        """Action: the one that asked for the transfer has hung up; the target goes on ringing."""
        self._talking().lose_transferor(turn)

    # --- parts ---

    def _talking(self) -> Talk:
        if self._talk is None:
            raise MachineError(str(self), self.state, "talk", (), "no A leg won", "see the table")
        return self._talk

    def _partner(self, leg: Leg) -> Leg:
        partner = self._talk.partner(leg) if self._talk is not None else None
        if partner is None or not self.may_be_joined:
            raise WrongState(str(leg), leg.state, _NOT_TALKING)
        return partner

    def _begin_transfer(self, transfer: Transfer, asked: ResolveDestination, turn: Turn) -> None:
        self._talking().transfer = transfer
        details = {"Transfer-Type": transfer.kind, "Transfer-To": asked.number}
        if transfer.transferor is not None:
            transfer.transferor.announce("CHANNEL_TRANSFEROR", turn, details)
        turn.commands.append(asked)

    def _begin_talk(self, turn: Turn) -> None:
        """Count the time that the two may talk from now."""
        longest = self.subject.request.max_duration or turn.settings.max_call_s
        self._talk_until = turn.now + longest if longest else None
        self._arm_talk(turn)

    def _arm_talk(self, turn: Turn) -> None:
        if self._talk_until is None:
            turn.deadlines.clear((self.subject.id, None))
        else:
            turn.deadlines.set((self.subject.id, None), self._talk_until)

    def _drop_rivals(self, winner: Leg | None, turn: Turn) -> None:
        name = "LOSE_RACE" if winner is not None else "ORIGINATOR_CANCEL"
        for leg in self._ringing.rivals(winner):
            self._give_up(leg, name, Party.LOCAL, turn)

    def _give_up(self, leg: Leg, name: str, party: Party, turn: Turn, reason: str = "") -> None:
        leg.hang_up(name, party, turn, reason)
        if leg.dialed_at is None and leg.invite.leg in self.legs:
            self._maker.strike_out(leg)
