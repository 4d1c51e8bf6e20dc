"""The scripted engine with real call control: it rings loopback phones and tells what happens."""

from __future__ import annotations

from itertools import count

from engine.control.kazoo import cdr, channel_event, quickcall_end
from engine.core.commands import Command, ResolveDestination
from engine.core.control import CallControl
from engine.core.events import (
    ChannelNotice,
    DestinationResolved,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegRang,
    Notice,
    OriginateDecided,
)
from engine.core.settings import CallSettings
from engine.core.turn import Effects
from engine.core.values import Contact, LegSnapshot, OriginateId, OriginateRequest
from engine.sip.loopback import LoopbackSip
from engine.store.directory import Directory
from engine.store.journal import Journal
from engine.store.location import Location
from tests.control.engine import Handle, ScriptedEngine
from tests.control.samples import endpoint

PHONE = "sip:alice@192.0.2.1"
"""Contact of the device."""

CARRIER = "sip:192.0.2.9"
"""Where every dialled number goes."""

START = 1443672756.0


class LoopbackEngine(ScriptedEngine):
    """Rings `PHONE` for a device; a second passes with every step."""

    def __init__(self, directory: Directory, location: Location, journal: Journal) -> None:
        super().__init__(directory, location, journal)
        self.sip = LoopbackSip()
        call_ids = count(1)
        settings = CallSettings("192.0.2.254")
        self.control = CallControl(settings, lambda: f"{next(call_ids):036x}-quickcall")
        self.by_id: dict[OriginateId, Handle] = {}
        self._now = START

    def start(self, request: OriginateRequest) -> Handle:
        """Ring the device."""
        device = self.directory.device(request.account_id, request.endpoint_id)
        rung = endpoint(
            id=device.id,
            user=device.sip.username,
            contacts=() if device.sip.username == "nobody" else (Contact(PHONE),),
        )
        filtered = self.check_number_filter(request.number_filter, request.number)
        number = filtered.number
        originate_id = OriginateId(request.request_id)
        handle = Handle(originate_id, request, number, filtered.note or "", (rung,), ())
        handle.end = lambda: self._hang_up(originate_id)
        self.handles.append(handle)
        self.by_id[originate_id] = handle
        effects = self.control.originate(
            originate_id, request, number, (rung,), "63610891956-0a1b2c3d", self._tick()
        )
        handle.planned = self.control.planned(originate_id)
        self._apply(effects)
        self.run()
        self.started.set()
        return handle

    def _hang_up(self, originate_id: OriginateId) -> None:
        self._apply(self.control.hang_up(originate_id, self._tick()))
        self.run()

    def legs_of(self, originate_id: OriginateId) -> tuple[LegSnapshot, ...]:
        """Return the live legs of a call."""
        return self.control.legs_of(originate_id)

    def channels(self, account_id: str | None) -> tuple[LegSnapshot, ...]:
        """Return the live legs."""
        return self.control.snapshots(account_id)

    def run(self) -> None:
        """Feed what the stack reports to call control until it has no more to say."""
        while events := self.sip.drain():
            for event in events:
                assert isinstance(
                    event, LegDialed | LegRang | LegGaveEarlyMedia | LegAnswered | LegEnded
                )
                self._apply(self.control.handle(event, self._tick()))

    def _apply(self, effects: Effects) -> None:
        for command in effects.commands:
            self._carry_out(command)
        for notice in effects.notices:
            self._tell(notice)

    def _carry_out(self, command: Command) -> None:
        if not isinstance(command, ResolveDestination):
            self.sip.submit([command])
            return
        carrier = endpoint(
            id="c" * 32, kind="resource", user="", realm="", contacts=(Contact(CARRIER),)
        )
        found = DestinationResolved(command.originate_id, command.number, (carrier,), "everything")
        self._apply(self.control.handle(found, self._tick()))

    def _tell(self, notice: Notice) -> None:
        if isinstance(notice, ChannelNotice):
            leg = notice.leg
            payload = channel_event(notice, self.switch)
            self.publish(leg.account_id, leg.call_id, notice.name, payload)
            if notice.name == "CHANNEL_DESTROY":
                record = cdr(leg, self.switch)
                self.journal.add_cdr(
                    leg.account_id, leg.call_id, leg.interaction_id, notice.at, record
                )
            return
        handle = self.by_id[notice.outcome.originate_id]
        if not handle.done.is_set():
            handle.result = notice.outcome
            handle.done.set()
        if not isinstance(notice, OriginateDecided):
            payload = quickcall_end(notice.outcome, handle.request, notice.at, self.switch)
            account_id = handle.request.account_id
            self.publish(account_id, notice.outcome.call_id, "QUICKCALL_END", payload)

    def _tick(self) -> float:
        self._now += 1.0
        return self._now
