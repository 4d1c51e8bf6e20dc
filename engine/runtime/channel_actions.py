"""What a program may do to the calls of an engine that are not over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.core.digits import USUAL_MS
from engine.core.values import BridgeOrder, LegId, LegSnapshot
from engine.runtime.calls import Call
from engine.runtime.live import LiveCalls


class ChannelActions:
    """The part of an engine that acts on calls and their channels."""

    _live: LiveCalls

    def call(self, name: str | LegId, account_id: str | None = None) -> Call:
        """Return the call that has this id and is not over, in whatever state it is.

        `name` is a Call-ID (also of an INVITE that is still to be sent, or whose leg has gone), a
        request id, or the id of a leg that lives. `account_id`: only a call of this account. Raises
        `NotFound`.
        """
        return self._live.find(name, account_id)

    def channel(self, call_id: str) -> LegSnapshot:
        """Return the live leg of a Call-ID. Raises `NotFound`."""
        return self._live.channel(call_id)

    def channel_ids(
        self,
        account_id: str | None = None,
        wanted: Callable[[Mapping[str, object]], bool] | None = None,
    ) -> list[str]:
        """Return the Call-IDs of the live legs of an account, of all when it is None.

        `wanted` is asked with the channel variables of each.
        """
        return self._live.channel_ids(account_id, wanted)

    def requests(self, account_id: str | None = None) -> tuple[Call, ...]:
        """Return the requests of an account that are not over, of all when it is None."""
        return self._live.requests(account_id)

    def hangup(self, name: str | LegId, account_id: str | None = None) -> None:
        """End the call that has this id: ringing, waiting for its turn, talking, whatever it does.

        Ids as of `call`. Returns at once; hanging up what is ending already has no effect. Raises
        `NotFound` for what is not there, or is over.
        """
        self.call(name, account_id).hang_up()

    def hold(self, name: str | LegId, account_id: str | None = None, *, on: bool = True) -> None:
        """Put a channel on hold by re-INVITE, or talk to it again (`on` False). Idempotent.

        Ids as of `call`; that of a request is the channel that answered. Raises `NotFound`, and
        `WrongState` for a channel that talks to nobody.
        """
        self._live.hold(name, account_id, on=on)

    def transfer(self, name: str | LegId, number: str, account_id: str | None = None) -> None:
        """Connect a channel to a number; the one it talks to leaves when that answers.

        The number goes through the dial plan; when nobody answers there, the two are connected
        again. Ids as of `hold`. Raises `NotFound`, `RequestInvalid` for the number (`target`), and
        `WrongState` for a channel that talks to nobody, or is transferred already.
        """
        self._live.transfer(name, number, account_id)

    def park(self, name: str | LegId, account_id: str | None = None) -> None:
        """Let an answered channel wait for orders; the one it talks to leaves. Idempotent.

        It waits for `max_call_s` at most. Ids as of `hold`. Raises `NotFound`, and `WrongState`
        before the answer and during a transfer.
        """
        self._live.park(name, account_id)

    def bridge(self, name: str | LegId, order: BridgeOrder, account_id: str | None = None) -> None:
        """Connect an answered channel to endpoints; the one it talks to leaves first.

        CHANNEL_EXECUTE_COMPLETE of the channel, with the Application-Name `bridge`, tells how it
        went: SUCCESS when the two have talked, else the cause. Ids as of `hold`. Raises `NotFound`,
        `RequestInvalid` for the number, and `WrongState` as `park`.
        """
        self._live.bridge(name, order, account_id)

    def intercept(self, name: str | LegId, other: str, account_id: str | None = None) -> None:
        """Connect an answered channel to one of another call, whose partner leaves.

        Both are of one account. Ids as of `hold`. Raises `NotFound`, and `WrongState` as `park`, or
        when `other` neither talks nor waits for orders.
        """
        self._live.intercept(name, other, account_id)

    def play(
        self,
        name: str | LegId,
        sound: object,
        account_id: str | None = None,
        *,
        repeat: bool = False,
    ) -> None:
        """Play a sound to a channel instead of what it hears, once or until it is stopped.

        `sound` is named as docs/sounds.md says; ids as of `hold`. Its end is told by an event.
        Raises `NotFound`, `RequestInvalid` for the sound, and `WrongState` for a channel that is
        not answered.
        """
        self._live.play(name, sound, account_id, repeat=repeat)

    def stop_playing(self, name: str | LegId, account_id: str | None = None) -> None:
        """Stop what is played to a channel; nothing when nothing is. Raises `NotFound`."""
        self._live.stop_playing(name, account_id)

    def record(
        self,
        name: str | LegId,
        account_id: str | None = None,
        *,
        media_name: object = None,
        max_s: float = 0.0,
    ) -> str:
        """Record what a channel says (left) and hears (right) to a stereo WAV; return its path.

        It lies below `recordings_dir`, in the folder of the account; `media_name` None chooses a
        name. Ends after `max_s` seconds, when the channel does, or is stopped. Ids as of `hold`.
        Raises `NotFound`, `RequestInvalid` and `Conflict` for the name, and `WrongState` for a
        channel that is not answered or is recorded already.
        """
        return self._live.record(name, account_id, media_name, max_s)

    def stop_recording(self, name: str | LegId, account_id: str | None = None) -> None:
        """Stop recording a channel; nothing when it is not recorded. Raises `NotFound`."""
        self._live.stop_recording(name, account_id)

    def send_digits(
        self,
        name: str | LegId,
        digits: str,
        account_id: str | None = None,
        *,
        duration_ms: int = USUAL_MS,
    ) -> None:
        """Send DTMF digits to the peer of a channel that has answered, by its endpoint's method.

        1 to 64 of `0`-`9`, `*`, `#`, `A`-`D`; `duration_ms` of each: 40 to 2000. They follow those
        that are still being sent. Ids as of `hold`. Raises `NotFound`, `RequestInvalid` for
        `digits` and `duration`, and `WrongState` before the answer.
        """
        self._live.send_digits(name, digits, duration_ms, account_id)
