"""Digits through the whole engine: from each way a phone sends them to each way one takes them."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest

from engine.control.feed import FeedEvent
from engine.phone.process import PhoneProcess
from tests.kit.digit_peer import DigitPeer, silence, tone, tones_in
from tests.kit.digit_phone import PCMU, digit_phone, digits_told
from tests.kit.engine import PASSWORD, REALM, EngineUnderTest
from tests.kit.rtp import audio_address
from tests.kit.sipp import GUARD_S, Sipp
from tests.kit.sipp_files import SippMessage

pytestmark = pytest.mark.sip

NUMBERS = {"alice": 110, "bob": 96}
"""Payload types of telephone-event, other than ours."""
_METHODS = {"none": "auto", "both": "auto"}
_cseqs = itertools.count(100)


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone of a call, and how the engine names its leg."""

    media: DigitPeer
    sipp: Sipp
    call_id: str
    engine: tuple[str, int]
    sip: str

    @property
    def type(self) -> int:
        return NUMBERS["alice" if self.media.ssrc == 0xA11CE else "bob"]


@asynccontextmanager
async def talking(
    engine: EngineUnderTest, source: str, target: str
) -> AsyncIterator[tuple[Phone, Phone]]:
    """Two phones that talk.

    Each takes digits as its way says: `none` is a device without a method of its own and a phone
    without telephone-event, `both` one with it.
    """
    media = DigitPeer(0xA11CE), DigitPeer(0xB0B)
    ways = dict(zip(NUMBERS, (source, target), strict=True))
    async with media[0], media[1]:
        phones = [
            digit_phone(peer.address, _formats(name, way))
            for peer, (name, way) in zip(media, ways.items(), strict=True)
        ]
        async with phones[0], phones[1]:
            devices = [
                await engine.device(
                    name, f"100{place}", sipp.uri, media={"dtmf": _METHODS.get(way, way)}
                )
                for place, (sipp, (name, way)) in enumerate(
                    zip(phones, ways.items(), strict=True), 1
                )
            ]
            await engine.quickcall(devices[0], "1002")
            await engine.event("CHANNEL_BRIDGE", count=2)
            ready = [
                Phone(peer, sipp, leg, audio_address(engine.local_sdp(leg)), engine.sip_address())
                for peer, sipp, leg in zip(media, phones, engine.legs(), strict=True)
            ]
            # The bridge is told when it is ordered; what is said before it is made goes nowhere.
            async with ready[0].media.talking(ready[0].engine, silence(20)):
                await ready[1].media.until(1, 0)
            yield ready[0], ready[1]
            response = await engine.http.delete(
                f"/v2/accounts/{engine.account}/channels/{ready[0].call_id}"
            )
            assert response.is_success
            await engine.end()
            for sipp in phones:
                await sipp.succeeded()


def _formats(name: str, way: str) -> tuple[tuple[int, str], ...]:
    events = (NUMBERS[name], "telephone-event/8000")
    return (PCMU, events) if way in ("rfc4733", "both") else (PCMU,)


async def press(phone: Phone, way: str, digit: str) -> None:
    """Press a key for 120 ms."""
    if way == "rfc4733":
        phone.media.press(phone.engine, digit, 120, phone.type)
    elif way == "info":
        await _send_info(phone, digit)
    else:
        phone.media.send_sound(phone.engine, tone(digit, 120) + silence(100))


async def _send_info(phone: Phone, digit: str) -> None:
    """Send an INFO in the dialog of the phone and await its 200."""
    messages = phone.sipp.messages_now()
    answer = next(m for m in messages if m.status == 200 and "INVITE" in m.header("CSeq"))
    body = f"Signal={digit}\r\nDuration=120\r\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        via = ":".join(map(str, peer.getsockname()))
        text = (
            f"INFO sip:quickcall@{phone.sip} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {via};branch=z9hG4bK{uuid4().hex}\r\n"
            f"From: {answer.header('To')}\r\nTo: {answer.header('From')}\r\n"
            f"Call-ID: {answer.header('Call-ID')}\r\nCSeq: {next(_cseqs)} INFO\r\n"
            "Max-Forwards: 70\r\nContent-Type: application/dtmf-relay\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        host, _, port = phone.sip.rpartition(":")
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(peer, text.encode(), (host, int(port)))
        async with asyncio.timeout(GUARD_S):
            assert (await loop.sock_recv(peer, 4096)).startswith(b"SIP/2.0 200")


async def arrives(phone: Phone, way: str, digits: str) -> None:
    """Wait until these digits have come to a phone the way it takes them."""
    if way == "rfc4733":
        got = await phone.media.events(len(digits), phone.type)
        assert [one.digit for one in got] == list(digits)
        assert all(100 <= one.ms <= 160 for one in got), got
    elif way == "info":
        await phone.sipp.has_received("INFO", len(digits))
        assert _infos(phone.sipp.messages_now()) == list(digits)
    else:
        got = await phone.media.tones(len(digits))
        assert [one.digit for one in got] == list(digits)
        assert all(100 <= one.ms <= 160 for one in got), got


def _infos(messages: list[SippMessage]) -> list[str]:
    found = {}
    for message in messages:
        if message.method == "INFO":
            said = re.search(r"Signal=(.)\nDuration=(\d+)", message.body)
            assert said is not None, message.body
            assert 100 <= int(said[2]) <= 160
            found[message.header("CSeq")] = said[1]
    return list(found.values())


def _told(engine: EngineUnderTest) -> list[FeedEvent]:
    return [event for event in engine.events if event.name == "DTMF"]


@pytest.mark.parametrize("target", ["rfc4733", "info", "inband", "none"])
@pytest.mark.parametrize("source", ["rfc4733", "info", "inband", "none"])
async def test_each_digit_arrives_once(engine: EngineUnderTest, source: str, target: str) -> None:
    way = "inband" if source == "none" else source
    takes = "inband" if target == "none" else target
    async with talking(engine, source, target) as (alice, bob):
        for count, digit in enumerate("1#", 1):
            await press(alice, way, digit)
            await engine.event("DTMF", alice.call_id, count)
            await arrives(bob, takes, "1#"[:count])
        # What is behind them arrives too, and nothing was between.
        async with alice.media.talking(alice.engine, b"\x7f" * 160):
            before = len(bob.media.of(0))
            await bob.media.until(before + 3, 0)
        if takes != "rfc4733":
            assert bob.media.of(bob.type) == []
        if takes != "info":
            assert _infos(bob.sipp.messages_now()) == []
        if takes != "inband" and way != "inband":
            assert tones_in(bob.media.of(0)) == []
    assert digits_told(engine) == ["1#", ""]
    for event, digit in zip(_told(engine), "1#", strict=True):
        assert (event.payload["DTMF-Digit"], event.payload["DTMF-Method"]) == (digit, way)
        assert 100 <= int(str(event.payload["DTMF-Duration"])) <= 160


async def test_a_phone_that_sends_a_digit_in_two_ways_is_heard_once(
    engine: EngineUnderTest,
) -> None:
    async with talking(engine, "both", "rfc4733") as (alice, bob):
        await press(alice, "rfc4733", "5")
        await press(alice, "info", "5")
        await press(alice, "rfc4733", "6")
        await arrives(bob, "rfc4733", "56")
        await engine.event("DTMF", count=2)
    assert digits_told(engine) == ["56", ""]


@pytest.mark.parametrize("way", ["rfc4733", "info", "inband"])
async def test_digits_are_sent_over_http(engine: EngineUnderTest, way: str) -> None:
    async with talking(engine, "rfc4733", way) as (_, bob):
        path = f"/v2/accounts/{engine.account}/channels/{bob.call_id}"
        data = {"action": "dtmf", "digits": "0*d", "duration": 120}
        response = await engine.http.post(path, json={"data": data})
        assert response.status_code == 202, response.text
        await arrives(bob, way, "0*D")
    assert digits_told(engine) == ["", ""], "what we send is nobody's key press"


@pytest.mark.parametrize("by", ["rfc4733", "info"])
@pytest.mark.parametrize("takes", ["auto", "info"])
async def test_pjsua_phones_press_and_hear(engine: EngineUnderTest, by: str, takes: str) -> None:
    """bob presses once he hears alice; each of her two ways of hearing is that of her device."""
    device = await engine.device("alice", "1001", media={"dtmf": takes})
    await engine.device("bob", "1002")
    server = ("--realm", REALM, "--server", engine.sip_address(), "--answer", "always")
    pressing = ("--digits", "4711#", "--digits-by", by)
    alice = await PhoneProcess.start(
        "alice", "--user", "alice", "--tone", "700", *server, password=PASSWORD
    )
    bob = await PhoneProcess.start("bob", "--user", "bob", *server, *pressing, password=PASSWORD)
    async with alice, bob:
        for phone in (alice, bob):
            await phone.wait_for("registered")
        await engine.quickcall(device, "1002", auto_answer=True)
        heard = [
            await alice.wait_for("digit", count=count, timeout_s=GUARD_S) for count in range(1, 6)
        ]
        await engine.event("DTMF", count=5)
        leg = engine.legs()[0]
        path = f"/v2/accounts/{engine.account}/channels/{leg}"
        assert (await engine.http.delete(path)).is_success
        await engine.end()
        await alice.wait_for("ended")
    assert "".join(str(one["digit"]) for one in heard) == "4711#"
    assert {one["method"] for one in heard} == {"info" if takes == "info" else "rfc4733"}
    assert len([said for said in alice.events if said["event"] == "digit"]) == 5
    assert digits_told(engine) == ["", "4711#"]
