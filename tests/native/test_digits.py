"""Digits in RTP: each is told once, whatever becomes of its packets, and sent as a leg takes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise

import pytest
import pytest_asyncio
from msgspec.structs import replace

from engine.core.commands import Join, SendDigits, Split, TakeStock
from engine.core.events import LegAnswered, LegDialed, LegSentDigit, StockTaken
from engine.core.media_values import DtmfMethod, MediaPolicy
from engine.core.values import LegId
from tests.kit.digit_peer import (
    DigitPeer,
    Pressed,
    event,
    event_payloads,
    events_in,
    silence,
    tone,
    tones_in,
)
from tests.kit.digit_phone import PCMU, digit_phone
from tests.kit.rtp import audio_address
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

AUTO, RFC4733, INFO, INBAND = DtmfMethod
EVENTS = ((101, "telephone-event/8000"),)


@dataclass(frozen=True, slots=True)
class Phone:
    """An answered leg, its RTP at the test, and where the engine wants the peer's."""

    leg: LegId
    media: DigitPeer
    engine: tuple[str, int]
    offer: str

    def press(self, digit: str, ms: int = 100, kind: int = 101, lost: tuple[int, ...] = ()) -> None:
        self.media.press(self.engine, digit, ms, kind, lost)

    def say(self, sound: bytes) -> None:
        self.media.send_sound(self.engine, sound)


class Phones:
    """Phones of one stack; they live as long as the test."""

    def __init__(self, stack: Stack, rest: AsyncExitStack) -> None:
        self.stack = stack
        self._rest = rest
        self._legs: list[LegId] = []
        self._stocks = 0

    async def call(
        self,
        events: tuple[tuple[int, str], ...] = EVENTS,
        dtmf: DtmfMethod = AUTO,
    ) -> Phone:
        """Return a phone that answered with PCMU and these kinds of telephone-event."""
        media = await self._rest.enter_async_context(DigitPeer(0xA000 + len(self._legs)))
        phone = digit_phone(media.address, (PCMU, *events))
        await self._rest.enter_async_context(phone)
        leg = self.stack.next_leg()
        dial = self.stack.dial_command(leg, phone.uri)
        self.stack.submit(replace(dial, media=MediaPolicy(dtmf=dtmf)))
        offer = (await self.stack.event(LegDialed, leg)).local_sdp
        await self.stack.event(LegAnswered, leg)
        self._legs.append(leg)
        return Phone(leg, media, audio_address(offer), offer)

    async def pair(
        self,
        one: tuple[tuple[int, str], ...] = EVENTS,
        other: tuple[tuple[int, str], ...] = EVENTS,
        dtmf: DtmfMethod = AUTO,
    ) -> tuple[Phone, Phone]:
        """Return two that are joined; `dtmf` is the other's method."""
        near, far = await self.call(one), await self.call(other, dtmf)
        self.stack.submit(Join(near.leg, far.leg))
        await self.settled()
        near.say(silence(20))
        await far.media.until(1, 0)
        return near, far

    async def settled(self) -> None:
        """Wait until the SIP thread has carried out, and passed on, what was ordered before."""
        self._stocks += 1
        self.stack.submit(TakeStock())
        while sum(isinstance(one, StockTaken) for one in self.stack.events) < self._stocks:
            await self.stack.next_event()

    async def told(self, phone: Phone, count: int) -> list[tuple[str, int, DtmfMethod, bool]]:
        """Wait for that many digits of a phone; no more may have come."""
        heard = await self.stack.events_of(LegSentDigit, phone.leg, count)
        return [(one.digit, one.duration_ms, one.method, one.carried) for one in heard]

    async def hang_up(self) -> None:
        for leg in self._legs:
            self.stack.hang_up(leg)
        for leg in self._legs:
            await self.stack.ended(leg)


@pytest_asyncio.fixture
async def phones(stack: Stack) -> AsyncIterator[Phones]:
    async with AsyncExitStack() as rest:
        made = Phones(stack, rest)
        yield made
        await made.hang_up()


# --- events that come ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lost",
    [(), (0,), (0, 1, 2), (1, 3), (0, 1, 2, 3), (4,), (4, 5), (5, 6)],
    ids=lambda lost: "lost " + ",".join(map(str, lost)),
)
async def test_a_digit_is_told_once_whichever_packets_are_lost(
    phones: Phones, lost: tuple[int, ...]
) -> None:
    near, far = await phones.pair()
    near.press("5", 100, lost=lost)
    near.press("6", 100)
    assert await phones.told(near, 2) == [("5", 100, RFC4733, True), ("6", 100, RFC4733, True)]
    assert await far.media.until(14 - len(lost), 101)
    assert events_in(far.media.of(101)) == [Pressed("5", 100), Pressed("6", 100)]


async def test_without_its_end_a_digit_is_told_when_the_next_one_comes(phones: Phones) -> None:
    near = await phones.call()
    near.press("1", 100, lost=(4, 5, 6))
    near.press("1", 60)
    assert await phones.told(near, 2) == [("1", 80, RFC4733, False), ("1", 60, RFC4733, False)]


async def test_without_its_end_a_digit_is_told_when_nothing_comes(phones: Phones) -> None:
    near = await phones.call()
    near.press("D", 100, lost=(4, 5, 6))
    assert await phones.told(near, 1) == [("D", 80, RFC4733, False)]
    # Its end after all: it has been told.
    near.media.timestamp -= 160 * 8
    near.media.send(near.engine, 101, event("D", 800, end=True))
    near.media.timestamp += 160 * 8
    near.press("#")
    assert (await phones.told(near, 2))[1:] == [("#", 100, RFC4733, False)]


async def test_packets_out_of_order_and_again_are_one_digit(phones: Phones) -> None:
    near = await phones.call()
    payloads = event_payloads("9", 100)
    for place in (1, 0, 6, 2, 5, 6, 4, 3, 0):
        near.media.send(near.engine, 101, payloads[place])
    near.media.timestamp += 1280
    near.press("0", 60)
    # Stragglers of the first one.
    near.media.timestamp -= 1280 + 120 * 8
    near.media.send(near.engine, 101, payloads[6])
    near.media.timestamp += 1280 + 120 * 8
    near.press("1", 60)
    digits = [digit for digit, *_ in await phones.told(near, 3)]
    assert digits == ["9", "0", "1"]


async def test_a_key_held_for_longer_than_its_field_counts_is_one_digit(phones: Phones) -> None:
    near = await phones.call()
    for duration in (0x4000, 0x8000, 0xFFFF, 0xFFFF, 0xFFFF):
        near.media.send(near.engine, 101, event("*", duration))
    near.media.timestamp += 0xFFFF
    for duration, end in ((160, False), (800, True), (800, True)):
        near.media.send(near.engine, 101, event("*", duration, end=end))
    near.media.timestamp += 1600
    near.press("1", 60)
    assert await phones.told(near, 2) == [
        ("*", (0xFFFF + 800) // 8, RFC4733, False),
        ("1", 60, RFC4733, False),
    ]


async def test_hostile_events_are_no_digits(phones: Phones) -> None:
    near, far = await phones.pair()
    for payload in (b"", b"\x05", b"\x05\x8a\x03", bytes((16, 0x8A, 1, 0)), bytes((255,) * 4)):
        near.media.send(near.engine, 101, payload, ticks=1600)
    near.media.send(near.engine, 101, event("7", 0, end=True, volume=63), ticks=1600)
    near.media.send(near.engine, 101, event("8", 0xFFFF, end=True, volume=0), ticks=1600)
    near.media.send(near.engine, 101, event("9", 400, end=True) + b"\x01\x8a\x01\x00", ticks=1600)
    assert [(digit, ms) for digit, ms, *_ in await phones.told(near, 3)] == [
        ("7", 0),
        ("8", 8191),
        ("9", 50),
    ]
    await far.media.until(8, 101)


async def test_a_flood_of_digits_is_bounded(phones: Phones) -> None:
    near = await phones.call()
    for number in range(1000):
        digit = str(number % 10)
        near.media.send(near.engine, 101, event(digit, 400, end=True), ticks=800)
        if number % 100 == 0:
            await phones.told(near, 1)
    near.media.send(near.engine, 0, silence(20))
    heard = await phones.told(near, 25)
    assert [digit for digit, *_ in heard[:25]] == [str(n % 10) for n in range(25)]


async def test_another_source_is_another_clock(phones: Phones) -> None:
    near = await phones.call()
    near.press("3", 100, lost=(4, 5, 6))
    near.media.ssrc += 0x100
    near.media.timestamp -= 4000
    near.press("3", 60)
    assert [(digit, ms) for digit, ms, *_ in await phones.told(near, 2)] == [("3", 80), ("3", 60)]


# --- events that go on --------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), [(101, 110), (110, 96), (96, 101)])
async def test_an_event_goes_on_under_the_number_the_other_side_gave_it(
    phones: Phones, ours: int, theirs: int
) -> None:
    near, far = await phones.pair(
        ((ours, "telephone-event/8000"),), ((theirs, "telephone-event/8000"),)
    )
    near.say(silence(60))
    near.press("4", 100, ours)
    near.say(silence(60))
    got = await far.media.until(7, theirs)
    assert [packet.payload for packet in got] == event_payloads("4", 100)
    assert len({packet.timestamp for packet in got}) == 1
    assert [packet.marker for packet in got] == [True] + [False] * 6
    everything = await far.media.until(7, 0) and far.media.packets
    assert len({packet.ssrc for packet in everything}) == 1
    first = everything[0]
    assert [packet.sequence - first.sequence for packet in everything] == list(range(14))
    after = everything[-1]
    assert after.timestamp - got[0].timestamp == (160 + 40) * 8, "the clock of the phone goes on"


# --- digits that we send ------------------------------------------------------------------------


async def test_digits_are_sent_as_events(phones: Phones) -> None:
    near, far = await phones.pair(other=((110, "telephone-event/8000"),))
    before = far.media.of(0)[-1]
    phones.stack.submit(SendDigits(far.leg, "1#", 100), SendDigits(far.leg, "D", 45))
    assert await far.media.events(3, 110) == [
        Pressed("1", 100),
        Pressed("#", 100),
        Pressed("D", 45),
    ]
    got = far.media.of(110)
    times = sorted({packet.timestamp for packet in got})
    assert [late - early for early, late in pairwise(times)] == [1280, 1280]
    for time in times:
        one = [packet for packet in got if packet.timestamp == time]
        assert [packet.marker for packet in one] == [True] + [False] * (len(one) - 1)
        durations = [int.from_bytes(packet.payload[2:]) for packet in one]
        assert durations == sorted(durations)
        assert [packet.payload[1] >> 7 for packet in one[-4:]] == [0, 1, 1, 1]
    assert {packet.ssrc for packet in got} == {before.ssrc}
    assert [p.sequence for p in got] == [
        before.sequence + 1 + place for place in range(len(got))
    ], "the stream goes on"
    assert times[0] - before.timestamp < 8000 * 60
    async with near.media.talking(near.engine):
        after = (await far.media.until(2, 0))[1]
    assert (after.ssrc, after.sequence) == (before.ssrc, got[-1].sequence + 1)
    assert after.marker


@pytest.mark.parametrize("events", [EVENTS, ()])
async def test_the_other_side_is_silent_while_digits_are_sent(
    phones: Phones, events: tuple[tuple[int, str], ...]
) -> None:
    near, far = await phones.pair(other=events)
    talk = b"\x12" * 160
    async with near.media.talking(near.engine, talk):
        await far.media.until(5, 0)
        phones.stack.submit(SendDigits(far.leg, "12", 400))
        await (far.media.events(2) if events else far.media.tones(2))
        await far.media.sound_after(talk, [p for p in far.media.packets if p.payload != talk][-1])
    kinds = "".join("t" if packet.payload == talk else "d" for packet in far.media.packets[1:])
    assert kinds.strip("t").count("t") == 0, "from the first of them to the last nothing else came"


@pytest.mark.parametrize("dtmf", [AUTO, INBAND])
async def test_digits_are_sent_as_tones_where_no_event_was_agreed_on(
    phones: Phones, dtmf: DtmfMethod
) -> None:
    near, far = await phones.pair(other=(), dtmf=dtmf)
    assert ("telephone-event" in far.offer) is (dtmf is AUTO)
    phones.stack.submit(SendDigits(far.leg, "147*2580369#ABCD", 100))
    heard = await far.media.tones(16)
    assert "".join(one.digit for one in heard) == "147*2580369#ABCD"
    assert {one.ms for one in heard} == {100}
    sound = far.media.of(0)[1:]
    assert [packet.sequence - sound[0].sequence for packet in sound] == list(range(len(sound)))
    steps = {late.timestamp - early.timestamp for early, late in pairwise(sound)}
    assert steps == {160}
    assert {packet.ssrc for packet in sound} == {far.media.packets[0].ssrc}
    near.say(silence(20))


async def test_events_and_nothing_else_where_the_endpoint_says_so(phones: Phones) -> None:
    _, far = await phones.pair(other=(), dtmf=RFC4733)
    dropped = phones.stack.sip.stats().dropped
    phones.stack.submit(SendDigits(far.leg, "1", 100))
    other = await phones.call()
    phones.stack.submit(SendDigits(other.leg, "2", 60))
    await other.media.events(1)
    assert phones.stack.sip.stats().dropped == dropped + 1
    assert len(far.media.packets) == 1


async def test_more_digits_than_may_wait_are_dropped(phones: Phones) -> None:
    near = await phones.call()
    phones.stack.submit(*(SendDigits(near.leg, "5" * 64, 2000) for _ in range(3)))
    await phones.settled()
    assert phones.stack.sip.stats().dropped == 1
    await near.media.until(1, 101)


# --- tones that come ----------------------------------------------------------------------------


async def test_tones_are_digits_of_a_leg_without_events(phones: Phones) -> None:
    near = await phones.call(())
    for digit in "159D":
        near.say(tone(digit, 100) + silence(80))
    heard = await phones.told(near, 4)
    assert [(digit, method, carried) for digit, _, method, carried in heard] == [
        (digit, INBAND, False) for digit in "159D"
    ]
    assert all(80 <= ms <= 120 for _, ms, *_ in heard), heard


async def test_a_tone_that_is_cut_off_is_told_when_nothing_comes(phones: Phones) -> None:
    near = await phones.call(())
    near.say(tone("6", 120))
    ((digit, ms, method, _),) = await phones.told(near, 1)
    assert (digit, method) == ("6", INBAND)
    assert 100 <= ms <= 160


async def test_a_packet_lost_inside_a_tone_does_not_make_two_digits_of_it(phones: Phones) -> None:
    near = await phones.call(())
    near.say(tone("8", 60))
    near.media.sequence += 1
    near.media.timestamp += 160
    near.say(tone("8", 60) + silence(80) + tone("2", 60) + silence(80))
    assert [digit for digit, *_ in await phones.told(near, 2)] == ["8", "2"]


@pytest.mark.parametrize(
    ("other", "dtmf", "carried"),
    [((), AUTO, True), (EVENTS, AUTO, False), ((), RFC4733, False), ((), INFO, False)],
)
async def test_tones_reach_a_leg_that_takes_tones(
    phones: Phones, other: tuple[tuple[int, str], ...], dtmf: DtmfMethod, carried: bool
) -> None:
    near, far = await phones.pair((), other, dtmf)
    near.say(tone("3", 100) + silence(100))
    ((_, _, method, got),) = await phones.told(near, 1)
    assert (method, got) == (INBAND, carried)
    assert [one.digit for one in tones_in(await far.media.until(11, 0))] == ["3"]


async def test_tones_of_a_leg_with_events_are_sound(phones: Phones) -> None:
    near, far = await phones.pair()
    near.say(tone("3", 100) + silence(100))
    await far.media.until(11, 0)
    near.press("4")
    assert [digit for digit, *_ in await phones.told(near, 1)] == ["4"]


async def test_a_digit_of_a_leg_that_is_taken_from_its_other_is_not_carried(phones: Phones) -> None:
    near, far = await phones.pair()
    near.press("1")
    await phones.told(near, 1)
    phones.stack.submit(Split(near.leg, far.leg), SendDigits(far.leg, "9", 40))
    await far.media.until(7 + 4, 101)
    near.press("2")
    assert [carried for *_, carried in await phones.told(near, 2)] == [True, False]
