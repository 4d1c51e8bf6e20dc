"""Bypass media: two phones, SIPp both, are told each other's address; their RTP is the test's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from engine.core.commands import FreeMedia, Join, Reoffer, TakeStock
from engine.core.events import (
    LegAnswered,
    LegEnded,
    LegRenegotiated,
    LegReofferFailed,
    StockTaken,
)
from engine.core.values import LegId, Party
from engine.sip.port import Listener, SipConfig
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import GUARD_S, Stack
from tests.native.test_dialog import answers, direction, offers, version

pytestmark = [pytest.mark.native, pytest.mark.sip]

QUICK = SipConfig((Listener("udp", "127.0.0.1", 0),), t1_ms=50)


def formats(message: SippMessage) -> list[str]:
    """The payload types of the audio line of a description."""
    found = re.search(r"^m=audio \d+ RTP/AVP (.+?)\r?$", message.body, re.MULTILINE)
    assert found, message.body
    return found[1].split()


def attributes(message: SippMessage) -> set[str]:
    """The names of the attributes of a description."""
    return set(re.findall(r"^a=([\w-]+)", message.body, re.MULTILINE))


@dataclass
class Call:
    """Two answered legs that are joined, and their phones."""

    stack: Stack
    phones: tuple[Sipp, Sipp]
    rtp: tuple[RtpPeer, RtpPeer]
    legs: tuple[LegId, LegId]

    async def shift(self, first: int = 0, free: bool = True) -> None:
        """Have the phones send to each other; `first` is told the other's address first."""
        for one in (first, 1 - first):
            await self.reoffer(one, bypass=True)
        if free:
            self.stack.submit(FreeMedia(*self.legs))

    async def reoffer(self, one: int, *, bypass: bool) -> LegRenegotiated:
        """Offer a phone the other's address, or ours, and wait until it has taken it."""
        leg, other = self.legs[one], self.legs[1 - one]
        count = len(self.renegotiated(one, by_us=True))
        self.stack.submit(Reoffer(leg, hold=False, media_of=other if bypass else None))
        while len(self.renegotiated(one, by_us=True)) == count:
            await self.stack.next_event()
        return self.renegotiated(one, by_us=True)[-1]

    def renegotiated(self, one: int, *, by_us: bool) -> list[LegRenegotiated]:
        """What was told of the media of a leg."""
        leg = self.legs[one]
        events = [event for event in self.stack.events if isinstance(event, LegRenegotiated)]
        return [event for event in events if event.leg == leg and event.by_us is by_us]

    async def peer_offered(self, one: int, count: int) -> LegRenegotiated:
        """Wait for the `count`th change that a phone made, and return it."""
        while len(self.renegotiated(one, by_us=False)) < count:
            await self.stack.next_event()
        return self.renegotiated(one, by_us=False)[count - 1]

    async def hang_up(self) -> tuple[list[SippMessage], list[SippMessage]]:
        """End both legs, and return what each phone saw."""
        for leg in self.legs:
            self.stack.hang_up(leg)
        for leg in self.legs:
            await self.stack.ended(leg)
        return await self.phones[0].succeeded(), await self.phones[1].succeeded()

    async def ports_are_free(self) -> None:
        """Wait until stragglers are passed on no longer: nothing tells, so look every 10 ms."""
        deadline = asyncio.get_running_loop().time() + GUARD_S
        while self.stack.sip.stats().media_ports:
            assert asyncio.get_running_loop().time() < deadline, self.stack.sip.stats()
            await asyncio.sleep(0.01)

    async def media_ports(self) -> int:
        """Ports in use, of one moment."""
        before = sum(isinstance(event, StockTaken) for event in self.stack.events)
        self.stack.submit(TakeStock())
        while True:
            stocks = [event for event in self.stack.events if isinstance(event, StockTaken)]
            if len(stocks) > before:
                return stocks[-1].media_ports
            await self.stack.next_event()


@asynccontextmanager
async def call(
    scenarios: tuple[str, str] = ("uas-bypass", "uas-bypass"),
    keys: Mapping[str, str] | None = None,
    later: int = 0,
    events: tuple[int, int] = (101, 101),
    config: SipConfig = QUICK,
) -> AsyncIterator[Call]:
    """Two answered legs that are joined; `later` is added to the port in answers inside the dialog,
    `events` are their numbers of telephone-event."""
    async with AsyncExitStack() as entered:
        stack = await entered.enter_async_context(Stack(config))
        media = [await entered.enter_async_context(RtpPeer(ssrc)) for ssrc in (1, 2)]
        phones, legs = [], []
        for scenario, rtp, event in zip(scenarios, media, events, strict=True):
            own = {"rtp_ip": rtp.host, "rtp_port": str(rtp.port), "event": str(event)}
            own["later_port"] = str(rtp.port + later)
            phone = await entered.enter_async_context(Sipp(scenario, keys={**own, **(keys or {})}))
            phones.append(phone)
            legs.append(stack.dial(phone.uri))
            await stack.event(LegAnswered, legs[-1])
        stack.submit(Join(legs[0], legs[1]))
        made = Call(stack, (phones[0], phones[1]), (media[0], media[1]), (legs[0], legs[1]))
        await made.media_ports()  # answered after the Join
        yield made


# --- the shift ----------------------------------------------------------------------------------


async def test_each_phone_is_told_the_other_and_nothing_of_its_own_matters() -> None:
    async with call(events=(101, 97)) as made:
        await made.shift()
        seen = await made.hang_up()
    (first, told), (other_first, other_told) = (offers(messages) for messages in seen)
    a, b = made.rtp
    assert audio_address(told.body) == (b.host, b.port)
    assert audio_address(other_told.body) == (a.host, a.port)
    assert formats(told) == ["0", "97"]  # B's numbers, its codec alone
    assert formats(other_told) == ["0", "101"]
    for dialled, offered in ((first, told), (other_first, other_told)):
        identity, number = version(dialled)
        assert version(offered) == (identity, number + 1)
        assert offered.body.count("m=") == 1
        assert direction(offered) == "sendrecv"
        assert attributes(offered) <= {"rtpmap", "fmtp", "ptime", "maxptime", "rtcp", "sendrecv"}
        # Nothing but its refreshes tells that a phone without media here has gone.
        assert offered.header("Session-Expires")
    assert [made.stack.story(leg) for leg in made.legs] == [
        ["LegDialed", "LegAnswered", "LegRenegotiated", "LegEnded"]
    ] * 2


async def test_session_timers_run_even_where_none_are_wanted() -> None:
    async with call(config=replace(QUICK, session_expires_s=0)) as made:
        await made.shift()
        seen = await made.hang_up()
    for messages in seen:
        dialled, offered = offers(messages)
        assert not dialled.headers("Session-Expires")
        assert offered.header("Session-Expires").startswith("600")
        assert "timer" in offered.header("Supported")


async def test_no_packet_is_lost_or_doubled_while_the_media_move() -> None:
    async with call() as made:
        (a, b), messages = made.rtp, made.phones[0].messages_now()
        ours = audio_address(next(m for m in messages if m.method == "INVITE").body)
        sent = [a.send(ours, b"before-%d" % i) for i in range(20)]
        await made.reoffer(0, bypass=True)
        # It has not acted on the offer yet, then it has.
        sent += [a.send(ours, b"while-%d" % i) for i in range(20)]
        assert [await b.payload() for _ in sent] == sent
        await made.reoffer(1, bypass=True)
        made.stack.submit(FreeMedia(*made.legs))
        late = [a.send(ours, b"straggler-%d" % i) for i in range(5)]
        assert [await b.payload() for _ in late] == late
        direct = a.send((b.host, b.port), b"direct")
        assert await b.payload() == direct
        await made.hang_up()


async def test_the_ports_are_given_back_and_taken_again_on_the_way_back() -> None:
    async with call() as made:
        await made.shift()
        await made.ports_are_free()
        back = [await made.reoffer(one, bypass=False) for one in (0, 1)]
        assert [event.held for event in back] == [False, False]
        assert await made.media_ports() == 2
        a, b = made.rtp
        told = [offers(phone.messages_now())[-1].body for phone in made.phones]
        addresses = [audio_address(body) for body in told]
        assert len({*addresses, (a.host, a.port), (b.host, b.port)}) == 4
        for _ in range(3):  # whoever is heard first is latched on to
            there, back_again = a.send(addresses[0], b"there"), b.send(addresses[1], b"back")
            assert (await b.payload(), await a.payload()) == (there, back_again)
        await made.hang_up()


async def test_what_one_sends_to_us_early_on_the_way_back_reaches_the_other() -> None:
    async with call() as made:
        await made.shift()
        await made.ports_are_free()
        await made.reoffer(0, bypass=False)
        ours = audio_address(offers(made.phones[0].messages_now())[-1].body)
        (a, b) = made.rtp
        early = a.send(ours, b"early")
        assert await b.payload() == early
        await made.hang_up()


async def test_without_a_port_left_the_media_stay_where_they_are() -> None:
    first = 38000 + 8 * (id(object()) % 97)
    async with call(config=replace(QUICK, rtp_ports=(first, first + 3))) as made:
        await made.shift()
        await made.ports_are_free()
        async with Sipp("uas-ring-answer") as third:
            taken = made.stack.dial(third.uri)
            await made.stack.event(LegAnswered, taken)
            made.stack.submit(Reoffer(made.legs[0], hold=False))
            failed = await made.stack.event(LegReofferFailed, made.legs[0])
            assert (failed.sip_status, failed.reason) == (0, "no media port is left")
            made.stack.hang_up(taken)
            await made.stack.ended(taken)
            await third.succeeded()
        seen = await made.hang_up()
    assert [len(offers(messages)) for messages in seen] == [2, 2]


async def test_a_phone_may_answer_with_another_port() -> None:
    async with call(later=2) as made:
        await made.shift()
        _, other = await made.hang_up()
    a = made.rtp[0]
    assert audio_address(offers(other)[-1].body) == (a.host, a.port + 2)


# --- refused, crossed ---------------------------------------------------------------------------


@pytest.mark.parametrize("refuses", [0, 1])
async def test_a_phone_that_refuses_keeps_its_media(refuses: int) -> None:
    scenarios = ("uas-bypass-refuses", "uas-bypass")
    async with call(scenarios if refuses == 0 else scenarios[::-1]) as made:
        if refuses == 1:
            await made.reoffer(0, bypass=True)
        leg, other = made.legs[refuses], made.legs[1 - refuses]
        made.stack.submit(Reoffer(leg, hold=False, media_of=other))
        failed = await made.stack.event(LegReofferFailed, leg)
        made.stack.submit(FreeMedia(leg, other))
        assert (failed.sip_status, await made.media_ports()) == (488, 2)
        if refuses == 1:
            await made.reoffer(0, bypass=False)
        seen = await made.hang_up()
    if refuses == 1:
        first, _, back = offers(seen[0])
        assert audio_address(back.body) == audio_address(first.body)
        assert version(back)[1] == version(first)[1] + 2


async def test_glare_with_both_is_tried_again() -> None:
    async with call(("uas-bypass-glare", "uas-bypass-glare")) as made:
        await made.shift()
        seen = await made.hang_up()
    for messages in seen:
        _, refused, taken = offers(messages)
        assert version(refused) == version(taken)
        assert audio_address(refused.body) == audio_address(taken.body)


@pytest.mark.parametrize(
    ("scenario", "party", "status"),
    [
        ("uas-bypass-gone", Party.TIMEOUT, 481),
        ("uas-reoffer-unanswered", Party.TIMEOUT, 408),
        ("uas-reoffer-bye-crossing", Party.REMOTE, 200),
    ],
)
async def test_a_leg_that_ends_while_it_is_asked(scenario: str, party: Party, status: int) -> None:
    async with call((scenario, "uas-bypass")) as made:
        a, b = made.legs
        made.stack.submit(Reoffer(a, hold=False, media_of=b))
        ended = await made.stack.event(LegEnded, a)
        assert (ended.party, ended.sip_status) == (party, status)
        made.stack.submit(Reoffer(b, hold=False, media_of=a))
        failed = await made.stack.event(LegReofferFailed, b)
        assert (failed.sip_status, failed.reason) == (0, "the other leg has no media")
        made.stack.hang_up(b)
        await made.stack.ended(b)
        for phone in made.phones:
            await phone.succeeded()
        await made.stack.transactions_over()


async def test_hanging_up_while_a_phone_is_asked_leaves_nothing() -> None:
    async with call(("uas-reoffer-hung-up", "uas-bypass")) as made:
        a, b = made.legs
        made.stack.submit(Reoffer(a, hold=False, media_of=b))
        await made.phones[0].has_received("INVITE", 2)
        await made.hang_up()
        await made.stack.transactions_over()
    assert "LegRenegotiated" not in made.stack.story(a)


# --- offers of the phones -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media", "conn", "theirs", "told"),
    [
        ("a=sendonly", "", "recvonly", "sendonly"),
        ("a=inactive", "", "inactive", "inactive"),
        ("a=sendrecv", "0.0.0.0", "recvonly", "sendonly"),
        ("a=sendrecv", "", "sendrecv", "sendrecv"),
    ],
)
async def test_a_phone_moves_holds_and_asks_in_bypass(
    media: str, conn: str, theirs: str, told: str
) -> None:
    moved = {"conn": conn or "127.0.0.9", "port": "41000", "media": media, "formats": "0 101"}
    async with call(("uas-bypass-offers", "uas-bypass"), moved) as made:
        other = made.rtp[1]
        await made.shift(first=1)
        change = await made.peer_offered(0, 1)
        assert change.held is (told != "sendrecv")
        back = await made.peer_offered(0, 2)
        assert back.held is False
        await made.phones[0].has_received("SIP/2.0 200", 3)
        seen = await made.hang_up()
    first, full = answers(seen[0], "INVITE")
    (update,) = answers(seen[0], "UPDATE")
    # Answered at once, with the other phone's address.
    for answer in (first, update, full):
        assert audio_address(answer.body) == (other.host, other.port)
        assert formats(answer)[0] == "0"
    assert (direction(first), direction(update)) == (theirs, "sendrecv")
    assert len(offers(seen[1])) == 2


async def test_an_offer_that_does_not_suit_the_other_phone_is_refused() -> None:
    async with call(("uas-bypass-offers-488", "uas-bypass"), {"formats": "8 101"}) as made:
        await made.shift(first=1)
        await made.phones[0].has_received("SIP/2.0 488", 2)
        await made.hang_up()
        assert made.renegotiated(0, by_us=False) == []


async def test_what_a_phone_offers_is_passed_on_to_the_other() -> None:
    """The hold of one, and the port it has moved to."""
    held = {"conn": "127.0.0.9", "port": "41000", "media": "a=sendonly", "formats": "0 101"}
    async with call(("uas-bypass-holds", "uas-bypass"), held) as made:
        await made.shift(first=1)
        await made.peer_offered(0, 1)
        # The other one offers while it is held: it is told so, and that it is heard no more.
        passed = await made.reoffer(1, bypass=True)
        assert not passed.held
        await made.hang_up()
        seen = made.phones[1].messages_now()
    offer = offers(seen)[-1]
    assert audio_address(offer.body) == ("127.0.0.9", 41000)
    assert direction(offer) == "sendonly"


async def test_an_invite_may_name_the_other_phone_at_once() -> None:
    async with call() as made, RtpPeer(3) as rtp:
        keys = {"rtp_ip": rtp.host, "rtp_port": str(rtp.port), "later_port": "4", "event": "101"}
        async with Sipp("uas-bypass", keys=keys) as third:
            stack, a = made.stack, made.legs[0]
            command = replace(stack.dial_command(stack.next_leg(), third.uri), media_of=a)
            stack.submit(command)
            await stack.event(LegAnswered, command.leg)
            stack.submit(Reoffer(a, hold=False, media_of=command.leg))
            await stack.event(LegRenegotiated, a)
            stack.submit(FreeMedia(a, command.leg))
            stack.hang_up(command.leg)
            await stack.ended(command.leg)
            (invite,) = offers(await third.succeeded())
        told, _ = await made.hang_up()
    assert audio_address(invite.body) == (made.rtp[0].host, made.rtp[0].port)
    assert formats(invite) == ["0", "101"]
    assert audio_address(offers(told)[-1].body) == (rtp.host, rtp.port)


async def test_an_invite_cannot_name_a_phone_that_is_not_there(stack: Stack) -> None:
    command = replace(stack.dial_command(stack.next_leg(), "sip:a@127.0.0.1:9"), media_of=LegId(99))
    stack.submit(command)
    ended = await stack.ended(command.leg)
    assert (ended.party, ended.warning) == (Party.POLICY, "the leg of media_of has no media")
