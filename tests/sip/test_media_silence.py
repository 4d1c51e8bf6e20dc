"""Phones that send nothing: one-way audio is named, and dead media end a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.audio import AudioPeer
from tests.kit.engine import EngineUnderTest
from tests.kit.numbered import Numbered
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


def _phone(media: RtpPeer) -> Sipp:
    """Return a phone whose audio is at an RTP peer."""
    keys = {"rtp_ip": media.host, "rtp_port": str(media.port)}
    return Sipp("uas-rtp-peer", keys=keys)


async def _bridged(engine: EngineUnderTest, alice: Sipp, bob: Sipp) -> tuple[str, str]:
    """Connect the two and return their legs."""
    device = await engine.device("alice", "1001", alice.uri)
    await engine.device("bob", "1002", bob.uri)
    await engine.quickcall(device, "1002", call_id="talk")
    await engine.event("CHANNEL_BRIDGE", count=2)
    a_leg, b_leg = engine.legs()
    return a_leg, b_leg


async def test_a_call_without_media_ends_by_itself(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, rtp_timeout_s=1, one_way_s=0) as engine,
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        _phone(a_media) as alice,
        _phone(b_media) as bob,
    ):
        await _bridged(engine, alice, bob)
        assert (await engine.end())["Hangup-Cause"] == "MEDIA_TIMEOUT"
        await alice.succeeded()
        await bob.succeeded()


async def test_one_way_audio_is_named_and_the_call_goes_on(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, rtp_timeout_s=0, one_way_s=1) as engine,
        AudioPeer(0xA) as a_media,
        AudioPeer(0xB) as b_media,
        _phone(a_media) as alice,
        _phone(b_media) as bob,
    ):
        a_leg, b_leg = await _bridged(engine, alice, bob)
        to_a = audio_address(engine.local_sdp(a_leg))
        async with Numbered(a_media, "a", to_a) as from_a:
            await from_a.more_at(b_media, 10)
            assert (await engine.event("MEDIA_ONE_WAY")).call_id == b_leg
            await from_a.more_at(b_media, 10)
        path = f"/v2/accounts/{engine.account}/channels/talk"
        assert (await engine.http.delete(path)).is_success
        assert (await engine.end())["Hangup-Cause"] != "MEDIA_TIMEOUT"
        assert [e.call_id for e in engine.events if e.name == "MEDIA_ONE_WAY"] == [b_leg]
        await alice.succeeded()
        await bob.succeeded()
