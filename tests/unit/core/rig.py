"""What the tests of call control share: endpoints, a request, and a rig that plays stack and
router."""

from __future__ import annotations

from dataclasses import replace

from engine.core.commands import (
    Command,
    Dial,
    HangUp,
    Join,
    Reoffer,
    ResolveDestination,
    Split,
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
    Notice,
    OriginateDecided,
    OriginateEnded,
    SipEvent,
)
from engine.core.values import (
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
    return replace(endpoint, **changes)  # type: ignore[arg-type]


def carrier(name: str, **changes: object) -> Endpoint:
    """A carrier with one gateway."""
    endpoint = Endpoint(
        id=name, kind="resource", contacts=(Contact(f"sip:{name}.example.net:5080"),)
    )
    return replace(endpoint, **changes)  # type: ignore[arg-type]


def request(**changes: object) -> OriginateRequest:
    """A request to ring device `id-alice` and connect it to 2001."""
    base = OriginateRequest("acct", EndpointType.DEVICE, "id-alice", "2001")
    return replace(base, **changes)  # type: ignore[arg-type]


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

    def answers(self, leg: int) -> Effects:
        event = LegAnswered(LegId(leg), "PCMU/8000", f"to-{leg}", "phone/1", "v=0 them")
        return self._keep(self.control.handle(event, self.now))

    def ends(
        self,
        leg: int,
        status: int = 200,
        q850: int = 0,
        party: Party = Party.REMOTE,
        contacts: tuple[str, ...] = (),
    ) -> Effects:
        event = LegEnded(LegId(leg), status, "because", party, q850, contacts=contacts)
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
    ) -> Effects:
        leg = LegId(for_leg) if for_leg is not None else None
        event = DestinationResolved(
            OriginateId(originate_id), number, endpoints, "rule", refusal, leg
        )
        return self._keep(self.control.handle(event, self.now))

    def holds(self, leg: int, *, on: bool = True) -> Effects:
        return self._keep(self.control.hold(f"call-{leg}", self.now, on=on))

    def transfers(self, leg: int, number: str) -> Effects:
        return self._keep(self.control.transfer(f"call-{leg}", number, self.now))

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

    def rings_and_answers(self) -> None:
        """Leg 1 (A) answers and the router is asked."""
        self.originate(device("alice", "10.0.0.1"))
        self.answers(1)

    def talks(self) -> None:
        """Leg 1 (A) and leg 2 (B, device bob) are bridged."""
        self.rings_and_answers()
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


def _order(command: Command) -> str:
    if isinstance(command, Dial):
        return f"dial {command.leg}"
    if isinstance(command, HangUp):
        return f"hangup {command.leg}"
    if isinstance(command, Join):
        return f"join {command.leg} {command.other}"
    if isinstance(command, Split):
        return f"split {command.leg} {command.other}"
    if isinstance(command, ResolveDestination):
        return f"resolve {command.number}"
    if isinstance(command, Reoffer):
        like = f" like {command.codec_of}" if command.codec_of is not None else ""
        return f"{'hold' if command.hold else 'talk'} {command.leg}{like}"
    if isinstance(command, TransferProgress):
        return f"progress {command.leg} {command.sip_status}"
    return type(command).__name__
