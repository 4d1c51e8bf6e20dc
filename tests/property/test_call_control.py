"""Call control under any interleaving of stack events, router answers, timers and hang-ups.

The rules play a stack that may say anything about a leg it was told to dial, in any order and again
after the end, and a router that answers late or never. What must hold is checked after every step
and, when everything has been closed and every guard has run out, at the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.core.commands import Dial, HangUp, Join, ResolveDestination, Split
from engine.core.control import CallControl, CallSettings, Effects
from engine.core.events import (
    ChannelNotice,
    DestinationResolved,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegRang,
    OriginateDecided,
    OriginateEnded,
    SipEvent,
)
from engine.core.values import Contact, Endpoint, LegId, LegRole, OriginateId, Party, Refusal
from tests.unit.core.rig import START, carrier, device, request

BARRED = Refusal("OUTGOING_CALL_BARRED", "emergency numbers are restricted")
STATUSES = [0, 200, 404, 408, 480, 486, 487, 488, 500, 503, 603, 699]

contacts = st.lists(
    st.sampled_from([Contact(f"sip:p@10.0.0.{n}", q=n / 4) for n in range(4)] + [Contact("x:y")]),
    max_size=3,
).map(tuple)
devices = st.builds(
    lambda name, where, early: device(name, contacts=where, ignore_early_media=early),
    st.sampled_from(["alice", "bob"]),
    contacts,
    st.sampled_from([None, True, False]),
)
targets: st.SearchStrategy[Endpoint] = devices | st.sampled_from([carrier("west"), carrier("east")])


class Calls(RuleBasedStateMachine):
    """Call control, and a record of all it said."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.calls = 0
        self.call_ids = 0
        self.control = CallControl(CallSettings(host="h", cancel_guard_s=40), self._call_id)
        self.owner: dict[LegId, OriginateId] = {}
        self.asked: set[OriginateId] = set()
        self.routed: set[OriginateId] = set()
        self.released: set[LegId] = set()
        self.told: dict[LegId, list[str]] = defaultdict(list)
        self.outcomes: dict[OriginateId, list[OriginateDecided | OriginateEnded]] = defaultdict(
            list
        )
        self.joined: dict[OriginateId, tuple[LegId, LegId]] = {}
        self.answers: Counter[tuple[OriginateId, LegRole]] = Counter()

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
                assert command.originate_id not in self.routed, "the router is asked once"
                self.routed.add(command.originate_id)
                self.asked.add(command.originate_id)
            elif isinstance(command, Join):
                owner = self.owner[command.leg]
                assert owner == self.owner[command.other]
                assert owner not in self.joined, "one pair at a time"
                self.joined[owner] = (command.leg, command.other)
            elif isinstance(command, Split):
                assert self.joined.pop(self.owner[command.leg]) == (command.leg, command.other)
            elif isinstance(command, Dial) and command.codec_of is not None:
                # It names the A-leg of a B-leg; A-legs are recorded by `ring`.
                self.owner[command.leg] = self.owner[command.codec_of]
        for notice in effects.notices:
            if isinstance(notice, ChannelNotice):
                self.hear(notice)
            else:
                self.conclude(notice)

    def hear(self, notice: ChannelNotice) -> None:
        """Record a notice of a channel."""
        leg, name = notice.leg.leg, notice.name.removeprefix("CHANNEL_")
        said = self.told[leg]
        assert (name == "CREATE") == (not said), "CREATE comes first, and once"
        assert "DESTROY" not in said, "DESTROY comes last"
        if name not in ("PROGRESS", "PROGRESS_MEDIA"):
            assert name not in said
        if name == "UNBRIDGE":
            assert "BRIDGE" in said
        if name == "DESTROY":
            assert ("BRIDGE" in said) == ("UNBRIDGE" in said)
            assert notice.leg.cause
            assert notice.leg.q850
            assert notice.leg.reason
            assert notice.leg.party is not None
        if name == "ANSWER":
            self.answers[notice.leg.originate_id, notice.leg.role] += 1
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
        sent = [attempt.call_id for attempt in outcome.attempts if attempt.call_id]
        assert len(sent) == len(legs)
        assert [a.cause for a in outcome.attempts].count("SUCCESS") <= 2

    @rule(
        endpoints=st.lists(devices, max_size=2).map(tuple),
        early=st.booleans(),
        timeout=st.sampled_from([3, 30]),
    )
    def start(self, endpoints: tuple[Endpoint, ...], early: bool, timeout: int) -> None:
        self.ring(endpoints, early=early, timeout=timeout)

    @rule(endpoints=st.lists(devices, min_size=1, max_size=2).map(tuple), dialled=targets)
    def talk(self, endpoints: tuple[Endpoint, ...], dialled: Endpoint) -> None:
        """Lead a call to where it is hard to come by chance: both sides have answered, if they
        can."""
        before = set(self.owner)
        call = self.ring(endpoints, early=False, timeout=30)
        for leg in sorted(set(self.owner) - before):
            self.keep(self.control.handle(LegAnswered(leg, "PCMU", "to", "", ""), self.now))
        if call not in self.asked:
            return
        self.asked.discard(call)
        before = set(self.owner)
        event = DestinationResolved(call, "2001", (dialled,), "rule")
        self.keep(self.control.handle(event, self.now))
        for leg in sorted(set(self.owner) - before):
            self.keep(self.control.handle(LegAnswered(leg, "PCMU", "to", "", ""), self.now))

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
    ) -> OriginateId:
        """Place a call."""
        self.calls += 1
        call = OriginateId(f"req-{self.calls}")
        asked = request(ignore_early_media=early, timeout=timeout)
        effects = self.control.originate(
            call, asked, "2001", endpoints, "i", self.now, refusal=refusal
        )
        for command in effects.commands:
            if isinstance(command, Dial):
                self.owner[command.leg] = call
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

    @precondition(lambda self: self.asked)
    @rule(
        data=st.data(),
        endpoints=st.lists(targets, max_size=3).map(tuple),
        number=st.sampled_from(["2001", "2001", ""]),
        refusal=st.sampled_from([None, None, BARRED]),
    )
    def resolves(
        self,
        data: st.DataObject,
        endpoints: tuple[Endpoint, ...],
        number: str,
        refusal: Refusal | None,
    ) -> None:
        call = data.draw(st.sampled_from(sorted(self.asked)))
        self.asked.discard(call)
        event = DestinationResolved(call, number, endpoints, "rule", refusal)
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
        assert self.control.legs == len(alive)
        assert sorted(leg.leg for leg in self.control.snapshots()) == sorted(alive)
        concluded = sum(
            isinstance(notices[-1], OriginateEnded) for notices in self.outcomes.values()
        )
        assert self.control.originates == self.calls - concluded

    @invariant()
    def what_waits_for_us_has_a_deadline(self) -> None:
        """Only talking legs wait for nobody; everything else must end by itself."""
        control = self.control
        if control.originates and control.next_deadline() is None:
            assert {said[-1] for said in self.told.values()} <= {"BRIDGE", "DESTROY"}

    def teardown(self) -> None:
        self.keep(self.control.close(self.now))
        while (due := self.control.next_deadline()) is not None:
            self.now = max(self.now, due)
            self.keep(self.control.expire(self.now))
        control = self.control
        assert (control.legs, control.originates, control.deadlines) == (0, 0, 0)
        assert self.joined == {}
        assert all(said[-1] == "DESTROY" for said in self.told.values())
        for notices in self.outcomes.values():
            assert isinstance(notices[-1], OriginateEnded)
        assert len(self.outcomes) == self.calls


Calls.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestCalls = Calls.TestCase
