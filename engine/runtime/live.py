"""The calls that are not over: found by any of their ids, and what can be done to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from engine.control.request_bounds import number_text
from engine.core.control import CallControl, Effects
from engine.core.digits import check_digits
from engine.core.errors import Conflict, NotFound, WrongState
from engine.core.values import BridgeOrder, LegId, LegSnapshot, OriginateId
from engine.runtime.calls import Call
from engine.runtime.clock import Clock
from engine.runtime.driver import Driver
from engine.runtime.media_files import MediaFiles
from engine.runtime.resolve import Resolver


class LiveCalls:
    """What can be done to accepted requests until their terminal event."""

    def __init__(
        self,
        control: CallControl,
        driver: Driver,
        calls: Mapping[OriginateId, Call],
        clock: Clock,
        files: MediaFiles,
        resolver: Resolver,
    ) -> None:
        """Take call control, what carries out its effects, the accepted requests and the rest."""
        self._resolver = resolver
        self._files = files
        self._control = control
        self._driver = driver
        self._calls = calls
        self._clock = clock

    def check_free(self, originate_id: OriginateId, call_ids: Iterable[str]) -> None:
        """Raise `Conflict` when a live call has this request id or a Call-ID for one of its own.

        Both name the call to be from now on, so neither may name another one. Of that other one
        nothing is told: it may be somebody else's.
        """
        chosen = [("request_id", str(originate_id)), *(("call_id", name) for name in call_ids)]
        for field, name in chosen:
            if name and (name in self._calls or self._control.originate_of(name) is not None):
                raise Conflict(field, name, "a call that is not over")

    def find(self, name: str | LegId, account_id: str | None) -> Call:
        """Return the call of an id, as `Engine.call`."""
        owner = self._control.originate_of(name)
        if owner is None and isinstance(name, str):
            owner = OriginateId(name)
        found = self._calls.get(owner) if owner is not None else None
        if found is None or account_id not in (None, found.request.account_id):
            raise NotFound("channel", str(name))
        return found

    def channel(self, call_id: str) -> LegSnapshot:
        """Return the live leg of a Call-ID, as `Engine.channel`."""
        found = self._control.snapshot(call_id)
        if found is None:
            raise NotFound("channel", call_id)
        return found

    def channel_ids(
        self, account_id: str | None, wanted: Callable[[Mapping[str, object]], bool] | None
    ) -> list[str]:
        """Return the Call-IDs of live legs, as `Engine.channel_ids`."""
        return self._control.channel_ids(account_id, wanted)

    def requests(self, account_id: str | None) -> tuple[Call, ...]:
        """Return the calls of an account, as `Engine.requests`."""
        everyone = self._calls.values()
        return tuple(c for c in everyone if account_id in (None, c.request.account_id))

    def end(self, originate_id: OriginateId) -> None:
        """End a call; one that is over stays so."""
        if originate_id in self._calls:
            now = self._clock.now()
            self._carry_out(self._control.hang_up(originate_id, now), now)

    def hold(self, name: str | LegId, account_id: str | None, *, on: bool) -> None:
        """Put a channel on hold or talk to it again, as `Engine.hold`."""
        channel, now = self._channel(name, account_id), self._clock.now()
        self._carry_out(self._control.hold(channel, now, on=on), now)

    def transfer(self, name: str | LegId, number: str, account_id: str | None) -> None:
        """Connect a channel to a number, as `Engine.transfer`."""
        number_text("target", number)
        channel, now = self._channel(name, account_id), self._clock.now()
        self._carry_out(self._control.transfer(channel, number, now), now)

    def park(self, name: str | LegId, account_id: str | None) -> None:
        """Let a channel wait for orders, as `Engine.park`."""
        channel, now = self._channel(name, account_id), self._clock.now()
        self._carry_out(self._control.park(channel, now), now)

    def bridge(self, name: str | LegId, order: BridgeOrder, account_id: str | None) -> None:
        """Connect a channel to endpoints, as `Engine.bridge`."""
        if order.number:
            number_text("number", order.number)
        channel, now = self._channel(name, account_id), self._clock.now()
        order = replace(order, endpoints=self._resolver.reached(order.endpoints, now))
        self._carry_out(self._control.bridge(channel, order, now), now)

    def intercept(self, name: str | LegId, other: str, account_id: str | None) -> None:
        """Connect a channel to another one, as `Engine.intercept`."""
        owner = self.find(name, account_id).request.account_id
        channel, taken = self._channel(name, account_id), self._channel(other, owner)
        now = self._clock.now()
        self._carry_out(self._control.intercept(channel, taken, now), now)

    def send_digits(
        self, name: str | LegId, digits: str, duration_ms: int, account_id: str | None
    ) -> None:
        """Send DTMF digits to the peer of a channel, as `Engine.send_digits`."""
        check_digits(digits, duration_ms)
        channel, now = self._channel(name, account_id), self._clock.now()
        self._carry_out(self._control.send_digits(channel, digits, now, duration_ms), now)

    def play(
        self, name: str | LegId, sound: object, account_id: str | None, *, repeat: bool
    ) -> None:
        """Play a sound to a channel, as `Engine.play`."""
        channel, now = self._channel(name, account_id), self._clock.now()
        what = self._files.sound(sound)
        self._carry_out(self._control.play(channel, what, now, repeat=repeat), now)

    def stop_playing(self, name: str | LegId, account_id: str | None) -> None:
        """Stop what is played to a channel, as `Engine.stop_playing`."""
        channel, now = self._channel(name, account_id), self._clock.now()
        self._carry_out(self._control.stop_playing(channel, now), now)

    def record(
        self, name: str | LegId, account_id: str | None, media_name: object, max_s: float
    ) -> str:
        """Record a channel, as `Engine.record`."""
        channel, now = self._channel(name, account_id), self._clock.now()
        owner = self.find(name, account_id).request.account_id
        path = str(self._files.recording(owner, media_name))
        self._carry_out(self._control.record(channel, path, now, max_s=max_s), now)
        return path

    def stop_recording(self, name: str | LegId, account_id: str | None) -> None:
        """Stop the recording of a channel, as `Engine.stop_recording`."""
        channel, now = self._channel(name, account_id), self._clock.now()
        self._carry_out(self._control.stop_recording(channel, now), now)

    def _channel(self, name: str | LegId, account_id: str | None) -> str:
        """Return the Call-ID of the leg that is meant: of a request id, the one that answered."""
        call = self.find(name, account_id)
        legs = {leg.call_id: leg.leg for leg in self._control.legs_of(call.originate_id)}
        wanted = call.winner if name == call.originate_id and name not in legs else name
        for call_id, leg in legs.items():
            if wanted in (call_id, leg):
                return call_id
        raise WrongState(f"call {name}", "without this channel", "a channel that lives")

    def _carry_out(self, effects: Effects, now: float) -> None:
        self._driver.carry_out(effects, now)
