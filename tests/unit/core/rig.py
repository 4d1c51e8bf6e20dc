"""What the tests of call control share: endpoints, a request, and a rig that plays stack and
router."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from engine.core.commands import (
    Command,
    Dial,
    FreeMedia,
    HangUp,
    Join,
    Play,
    Record,
    Reoffer,
    ResolveDestination,
    Split,
    StopPlaying,
    TransferProgress,
)
from engine.core.control import CallControl, CallSettings, Effects
from engine.core.events import (
    ChannelNotice,
    DestinationResolved,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegRang,
    LegRenegotiated,
    LegReofferFailed,
    Notice,
    OriginateDecided,
    OriginateEnded,
    SipEvent,
)
from engine.core.media_values import LegMedia, MediaReport
from engine.core.values import (
    BridgeOrder,
    CallerId,
    Contact,
    Endpoint,
    EndpointType,
    LegId,
    OriginateId,
    OriginateRequest,
    Outcome,
    Party,
    Refusal,
)

START = 1_700_000_000.0
ORIGINATE = OriginateId("req-1")


def device(name: str, *contacts: str, **changes: object) -> Endpoint:
    """A device with a contact at each address."""
    endpoint = Endpoint(
        id=f"id-{name}",
        kind="device",
        contacts=tuple(Contact(f"sip:{name}@{address}") for address in contacts),
        user=name,
        realm="example.org",
        owner_id="owner-1",
        caller_id=CallerId(f"{name} name", f"{name}-number"),
    )
    return replace(endpoint, **changes)


def carrier(name: str, **changes: object) -> Endpoint:
    """A carrier with one gateway."""
    endpoint = Endpoint(
        id=name, kind="resource", contacts=(Contact(f"sip:{name}.example.net:5080"),)
    )
    return replace(endpoint, **changes)


def request(**changes: object) -> OriginateRequest:
    """A request to ring device `id-alice` and connect it to 2001."""
    base = OriginateRequest("acct", EndpointType.DEVICE, "id-alice", "2001")
    return replace(base, **changes)


def media(leg: int, port: int = 4000, **changes: object) -> LegMedia:
    """What the phone at the other end of a leg answers with."""
    formats = (("PCMU/8000", 0), ("PCMA/8000", 8), ("telephone-event/8000", 101))
    return replace(LegMedia(f"10.0.0.{leg}:{port}", f"10.0.0.{leg}", formats=formats), **changes)


class Rig:
    """Call control with a scripted stack: each method plays one event and keeps what came of it."""

    def __init__(self, **settings: object) -> None:
        self.now = START
        self.count = 0
        self.control = CallControl(
            CallSettings(host="198.51.100.1", **settings),  # type: ignore[arg-type]
            self._call_id,
        )
        self.commands: list[Command] = []
        self.notices: list[Notice] = []

    def _call_id(self) -> str:
        self.count += 1
        return f"call-{self.count}"

    def _keep(self, effects: Effects) -> Effects:
        self.commands += effects.commands
        self.notices += effects.notices
        return effects

    def originate(
        self,
        *endpoints: Endpoint,
        originate_id: str = ORIGINATE,
        filter_note: str = "",
        refusal: Refusal | None = None,
        **changes: object,
    ) -> Effects:
        asked = request(**changes)
        return self._keep(
            self.control.originate(
                OriginateId(originate_id),
                asked,
                asked.number,
                endpoints,
                "inter-1",
                self.now,
                CallerId("Owner", "owner-number"),
                filter_note=filter_note,
                refusal=refusal,
            )
        )

    def dialed(self, leg: int) -> Effects:
        return self._keep(
            self.control.handle(LegDialed(LegId(leg), f"tag-{leg}", "v=0 us"), self.now)
        )

    def rings(self, leg: int) -> Effects:
        return self._keep(self.control.handle(LegRang(LegId(leg), 180, "Ringing"), self.now))

    def early(self, leg: int) -> Effects:
        event = LegGaveEarlyMedia(LegId(leg), 183, "Session Progress", "PCMU/8000", "v=0 early")
        return self._keep(self.control.handle(event, self.now))

    def answers(self, leg: int, at: LegMedia | None = None) -> Effects:
        codec = next((name for name, _ in at.formats), "PCMU/8000") if at else "PCMU/8000"
        answer = (codec, f"to-{leg}", "phone/1", "v=0 them", at or media(leg))
        event = LegAnswered(LegId(leg), *answer)
        return self._keep(self.control.handle(event, self.now))

    def agrees(self, leg: int, at: LegMedia | None = None) -> Effects:
        """The peer takes our last offer."""
        event = LegRenegotiated(LegId(leg), False, "PCMU/8000", "v=0", at or media(leg), by_us=True)
        return self._keep(self.control.handle(event, self.now))

    def offers(self, leg: int, at: LegMedia | None = None, *, held: bool = False) -> Effects:
        """The peer offers something new by itself."""
        event = LegRenegotiated(LegId(leg), held, "PCMU/8000", "v=0", at or media(leg))
        return self._keep(self.control.handle(event, self.now))

    def refuses(self, leg: int, status: int = 488) -> Effects:
        """The peer will not have our last offer."""
        event = LegReofferFailed(LegId(leg), status, "Not Acceptable Here")
        return self._keep(self.control.handle(event, self.now))

    def ends(
        self,
        leg: int,
        status: int = 200,
        q850: int = 0,
        party: Party = Party.REMOTE,
        contacts: tuple[str, ...] = (),
        report: MediaReport | None = None,
    ) -> Effects:
        event = LegEnded(
            LegId(leg), status, "because", party, q850, contacts=contacts, report=report
        )
        return self._keep(self.control.handle(event, self.now))

    def takes(self, event: SipEvent) -> Effects:
        """Any other event."""
        return self._keep(self.control.handle(event, self.now))

    def resolves(
        self,
        *endpoints: Endpoint,
        refusal: Refusal | None = None,
        number: str = "2001",
        for_leg: int | None = None,
        originate_id: str = ORIGINATE,
        park: bool = False,
    ) -> Effects:
        leg = LegId(for_leg) if for_leg is not None else None
        event = DestinationResolved(
            OriginateId(originate_id), number, endpoints, "rule", refusal, leg, park
        )
        return self._keep(self.control.handle(event, self.now))

    def holds(self, leg: int, *, on: bool = True) -> Effects:
        return self._keep(self.control.hold(f"call-{leg}", self.now, on=on))

    def transfers(self, leg: int, number: str) -> Effects:
        return self._keep(self.control.transfer(f"call-{leg}", number, self.now))

    def parks(self, leg: int) -> Effects:
        return self._keep(self.control.park(f"call-{leg}", self.now))

    def bridges(self, leg: int, *endpoints: Endpoint, **order: Any) -> Effects:
        given = BridgeOrder(endpoints, **{"number": "3001", **order})
        return self._keep(self.control.bridge(f"call-{leg}", given, self.now))

    def intercepts(self, leg: int, other: int) -> Effects:
        return self._keep(self.control.intercept(f"call-{leg}", f"call-{other}", self.now))

    def hangs_up(self) -> Effects:
        return self._keep(self.control.hang_up(ORIGINATE, self.now))

    def closes(self) -> Effects:
        return self._keep(self.control.close(self.now))

    def waits(self, seconds: float) -> Effects:
        self.now += seconds
        effects = self._keep(self.control.expire(self.now))
        while (due := self.control.next_deadline()) is not None and due <= self.now:
            effects = self._keep(self.control.expire(self.now))
        return effects

    def rings_and_answers(self, **changes: Any) -> None:
        """Leg 1 (A) answers and the router is asked."""
        self.originate(device("alice", "10.0.0.1"), **changes)
        self.answers(1)

    def talks(self, **changes: Any) -> None:
        """Leg 1 (A) and leg 2 (B, device bob) are bridged."""
        self.rings_and_answers(**changes)
        self.resolves(device("bob", "10.0.0.2"))
        self.answers(2)

    # --- what came of it ---

    def names(self) -> list[str]:
        """Notices in short: `CREATE 1`, `answered`, `ended CAUSE`."""
        return [_name(notice) for notice in self.notices]

    def orders(self) -> list[str]:
        """Commands in short: `dial 1`, `hangup 2 REASON`."""
        return [_order(command) for command in self.commands]

    def dials(self) -> list[Dial]:
        return [command for command in self.commands if isinstance(command, Dial)]

    def hangups(self) -> dict[int, str]:
        return {c.leg: c.reason for c in self.commands if isinstance(c, HangUp)}

    def channel(self, name: str, leg: int) -> ChannelNotice:
        """The one notice of this name about this leg."""
        (found,) = (
            n
            for n in self.notices
            if isinstance(n, ChannelNotice) and n.leg.leg == leg and n.name == f"CHANNEL_{name}"
        )
        return found

    def destroyed(self, leg: int) -> tuple[str, int, int, Party | None]:
        """Cause, Q.850, SIP status and party of an ended leg."""
        ended = self.channel("DESTROY", leg).leg
        return ended.cause, ended.q850, ended.sip_status, ended.party

    def outcome(self) -> Outcome:
        """The outcome of the one terminal event."""
        (found,) = (n for n in self.notices if isinstance(n, OriginateEnded))
        return found.outcome

    def answered(self) -> Outcome:
        """The outcome of the one success event."""
        (found,) = (n for n in self.notices if isinstance(n, OriginateDecided))
        return found.outcome

    def is_empty(self) -> bool:
        control = self.control
        return (control.legs, control.originates, control.deadlines) == (0, 0, 0)


def _name(notice: Notice) -> str:
    if isinstance(notice, ChannelNotice):
        return f"{notice.name.removeprefix('CHANNEL_')} {notice.leg.leg}"
    if isinstance(notice, OriginateDecided):
        return "answered" if notice.outcome.answered else f"failed {notice.outcome.cause}"
    return f"ended {notice.outcome.cause}"


def _reoffer(command: Reoffer) -> str:
    if command.media_of is not None:
        return f"send {command.leg} to {command.media_of}"
    like = f" like {command.codec_of}" if command.codec_of is not None else ""
    return f"{'hold' if command.hold else 'talk'} {command.leg}{like}"


_SHORT: dict[type[Command], Callable[..., str]] = {
    Dial: lambda command: f"dial {command.leg}",
    HangUp: lambda command: f"hangup {command.leg}",
    Join: lambda command: f"join {command.leg} {command.other}",
    Split: lambda command: f"split {command.leg} {command.other}",
    FreeMedia: lambda command: f"free {command.leg} {command.other}",
    ResolveDestination: lambda command: f"resolve {command.number}",
    Reoffer: _reoffer,
    TransferProgress: lambda command: f"progress {command.leg} {command.sip_status}",
    Play: lambda play: f"play {play.leg} {play.sound}{' again' if play.repeat else ''}",
    StopPlaying: lambda command: f"quiet {command.leg}",
    Record: lambda command: f"record {command.leg} {command.path}",
}


def _order(command: Command) -> str:
    short = _SHORT.get(type(command))
    return short(command) if short is not None else type(command).__name__
