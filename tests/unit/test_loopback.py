"""The SIP stack in memory that users test with: it behaves as the port says, and call control
runs over it."""

import select
from collections.abc import Iterator
from itertools import count

import pytest

from engine.core.commands import (
    Dial,
    HangUp,
    Join,
    Play,
    Record,
    Reoffer,
    Respond,
    SipCommand,
    Split,
    StopPlaying,
    StopRecording,
)
from engine.core.control import CallControl, CallSettings, Effects
from engine.core.events import (
    DestinationResolved,
    LegAnswered,
    LegDialed,
    LegEnded,
    LegGaveEarlyMedia,
    LegPlayed,
    LegRang,
    LegRecorded,
    LegRenegotiated,
    LegReofferFailed,
    Notice,
    OriginateEnded,
    RegisterReceived,
    StackEvent,
)
from engine.core.values import LegId, OriginateId, Party
from engine.sip.loopback import (
    Answer,
    Bye,
    Early,
    HearOut,
    LoopbackSip,
    Refuse,
    RefuseOffers,
    Renegotiate,
    Ring,
    Vanish,
)
from engine.sip.port import SipPort, StackBusy
from tests.unit.core.rig import START, device, request


@pytest.fixture
def sip() -> Iterator[LoopbackSip]:
    """A stack, empty again at the end."""
    stack = LoopbackSip()
    yield stack
    stack.begin_close()
    stack.drain()
    stats = stack.stats()
    stack.close()
    gauges = (stats.legs, stats.dialogs, stats.transactions, stats.media_ports)
    assert (gauges, stack.joined) == ((0, 0, 0, 0), {})


def dial(leg: int, uri: str = "sip:bob@192.0.2.1") -> Dial:
    """An INVITE."""
    return Dial(LegId(leg), f"c{leg}", uri, f"<{uri}>", "<sip:100@example.org>")


def kinds(events: list[StackEvent]) -> list[type[StackEvent]]:
    """Types of events, for comparison."""
    return [type(event) for event in events]


def renegotiated(sip: LoopbackSip) -> list[LegRenegotiated]:
    """What was agreed on anew since the last look."""
    return [event for event in sip.drain() if isinstance(event, LegRenegotiated)]


def readable(sip: SipPort) -> bool:
    """Whether the descriptor polls readable."""
    return bool(select.select([sip.fileno()], [], [], 0)[0])


def test_a_scripted_peer_acts_when_it_is_dialled(sip: LoopbackSip) -> None:
    sip.script("sip:bob@192.0.2.1", Ring(), Early(), Answer(codec="PCMA/8000"))
    sip.submit([dial(1)])
    events = sip.drain()
    assert kinds(events) == [LegDialed, LegRang, LegGaveEarlyMedia, LegAnswered]
    assert isinstance(events[-1], LegAnswered)
    assert events[-1].codec == "PCMA/8000"
    assert sip.stats().legs == 1


def test_the_descriptor_is_readable_while_events_wait(sip: LoopbackSip) -> None:
    assert not readable(sip)
    sip.submit([dial(1), dial(2)])
    assert readable(sip)
    assert sip.stats().mailbox == 2
    assert len(sip.drain()) == 2
    assert not readable(sip)
    assert sip.drain() == []


@pytest.mark.parametrize(
    ("steps", "ended"),
    [
        ((Refuse(603, "Decline", 21),), (603, Party.REMOTE, 21)),
        ((Answer(), Bye(16)), (200, Party.REMOTE, 16)),
        ((Vanish(),), (0, Party.TIMEOUT, 0)),
    ],
)
def test_a_peer_may_end_a_leg(
    sip: LoopbackSip,
    steps: tuple[Answer | Refuse | Bye | Vanish, ...],
    ended: tuple[int, Party, int],
) -> None:
    sip.submit([dial(1)])
    sip.play("c1", *steps)
    last = sip.drain()[-1]
    assert isinstance(last, LegEnded)
    assert (last.sip_status, last.party, last.q850) == ended
    assert sip.stats().legs == 0
    with pytest.raises(KeyError):
        sip.play("c1", Ring())


@pytest.mark.parametrize(("steps", "status"), [((), 487), ((Answer(),), 200)])
def test_hang_up_is_cancel_or_bye_and_idempotent(
    sip: LoopbackSip, steps: tuple[Answer, ...], status: int
) -> None:
    sip.submit([dial(1)])
    sip.play("c1", *steps)
    sip.submit([HangUp(LegId(1)), HangUp(LegId(1)), HangUp(LegId(9))])
    (last,) = (event for event in sip.drain() if isinstance(event, LegEnded))
    assert (last.sip_status, last.party) == (status, Party.LOCAL)


def test_a_held_leg_outlasts_its_hang_up(sip: LoopbackSip) -> None:
    sip.submit([dial(1)])
    sip.hold("c1")
    sip.submit([HangUp(LegId(1))])
    assert kinds(sip.drain()) == [LegDialed]
    sip.play("c1", Vanish())
    assert kinds(sip.drain()) == [LegEnded]


def test_join_and_split(sip: LoopbackSip) -> None:
    sip.submit([dial(1), dial(2), Join(LegId(1), LegId(2)), Join(LegId(1), LegId(9))])
    assert sip.joined == {1: 2, 2: 1}
    sip.submit([Split(LegId(1), LegId(2)), Split(LegId(1), LegId(2))])
    assert sip.joined == {}
    sip.submit([Join(LegId(1), LegId(2)), HangUp(LegId(2))])
    assert sip.joined == {}


def test_a_full_queue_takes_nothing(sip: LoopbackSip) -> None:
    sip.busy = True
    with pytest.raises(StackBusy):
        sip.submit([dial(1)])
    assert (sip.submitted, sip.stats().legs) == ([], 0)


def test_closing_hangs_up_and_refuses(sip: LoopbackSip) -> None:
    sip.submit([dial(1)])
    sip.begin_close()
    sip.submit([dial(2)])
    ended = [event for event in sip.drain() if isinstance(event, LegEnded)]
    assert [event.party for event in ended] == [Party.LOCAL, Party.POLICY]


def test_a_register_waits_for_its_answer(sip: LoopbackSip) -> None:
    key = sip.register("sip:bob@example.org", "<sip:bob@192.0.2.1>", expires=60)
    (event,) = sip.drain()
    assert isinstance(event, RegisterReceived)
    assert (event.transaction, event.expires, event.request_uri) == (key, 60, "sip:example.org")
    assert sip.stats().pending_requests == 1
    answer = Respond(key, 200, "OK")
    sip.submit([answer, Respond(77, 200, "OK")])
    assert sip.responses == {key: answer}
    assert sip.stats().pending_requests == 0


class Loop:
    """Call control over the stack, until both are quiet."""

    def __init__(self, sip: LoopbackSip) -> None:
        numbers = count(1)
        self.sip = sip
        self.control = CallControl(CallSettings(host="h"), lambda: f"c{next(numbers)}")
        self.notices: list[Notice] = []

    def run(self, effects: Effects) -> None:
        """Carry effects out, route every call to bob, go on until nothing happens."""
        self.notices += effects.notices
        commands: list[SipCommand] = []
        asked: list[OriginateId] = []
        for command in effects.commands:
            if isinstance(command, SipCommand):
                commands.append(command)
            else:
                asked.append(command.originate_id)
        self.sip.submit(commands)
        for call in asked:
            found = (device("bob", "192.0.2.2"),)
            event = DestinationResolved(call, "2001", found, "rule")
            self.run(self.control.handle(event, START))
        self.drain()

    def drain(self) -> None:
        """Feed what the stack has."""
        for event in self.sip.drain():
            if isinstance(event, LegDialed | LegRang | LegGaveEarlyMedia | LegAnswered | LegEnded):
                self.run(self.control.handle(event, START))


def test_a_peer_holds_and_talks_again(sip: LoopbackSip) -> None:
    sip.script("sip:bob@192.0.2.1", Answer())
    sip.submit([dial(1)])
    sip.drain()
    sip.play("c1", Renegotiate(held=True), Renegotiate(held=True), Renegotiate())
    held, talks = sip.drain()
    assert isinstance(held, LegRenegotiated)
    assert isinstance(talks, LegRenegotiated)
    assert (held.held, talks.held) == (True, False)


def test_a_peer_takes_an_offer_and_the_codec_of_another(sip: LoopbackSip) -> None:
    sip.script("sip:bob@192.0.2.1", Answer())
    sip.script("sip:eve@192.0.2.1", Answer(codec="PCMA/8000"))
    sip.submit([dial(1), dial(2, "sip:eve@192.0.2.1")])
    sip.drain()
    sip.submit([Reoffer(LegId(1), hold=True), Reoffer(LegId(1), hold=False, codec_of=LegId(2))])
    assert [(event.codec, event.by_us) for event in renegotiated(sip)] == [
        ("PCMU/8000", True),
        ("PCMA/8000", True),
    ]


def test_a_peer_refuses_offers(sip: LoopbackSip) -> None:
    sip.script("sip:bob@192.0.2.1", Ring())
    sip.submit([dial(1), Reoffer(LegId(1), hold=True), Reoffer(LegId(9), hold=True)])
    sip.play("c1", Answer(), RefuseOffers(488, "Not Acceptable Here"))
    sip.submit([Reoffer(LegId(1), hold=True)])
    failed = [event for event in sip.drain() if isinstance(event, LegReofferFailed)]
    assert [event.sip_status for event in failed] == [0, 488]


def test_a_call_over_the_loopback(sip: LoopbackSip) -> None:
    sip.script("sip:alice@192.0.2.1", Ring(), Answer())
    sip.script("sip:bob@192.0.2.2", Early(), Answer())
    loop = Loop(sip)
    phones = (device("alice", "192.0.2.1"),)
    call = OriginateId("r")
    loop.run(loop.control.originate(call, request(), "2001", phones, "i", START))
    assert sip.joined == {1: 2, 2: 1}
    sip.play("c2", Bye())
    loop.drain()
    last = loop.notices[-1]
    assert isinstance(last, OriginateEnded)
    assert last.outcome.cause == "NORMAL_CLEARING"
    assert sip.stats().legs == loop.control.legs == 0


def test_sounds_and_recordings_end_once(sip: LoopbackSip) -> None:
    sip.script("sip:bob@192.0.2.1", Answer())
    leg = LegId(1)
    sip.submit([dial(1), Play(leg, 1, "tone:425/100"), Play(leg, 2, "tone:425/100", repeat=True)])
    sip.submit([Record(leg, "/r/one.wav"), Record(leg, "/r/two.wav")])
    assert sip.sounds.playing[leg].play == 2
    told = [event for event in sip.drain() if isinstance(event, LegPlayed | LegRecorded)]
    assert told == [
        LegPlayed(leg, 1, ""),
        LegRecorded(leg, "/r/two.wav", 0.0, "the leg is recorded already"),
    ]
    sip.play("c1", HearOut())
    sip.submit([StopPlaying(leg), StopRecording(leg), Play(leg, 3, "tone:425/100")])
    assert sip.drain() == [LegPlayed(leg, 2, ""), LegRecorded(leg, "/r/one.wav", 0.0, "")]
    sip.submit([Record(leg, "/r/three.wav", max_s=2.0)])
    sip.play("c1", Bye())
    *last, ended = sip.drain()
    assert last == [LegPlayed(leg, 3, ""), LegRecorded(leg, "/r/three.wav", 2.0, "")]
    assert isinstance(ended, LegEnded)
    sip.submit([Play(leg, 4, "tone:425/100"), Record(leg, "/r/four.wav")])
    assert [event.error for event in sip.drain() if isinstance(event, LegPlayed | LegRecorded)] == [
        "the leg has no media"
    ] * 2
