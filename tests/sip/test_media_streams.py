"""Numbered streams through whole calls: nothing lost, nothing doubled, one stream for each leg."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.kit.audio import AudioPeer
from tests.kit.engine import EngineUnderTest
from tests.kit.numbered import Numbered, gaps, read
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

ENOUGH = 25
"""Packets that must arrive before the next thing is done: half a second of talk."""


def _phone(media: RtpPeer, scenario: str = "uas-rtp-peer", *options: str) -> Sipp:
    """Return a phone whose audio is at an RTP peer."""
    keys = {"rtp_ip": media.host, "rtp_port": str(media.port)}
    return Sipp(scenario, keys=keys, options=options)


async def _act(engine: EngineUnderTest, name: str, **data: object) -> None:
    path = f"/v2/accounts/{engine.account}/channels/{name}"
    response: httpx.Response = await engine.http.post(path, json={"data": data})
    assert response.status_code == 202, response.text


async def _hang_up(engine: EngineUnderTest, name: str) -> None:
    await _act(engine, name, action="hangup")
    assert (await engine.end())["Hangup-Cause"] == "NORMAL_CLEARING"


def _address(engine: EngineUnderTest, leg: str) -> tuple[str, int]:
    """Return where the phone of a leg sends its RTP."""
    return audio_address(engine.local_sdp(leg))


def _one_stream(peer: AudioPeer, name: str) -> None:
    """Require that whatever a phone was sent is one RTP stream: its SSRC, no number twice."""
    packets = [packet for packet in peer.packets if read(packet)[0] == name]
    assert len({packet.ssrc for packet in packets}) == 1
    assert len({packet.sequence for packet in packets}) == len(packets)
    assert len({packet.timestamp for packet in packets}) == len(packets)


async def test_hold_cuts_each_stream_once_and_doubles_nothing(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, hold_music="") as engine,
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        _phone(a_media, "uas-rtp-reoffer") as alice,
        _phone(b_media) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", call_id="talk")
        await engine.event("CHANNEL_BRIDGE", count=2)
        to_a, to_b = (_address(engine, leg) for leg in engine.legs())
        await a_media.reach(to_a, b_media)
        await b_media.reach(to_b, a_media)
        async with Numbered(a_media, "a", to_a) as from_a, Numbered(b_media, "b", to_b) as from_b:
            await from_a.more_at(b_media, ENOUGH)
            await from_b.more_at(a_media, ENOUGH)
            before = from_b.at(a_media)
            assert before == list(range(len(before)))
            await _act(engine, "talk", action="hold")
            await engine.event("CHANNEL_HOLD")
            await _act(engine, "talk", action="unhold")
            await engine.event("CHANNEL_UNHOLD")
            await from_a.more_at(b_media, ENOUGH)
            await from_b.more_at(a_media, ENOUGH)
        for stream, listener, name in ((from_a, b_media, "a"), (from_b, a_media, "b")):
            assert gaps(stream.at(listener)) <= 1
            _one_stream(listener, name)
        await _hang_up(engine, "talk")
        await alice.succeeded()
        await bob.succeeded()


async def test_a_transfer_changes_the_speaker_but_not_the_stream(
    engine: EngineUnderTest,
) -> None:
    async with (
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        AudioPeer(0xC) as c_media,
        _phone(a_media) as alice,
        _phone(b_media) as bob,
        _phone(c_media) as carol,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.device("carol", "1003", carol.uri)
        await engine.quickcall(device, "1002", call_id="talk")
        await engine.event("CHANNEL_BRIDGE", count=2)
        a_leg, b_leg = engine.legs()
        async with (
            Numbered(a_media, "a", _address(engine, a_leg)) as from_a,
            Numbered(b_media, "b", _address(engine, b_leg)) as from_b,
        ):
            await from_a.more_at(b_media, ENOUGH)
            await from_b.more_at(a_media, ENOUGH)
            await _act(engine, "talk", action="transfer", target="1003")
            staying = await engine.event("CHANNEL_TRANSFEREE")
            c_leg = str(staying.payload["Target-Call-ID"])
            await engine.event("CHANNEL_BRIDGE", c_leg)
            stays, talks = (from_b, b_media) if staying.call_id == b_leg else (from_a, a_media)
            async with Numbered(c_media, "c", _address(engine, c_leg)) as from_c:
                await from_c.more_at(talks, ENOUGH)
                await stays.more_at(c_media, ENOUGH)
        for stream, listener in ((stays, c_media), (from_c, talks)):
            assert gaps(stream.at(listener)) == 0
        assert len({packet.ssrc for packet in talks.packets}) == 1
        assert len({packet.sequence for packet in talks.packets}) == len(talks.packets)
        first = next(packet for packet in talks.packets if read(packet)[0] == "c")
        assert first.marker
        await _hang_up(engine, c_leg)
        for phone in (alice, bob, carol):
            await phone.succeeded()


async def test_every_packet_arrives_once_when_the_bridge_is_made(
    engine: EngineUnderTest,
) -> None:
    async with (
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        _phone(a_media) as alice,
        _phone(b_media) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", call_id="talk")
        await engine.event("CHANNEL_BRIDGE", count=2)
        to_a, to_b = (_address(engine, leg) for leg in engine.legs())
        await a_media.reach(to_a, b_media)
        await b_media.reach(to_b, a_media)
        async with Numbered(a_media, "a", to_a) as from_a, Numbered(b_media, "b", to_b) as from_b:
            await from_a.more_at(b_media, 4 * ENOUGH)
            await from_b.more_at(a_media, 4 * ENOUGH)
        for stream, listener, name in ((from_a, b_media, "a"), (from_b, a_media, "b")):
            numbers = stream.at(listener)
            assert numbers == list(range(len(numbers)))
            _one_stream(listener, name)
        await _hang_up(engine, "talk")
        await alice.succeeded()
        await bob.succeeded()
