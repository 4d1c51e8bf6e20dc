"""What happens inside the dialogs of a whole quickcall, and what the control plane hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.engine import EngineUnderTest
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip


async def _hang_up(engine: EngineUnderTest) -> None:
    """End the call by its first leg."""
    path = f"/v2/accounts/{engine.account}/channels/{engine.legs()[0]}"
    assert (await engine.http.delete(path)).is_success


async def test_a_phone_that_holds_is_told_and_told_again(engine: EngineUnderTest) -> None:
    nothing = dict.fromkeys(("session", "line", "more"), "a=X-none")
    hold = {"conn": "127.0.0.1", "port": "40000", "media": "a=sendonly", "formats": "0 101"}
    async with (
        Sipp("uas-reinvite", keys=nothing | hold, options=("-d", "500")) as alice,
        Sipp("uas-ring-answer") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).is_success
        end = await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    a_leg, b_leg = engine.legs()
    held = [name for name in engine.names(a_leg) if name.endswith("HOLD")]
    assert held == ["CHANNEL_HOLD", "CHANNEL_UNHOLD"]
    assert not [name for name in engine.names(b_leg) if name.endswith("HOLD")]
    assert end["Hangup-Cause"] == "NORMAL_CLEARING"


async def test_reliable_responses_and_forks_on_both_sides(engine: EngineUnderTest) -> None:
    async with Sipp("uas-prack-forks") as alice, Sipp("uas-update-early") as bob:
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).is_success
        await engine.event("CHANNEL_BRIDGE", count=2)
        _, b_leg = engine.legs()
        await _hang_up(engine)
        end = await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    assert engine.names(b_leg)[:2] == ["CHANNEL_CREATE", "CHANNEL_PROGRESS_MEDIA"]
    assert end["Answered"] is True


async def test_a_call_whose_phone_vanishes_ends_for_both(tmp_path: Path) -> None:
    async with (
        EngineUnderTest(tmp_path, sip_t1_ms=50) as engine,
        Sipp("uas-reinvite-no-ack") as alice,
        Sipp("uas-ring-answer") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        assert (await engine.quickcall(device, "1002")).is_success
        end = await engine.end()
        await alice.succeeded()
        await bob.succeeded()
        a_leg, b_leg = engine.legs()
        cdrs = await engine.cdrs()
    assert end["Hangup-Cause"] == "RECOVERY_ON_TIMER_EXPIRE"
    assert cdrs[a_leg]["hangup_cause"] == "RECOVERY_ON_TIMER_EXPIRE"
    # Bob hears a BYE all the same, and why.
    assert b_leg in cdrs


async def test_sound_follows_a_phone_that_moves(engine: EngineUnderTest) -> None:
    async with RtpPeer(1) as old, RtpPeer(2) as new, RtpPeer(3) as far:
        moves = {"conn": new.host, "port": str(new.port), "media": "a=sendrecv"}
        was = {"old_ip": old.host, "old_port": str(old.port)}
        bobs = {"rtp_ip": far.host, "rtp_port": str(far.port)}
        async with (
            Sipp("uas-reinvite-moves", keys=moves | was) as alice,
            Sipp("uas-rtp-peer", keys=bobs) as bob,
        ):
            device = await engine.device("alice", "1001", alice.uri)
            await engine.device("bob", "1002", bob.uri)
            assert (await engine.quickcall(device, "1002")).is_success
            await engine.event("CHANNEL_BRIDGE", count=2)
            await alice.has_sent("ACK")
            a_leg, b_leg = engine.legs()
            await new.reach(audio_address(engine.local_sdp(a_leg)), far)
            spoken = new.send(audio_address(engine.local_sdp(a_leg)), b"from the new address")
            assert await far.payload() == spoken
            answer = far.send(audio_address(engine.local_sdp(b_leg)), b"to the new address")
            assert await new.payload() == answer
            await _hang_up(engine)
            await engine.end()
            await alice.succeeded()
            await bob.succeeded()
