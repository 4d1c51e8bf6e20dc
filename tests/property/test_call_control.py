"""Call control under any interleaving of stack events, router answers, timers, orders, hang-ups.

The rules play a stack that may say anything about a leg it was told to dial, in any order and again
after the end, and a router that answers late or never. Attempts wait, time out, are hunted, stand
in for each other and are redirected; talking legs are held and transferred, blindly and from one
call to another. What must hold is checked after every step and, when everything has been closed and
every guard has run out, at the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from engine.core.commands import HangUp, ResolveDestination
from engine.core.control import CallControl, CallSettings, Effects
from engine.core.errors import Conflict, WrongState
from engine.core.events import (
    ChannelNotice,
    DestinationResolved,
    HopsFound,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegHeard,
    LegMediaFailed,
    LegPlayed,
    LegRang,
    LegRecorded,
    LegRenegotiated,
    LegReofferFailed,
    LegSilent,
    OriginateDecided,
    OriginateEnded,
    SipEvent,
    TransferRequested,
)
from engine.core.settings import Redirects
from engine.core.values import (
    BridgeOrder,
    DialMethod,
    Endpoint,
    LegId,
    MediaMode,
    OriginateId,
    Party,
    Refusal,
)
from tests.property.call_values import BARRED, MOVED, STATUSES, devices, targets
from tests.property.media_paths import MediaPaths
from tests.unit.core.rig import START, media, request

_PAIRS = (("BRIDGE", "UNBRIDGE"), ("HOLD", "UNHOLD"), ("RECORD_START", "RECORD_STOP"))
"""Notices that come in turns."""


class Calls(RuleBasedStateMachine):
    """Call control, and a record of all it said."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.calls = 0
        self.call_ids = 0
        self.control = self.make("follow")
        self.owner: dict[LegId, OriginateId] = {}
        self.asked: list[ResolveDestination] = []
        self.routed: set[tuple[OriginateId, str]] = set()
        self.handed_over: set[LegId] = set()
        self.released: set[LegId] = set()
        self.told: dict[LegId, list[str]] = defaultdict(list)
        self.outcomes: dict[OriginateId, list[OriginateDecided | OriginateEnded]] = defaultdict(
            list
        )
        self.paths = MediaPaths()
        self.answers: Counter[LegId] = Counter()

    def make(self, redirects: Redirects) -> CallControl:
        """Call control with this policy for 3xx answers."""
        chosen = CallSettings(
            host="h",
            cancel_guard_s=40,
            redirects=redirects,
            max_call_s=600,
            transcoding=redirects == "follow",
            ringback="tone:440/1000",
            announcements={"USER_BUSY": "busy.wav", "NO_ROUTE_DESTINATION": "no.wav"},
            hold_music="moh.wav",
        )
        return CallControl(chosen, self._call_id)

    @initialize(redirects=st.sampled_from(["follow", "fork", "refuse"]))
    def choose(self, redirects: Redirects) -> None:
        self.control = self.make(redirects)

    def _call_id(self) -> str:
        self.call_ids += 1
        return f"call-{self.call_ids}"

    def keep(self, effects: Effects) -> None:
        """Record effects, and check what holds for each on its own."""
        for command in effects.commands:
            if isinstance(command, HangUp):
                assert command.leg not in self.released, "a leg is released once"
                self.released.add(command.leg)
            elif isinstance(command, ResolveDestination):
                if command.for_leg is None:
                    asked = (command.originate_id, command.number)
                    assert asked not in self.routed or asked[1] == "3001", (
                        "the router is asked once"
                    )
                    self.routed.add(asked)
                self.asked.append(command)
            else:
                self.paths.follow(command)
        for notice in effects.notices:
            if isinstance(notice, ChannelNotice):
                self.hear(notice)
            else:
                self.conclude(notice)

    def hear(self, notice: ChannelNotice) -> None:
        """Record a notice of a channel."""
        leg, name = notice.leg.leg, notice.name.removeprefix("CHANNEL_")
        said = self.told[leg]
        if self.owner.setdefault(leg, notice.leg.originate_id) != notice.leg.originate_id:
            self.handed_over.add(leg)
            self.owner[leg] = notice.leg.originate_id
        assert (name == "CREATE") == (not said), "CREATE comes first, and once"
        assert "DESTROY" not in said, "DESTROY comes last"
        if name in ("CREATE", "ANSWER", "DESTROY"):
            assert name not in said
        for begin, end in _PAIRS:
            if name in (begin, end):
                assert said.count(begin) == said.count(end) + (name == end)
        if name == "DESTROY":
            assert said.count("BRIDGE") == said.count("UNBRIDGE")
            assert said.count("RECORD_START") == said.count("RECORD_STOP")
            assert notice.leg.cause
            assert notice.leg.q850
            assert notice.leg.reason
            assert notice.leg.party is not None
        if name == "ANSWER":
            self.answers[leg] += 1
        said.append(name)

    def conclude(self, notice: OriginateDecided | OriginateEnded) -> None:
        """Record an outcome."""
        outcome = notice.outcome
        before = self.outcomes[outcome.originate_id]
        assert not any(isinstance(earlier, OriginateEnded) for earlier in before)
        before.append(notice)
        assert outcome.cause
        assert outcome.reason
        if isinstance(notice, OriginateDecided):
            assert len(before) == 1
            assert outcome.answered == (outcome.cause == "SUCCESS")
            assert not outcome.final
            return
        assert outcome.final
        assert all(outcome.answered == earlier.outcome.answered for earlier in before)
        assert outcome.answered == (outcome.call_id != "")
        legs = [leg for leg, owner in self.owner.items() if owner == outcome.originate_id]
        assert all(self.told[leg][-1] == "DESTROY" for leg in legs), "no leg outlives its originate"
        sent = [attempt.call_id for attempt in outcome.attempts if attempt.started_at is not None]
        assert len(sent) == len(set(sent))
        if self.handed_over.isdisjoint(legs):
            assert len(sent) >= len(legs)
        assert all(attempt.ended_at is not None for attempt in outcome.attempts if not sent)

    @rule(
        endpoints=st.lists(devices, max_size=2).map(tuple),
        early=st.booleans(),
        timeout=st.sampled_from([3, 30]),
        options=st.fixed_dictionaries(
            {},
            optional={
                "dial_method": st.sampled_from(DialMethod),
                "fail_on_single_reject": st.sampled_from([True, frozenset({"USER_BUSY"})]),
                "endpoint_delay": st.sampled_from([0.5, 40.0]),
                "endpoint_timeout": st.sampled_from([2.0, 50.0]),
                "progress_timeout": st.just(1.0),
                "max_duration": st.just(20.0),
                "call_id": st.sampled_from(["chosen", "chosen-2"]),
            },
        ),
    )
    def start(
        self, endpoints: tuple[Endpoint, ...], early: bool, timeout: int, options: dict[str, Any]
    ) -> None:
        self.ring(endpoints, early=early, timeout=timeout, **options)

    @rule(
        endpoints=st.lists(devices, min_size=1, max_size=2).map(tuple),
        dialled=targets,
        mode=st.sampled_from(MediaMode),
    )
    def talk(self, endpoints: tuple[Endpoint, ...], dialled: Endpoint, mode: MediaMode) -> None:
        """Lead a call to where it is hard to come by chance: both sides have answered, if they
        can."""
        before = set(self.owner)
        call = self.ring(endpoints, early=False, timeout=30, media=mode)
        for leg in sorted(set(self.owner) - before):
            self.answer(leg)
        asked = next((a for a in self.asked if a.originate_id == call), None)
        if asked is None:
            return
        self.asked.remove(asked)
        before = set(self.owner)
        event = DestinationResolved(call, "2001", (dialled,), "rule", None, asked.for_leg)
        self.keep(self.control.handle(event, self.now))
        for leg in sorted(set(self.owner) - before):
            self.answer(leg)

    def answer(self, leg: LegId) -> None:
        event = LegAnswered(leg, "PCMU/8000", "to", "", "", media(leg % 200))
        self.keep(self.control.handle(event, self.now))

    @rule(endpoints=st.lists(devices, max_size=2).map(tuple))
    def refused(self, endpoints: tuple[Endpoint, ...]) -> None:
        dialled = len(self.owner)
        call = self.ring(endpoints, early=False, timeout=30, refusal=BARRED)
        (notice,) = self.outcomes[call]
        assert isinstance(notice, OriginateEnded)
        assert notice.outcome.cause == BARRED.cause
        assert len(self.owner) == dialled, "no INVITE"

    def ring(
        self,
        endpoints: tuple[Endpoint, ...],
        *,
        early: bool,
        timeout: int,
        refusal: Refusal | None = None,
        **options: object,
    ) -> OriginateId:
        """Place a call; one whose chosen Call-ID is in use is refused and leaves no trace."""
        call = OriginateId(f"req-{self.calls + 1}")
        asked = request(ignore_early_media=early, timeout=timeout, **options)
        try:
            effects = self.control.originate(
                call, asked, "2001", endpoints, "i", self.now, refusal=refusal
            )
        except Conflict:
            assert self.control.originate_of(asked.call_id) is not None
            return call
        self.calls += 1
        self.keep(effects)
        return call

    def play(self, data: st.DataObject, make: object) -> None:
        leg = data.draw(st.sampled_from(sorted(self.owner)))
        event: SipEvent = make(leg)  # type: ignore[operator]
        self.keep(self.control.handle(event, self.now))

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def dialed(self, data: st.DataObject) -> None:
        self.play(data, lambda leg: LegDialed(leg, "tag", "v=0"))

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def rings(self, data: st.DataObject) -> None:
        self.play(data, lambda leg: LegRang(leg, 180, "Ringing"))

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def early_media(self, data: st.DataObject) -> None:
        self.play(data, lambda leg: LegGaveEarlyMedia(leg, 183, "Progress", "PCMU/8000", "v=0"))

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def answers_call(self, data: st.DataObject) -> None:
        self.play(data, lambda leg: LegAnswered(leg, "PCMU/8000", "to", "phone", "v=0"))

    @precondition(lambda self: self.owner)
    @rule(
        data=st.data(),
        status=st.sampled_from(STATUSES),
        q850=st.sampled_from([0, 16, 17, 127, 999]),
        party=st.sampled_from(Party),
    )
    def ends(self, data: st.DataObject, status: int, q850: int, party: Party) -> None:
        self.play(data, lambda leg: LegEnded(leg, status, "", party, q850))

    @precondition(lambda self: self.owner)
    @rule(
        data=st.data(),
        held=st.booleans(),
        codec=st.sampled_from(["PCMU/8000", "PCMA/8000"]),
        port=st.sampled_from([4000, 4000, 5000]),
    )
    def renegotiates(self, data: st.DataObject, held: bool, codec: str, port: int) -> None:
        self.play(
            data, lambda leg: LegRenegotiated(leg, held, codec, "v=0", media(leg % 200, port))
        )

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), port=st.sampled_from([4000, 4000, 4000, 5000]))
    def takes_offer(self, data: st.DataObject, port: int) -> None:
        self.play(
            data,
            lambda leg: LegRenegotiated(
                leg, False, "PCMU/8000", "v=0", media(leg % 200, port), by_us=True
            ),
        )

    @precondition(lambda self: self.owner)
    @rule(
        data=st.data(),
        make=st.sampled_from(
            [
                lambda leg: LegHeard(leg, "10.0.0.1:4000"),
                lambda leg: LegSilent(leg, 5.0, one_way=True),
                lambda leg: LegSilent(leg, 60.0, one_way=False),
                lambda leg: LegMediaFailed(leg, "no ICE check of the peer came"),
                lambda leg: LegPlayed(leg, 0, ""),
                lambda leg: LegPlayed(leg, 1, ""),
                lambda leg: LegPlayed(leg, 3, "no such file"),
                lambda leg: LegRecorded(leg, "a.wav", 1.0, ""),
            ]
        ),
    )
    def media_plane_says(self, data: st.DataObject, make: object) -> None:
        self.play(data, make)

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def refuses_offer(self, data: st.DataObject) -> None:
        self.play(data, lambda leg: LegReofferFailed(leg, 488, "Not Acceptable Here"))

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), hops=st.integers(1, 3))
    def is_looked_up(self, data: st.DataObject, hops: int) -> None:
        where = tuple(f"sip:10.0.1.{n}" for n in range(hops))
        self.play(data, lambda leg: HopsFound(leg, where))

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), status=st.sampled_from([301, 302, 305, 380]))
    def moved(self, data: st.DataObject, status: int) -> None:
        where = tuple(data.draw(st.lists(st.sampled_from(MOVED), max_size=4)))
        made = lambda leg: LegEnded(leg, status, "", Party.REMOTE, 0, contacts=where)  # noqa: E731
        self.play(data, made)

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), to=st.sampled_from(["sip:3001@h", "sip:h", "tel:1"]))
    def refers(self, data: st.DataObject, to: str) -> None:
        self.play(data, lambda leg: TransferRequested(leg, to, "", "<sip:bob@h>"))

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def refers_to_another_call(self, data: st.DataObject) -> None:
        theirs = data.draw(st.sampled_from(sorted(self.owner)))
        found = next((s for s in self.control.snapshots() if s.leg == theirs), None)
        named = found or self.control.snapshots()[0] if self.control.snapshots() else None
        if named is None:
            return
        replaces = f"{named.call_id};to-tag={named.from_tag};from-tag={named.to_tag}"
        self.play(data, lambda leg: TransferRequested(leg, "sip:3001@h", replaces, ""))

    @precondition(lambda self: self.owner)
    @rule(
        data=st.data(),
        on=st.booleans(),
        order=st.sampled_from(["hold", "hold", "transfer", "play", "record", "park", "intercept"]),
    )
    def is_ordered(self, data: st.DataObject, on: bool, order: str) -> None:
        live = [leg.call_id for leg in self.control.snapshots()]
        if not live:
            return
        call_id = data.draw(st.sampled_from(live))
        with suppress(WrongState):
            if order == "intercept":
                other = data.draw(st.sampled_from(live))
                self.keep(self.control.intercept(call_id, other, self.now))
            else:
                self.keep(self.order(call_id, order, on=on))

    @precondition(lambda self: self.owner)
    @rule(
        data=st.data(),
        endpoints=st.lists(devices, min_size=1, max_size=2).map(tuple),
        goes_on=st.booleans(),
        method=st.sampled_from(DialMethod),
    )
    def is_bridged_by_order(
        self,
        data: st.DataObject,
        endpoints: tuple[Endpoint, ...],
        goes_on: bool,
        method: DialMethod,
    ) -> None:
        live = [leg.call_id for leg in self.control.snapshots()]
        if not live:
            return
        order = BridgeOrder(endpoints, "3002", method, timeout=7.0, goes_on=goes_on)
        with suppress(WrongState):
            self.keep(self.control.bridge(data.draw(st.sampled_from(live)), order, self.now))

    def order(self, call_id: str, order: str, *, on: bool) -> Effects:
        """What somebody wants of a channel."""
        control, now = self.control, self.now
        if order == "park":
            return control.park(call_id, now)
        if order == "transfer":
            return control.transfer(call_id, "3001", now)
        if order == "play":
            begin = control.play(call_id, "a.wav", now) if on else None
            return begin or control.stop_playing(call_id, now)
        if order == "record":
            begin = control.record(call_id, "a.wav", now) if on else None
            return begin or control.stop_recording(call_id, now)
        return control.hold(call_id, now, on=on)

    @precondition(lambda self: self.asked)
    @rule(
        data=st.data(),
        endpoints=st.lists(targets, max_size=3).map(tuple),
        number=st.sampled_from(["2001", "2001", ""]),
        refusal=st.sampled_from([None, None, BARRED]),
        park=st.booleans(),
    )
    def resolves(
        self,
        data: st.DataObject,
        endpoints: tuple[Endpoint, ...],
        number: str,
        refusal: Refusal | None,
        park: bool,
    ) -> None:
        asked = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        event = DestinationResolved(
            *(asked.originate_id, number, endpoints, "rule", refusal, asked.for_leg),
            park=park and asked.for_leg is None,
        )
        self.keep(self.control.handle(event, self.now))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def hangs_up(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.calls))
        self.keep(self.control.hang_up(OriginateId(f"req-{number}"), self.now))

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 5.0, 30.0, 60.0]))
    def waits(self, seconds: float) -> None:
        self.now += seconds
        while (due := self.control.next_deadline()) is not None and due <= self.now:
            self.keep(self.control.expire(self.now))
        later = self.control.next_deadline()
        assert later is None or later > self.now

    @invariant()
    def one_winner_at_most(self) -> None:
        assert all(answers == 1 for answers in self.answers.values())

    @invariant()
    def gauges_count_what_lives(self) -> None:
        alive = [leg for leg, said in self.told.items() if said[-1] != "DESTROY"]
        assert self.control.legs >= len(alive), "those that wait for their turn live too"
        assert sorted(leg.leg for leg in self.control.snapshots()) == sorted(alive)
        concluded = sum(
            isinstance(notices[-1], OriginateEnded) for notices in self.outcomes.values()
        )
        assert self.control.originates == self.calls - concluded

    @invariant()
    def what_waits_for_us_has_a_deadline(self) -> None:
        """Everything ends by itself, talk too."""
        assert not self.control.originates or self.control.next_deadline() is not None

    def teardown(self) -> None:
        self.keep(self.control.close(self.now))
        while (due := self.control.next_deadline()) is not None:
            self.now = max(self.now, due)
            self.keep(self.control.expire(self.now))
        control = self.control
        assert (control.legs, control.originates, control.deadlines) == (0, 0, 0)
        assert self.paths.joined == []
        assert all(said[-1] == "DESTROY" for said in self.told.values())
        for notices in self.outcomes.values():
            assert isinstance(notices[-1], OriginateEnded)
        assert len(self.outcomes) == self.calls


Calls.TestCase.settings = settings(max_examples=150, stateful_step_count=50)
TestCalls = Calls.TestCase
