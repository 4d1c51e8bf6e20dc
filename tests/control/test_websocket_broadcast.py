"""From the feed to many sessions: each gets what it wants, in order, once; the slow harm nobody."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from engine.control import websocket_broadcast
from engine.control.feed import Feed
from engine.control.websocket_broadcast import Broadcast
from engine.control.websocket_frames import Binding, event_frame
from engine.control.websocket_link import text_frame


@dataclass
class Engine:
    """What the broadcast needs of one."""

    feed: Feed = field(default_factory=Feed)
    node: str = "engine@test"

    def publish(self, account: str = "a", call_id: str = "c", name: str = "CHANNEL_CREATE") -> int:
        return self.feed.publish(account, call_id, name, {"Call-ID": call_id}, 1.0).sequence


@dataclass(eq=False)
class Session:
    """A session that keeps the sequences it was sent."""

    full: bool = False
    seen: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    cut: tuple[int, int] | None = None

    def write_frames(self, frames: bytes) -> None:
        for message in unframed(frames):
            decoded = json.loads(message)
            self.seen.append(decoded["sequence"])
            self.keys.append(decoded["subscribed_key"])

    def cut_off(self, waiting: int, last_sequence: int) -> None:
        self.cut = waiting, last_sequence


def unframed(data: bytes) -> list[bytes]:
    """Return the messages of whole frames, as a client's library reads them."""
    stream = StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    messages: list[bytes] = []
    while stream.buffer:
        parser = Frame.parse(stream.read_exact, mask=False)
        with pytest.raises(StopIteration) as done:
            while True:
                next(parser)
        frame = done.value.value
        assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
        messages.append(bytes(frame.data))
    return messages


def bound(account: str = "a", event: str = "*", call_id: str = "*") -> Binding:
    return Binding(account, event, call_id)


async def turns(count: int = 10) -> None:
    """Let the broadcast's task run until it waits again."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_frame_is_what_a_client_reads(length: int) -> None:
    payload = b"x" * length
    assert unframed(text_frame(payload) + text_frame(b"{}")) == [payload, b"{}"]


async def test_each_session_gets_what_it_wants_once() -> None:
    engine = Engine()
    broadcast = Broadcast(engine)
    everything, account, answers, call, twice = (Session() for _ in range(5))
    broadcast.join(everything, [bound("*")])
    broadcast.join(account, [bound()])
    broadcast.join(answers, [bound(event="CHANNEL_ANSWER")])
    broadcast.join(call, [bound(call_id="d")])
    broadcast.join(twice, [bound(call_id="d"), bound("*", "CHANNEL_ANSWER"), bound()])
    engine.publish()
    engine.publish("b")
    engine.publish(name="CHANNEL_ANSWER")
    engine.publish(call_id="d")
    await turns()
    assert everything.seen == [1, 2, 3, 4]
    assert account.seen == [1, 3, 4]
    assert answers.seen == [3]
    assert call.seen == [4]
    assert twice.seen == [1, 3, 4]
    assert twice.keys == ["call.*.*", "call.CHANNEL_ANSWER.*", "call.*.d"]
    for session in (everything, account, answers, call, twice):
        broadcast.leave(session)
    await turns()
    assert (engine.feed.readers, broadcast.sessions) == (0, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_frame_is_made_once_however_many_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = event_frame

    def counted(event: object, *rest: object) -> bytes:
        made.append(1)
        return make(event, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(websocket_broadcast, "event_frame", counted)
    engine = Engine()
    broadcast = Broadcast(engine)
    sessions = [Session() for _ in range(200)]
    for index, session in enumerate(sessions):
        # Two topics, whose first binding that wants the event is the same.
        broadcast.join(session, [bound(), *([bound(call_id="other")] if index % 2 else [])])
    engine.publish()
    await turns(20)
    assert [session.seen for session in sessions] == [[1]] * 200
    assert len(made) == 1
    for session in sessions:
        broadcast.leave(session)
    await turns()


async def test_who_is_full_gets_the_rest_later_and_holds_up_nobody() -> None:
    engine = Engine()
    broadcast = Broadcast(engine)
    slow, quick = Session(full=True), Session()
    for session in (slow, quick):
        broadcast.join(session, [bound()])
    for _ in range(websocket_broadcast.MAX_WAITING):
        engine.publish()
    await turns(50)
    assert slow.seen == []
    assert len(quick.seen) == websocket_broadcast.MAX_WAITING
    slow.full = False
    broadcast.wake(slow)
    await turns(50)
    assert slow.seen == quick.seen
    slow.full = True
    for _ in range(websocket_broadcast.MAX_WAITING + 1):
        engine.publish()
    await turns(50)
    assert slow.cut == (websocket_broadcast.MAX_WAITING + 1, websocket_broadcast.MAX_WAITING)
    assert quick.cut is None
    assert quick.seen == list(range(1, 2 * websocket_broadcast.MAX_WAITING + 2))
    assert broadcast.sessions == 1
    broadcast.leave(quick)
    await turns()


async def test_large_frames_that_wait_are_bounded_by_their_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_broadcast, "MAX_WAITING_BYTES", 1000)
    engine = Engine()
    broadcast = Broadcast(engine)
    slow = Session(full=True)
    broadcast.join(slow, [bound()])
    for _ in range(10):
        engine.publish()
    await turns()
    assert slow.cut is not None
    assert slow.cut[0] < 10
    await turns()
    assert engine.feed.readers == 0


async def test_more_than_can_ever_be_sent_sends_everybody_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_broadcast, "QUEUE_SIZE", 5)
    engine = Engine()
    broadcast = Broadcast(engine)
    session = Session()
    broadcast.join(session, [bound()])
    engine.publish()
    await turns()
    for _ in range(6):
        engine.publish()
    await turns()
    assert (session.seen, session.cut) == ([1], (5, 1))
    broadcast.join(other := Session(), [bound()])
    again = engine.publish()
    await turns()
    assert other.seen == [again]
    broadcast.leave(other)
    await turns()


ACCOUNTS = st.sampled_from(["a", "b"])
CALLS = st.sampled_from(["c", "d"])
NAMES = st.sampled_from(["CHANNEL_CREATE", "CHANNEL_ANSWER"])
BINDINGS = st.lists(
    st.builds(
        Binding,
        st.sampled_from(["a", "b", "*"]),
        st.sampled_from(["CHANNEL_CREATE", "CHANNEL_ANSWER", "*"]),
        st.sampled_from(["c", "d", "*"]),
    ),
    max_size=3,
    unique=True,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), ACCOUNTS, CALLS, NAMES),
        st.tuples(st.just("join"), st.integers(0, 3), BINDINGS),
        st.tuples(st.just("full"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("turn"), st.integers(1, 5)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(steps=STEPS)
def test_whatever_happens_each_gets_its_events_in_order(steps: list[tuple[object, ...]]) -> None:
    asyncio.run(_each_gets_its_events(steps))


async def _each_gets_its_events(steps: list[tuple[object, ...]]) -> None:
    engine = Engine()
    broadcast = Broadcast(engine)
    sessions = [Session() for _ in range(4)]
    wanted: list[list[Binding]] = [[] for _ in sessions]
    expected: list[list[int]] = [[] for _ in sessions]
    for step in steps:
        match step:
            case ("publish", str(account), str(call_id), str(name)):
                sequence = engine.publish(account, call_id, name)
                event = engine.feed.since(sequence - 1)[0]
                for bindings, events in zip(wanted, expected, strict=True):
                    if any(binding.filter.matches(event) for binding in bindings):
                        events.append(sequence)
            case ("join", int(index), list(bindings)):
                wanted[index] = bindings
                assert broadcast.join(sessions[index], bindings) == engine.feed.last_sequence
            case ("full", int(index), bool(full)):
                sessions[index].full = full
                broadcast.wake(sessions[index])
            case ("turn", int(count)):
                await turns(count)
    for session in sessions:
        session.full = False
        broadcast.wake(session)
    await turns(30)
    assert [session.seen for session in sessions] == expected
    for session in sessions:
        broadcast.leave(session)
    await turns()
    assert engine.feed.readers == 0
