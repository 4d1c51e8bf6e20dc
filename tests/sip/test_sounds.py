"""What phones hear of the engine itself, and recordings, over HTTP and with real codecs."""

from __future__ import annotations

import asyncio
import wave
from array import array
from pathlib import Path

import httpx
import pytest

from engine import EngineConfig
from engine.phone.process import PhoneProcess
from tests.kit.audio import AudioPeer, cadence, heard, share
from tests.kit.engine import PASSWORD, REALM, EngineUnderTest
from tests.kit.rtp import audio_address
from tests.kit.sipp import Sipp

pytestmark = pytest.mark.sip

A_SSRC, B_SSRC = 0xA11CE, 0xB0B


def phone_of(media: AudioPeer, scenario: str = "uas-rtp-peer", *options: str) -> Sipp:
    """Return a phone whose audio is at an RTP peer."""
    keys = {"rtp_ip": media.host, "rtp_port": str(media.port)}
    return Sipp(scenario, keys=keys, options=options)


async def act(engine: EngineUnderTest, name: str, action: str, **data: object) -> httpx.Response:
    """Ask for something to be done to a channel."""
    path = f"/v2/accounts/{engine.account}/channels/{name}"
    return await engine.http.post(path, json={"data": {"action": action, **data}})


async def test_the_answered_phone_hears_ringback_until_the_other_answers(tmp_path: Path) -> None:
    """That of the default; the first packets of the other side follow in the same stream."""
    default = EngineUnderTest(tmp_path, ringback=EngineConfig().ringback)
    async with default as engine, AudioPeer(A_SSRC) as a_media, AudioPeer(B_SSRC) as b_media:
        ringing = phone_of(b_media, "uas-rtp-peer-rings", "-d", "1500")
        async with phone_of(a_media) as alice, ringing as bob:
            device = await engine.device("alice", "1001", alice.uri)
            await engine.device("bob", "1002", bob.uri)
            await engine.quickcall(device, "1002")
            ringback = list(await a_media.hear(50))
            await engine.event("CHANNEL_BRIDGE", count=2)
            a_leg, b_leg = engine.legs()
            to_b = audio_address(engine.local_sdp(b_leg))
            said = b"\x11" * 160
            while all(packet.payload != said for packet in a_media.packets):
                b_media.send(to_b, said)
                await asyncio.sleep(0.02)
            assert (await act(engine, a_leg, "hangup")).status_code == 202
            await engine.end()
            await alice.succeeded()
            await bob.succeeded()
    samples = heard(ringback)
    assert cadence(samples) == [(True, 1000)]
    assert share(samples, 440, 480) > 0.98
    assert len({packet.ssrc for packet in a_media.packets}) == 1
    assert next(packet for packet in a_media.packets if packet.payload == said).marker


async def test_a_phone_is_told_why_the_other_is_not_reached(tmp_path: Path) -> None:
    announcing = EngineUnderTest(tmp_path, announcements={"USER_BUSY": "tone:600/300"})
    async with (
        announcing as engine,
        AudioPeer(A_SSRC) as media,
        phone_of(media) as alice,
        Sipp("uas-busy-486") as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        assert (await engine.end())["Hangup-Cause"] == "USER_BUSY"
        await alice.succeeded()
        await bob.succeeded()
    assert len(media.packets) == 15
    assert share(heard(media.packets), 600) > 0.95


async def test_a_channel_is_played_to_and_recorded(tmp_path: Path) -> None:
    silent = EngineUnderTest(
        tmp_path,
        sounds_dir=str(tmp_path / "sounds"),
        recordings_dir=str(tmp_path / "calls"),
    )
    async with (
        silent as engine,
        AudioPeer(A_SSRC) as a_media,
        AudioPeer(B_SSRC) as b_media,
        phone_of(a_media) as alice,
        phone_of(b_media) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002", call_id="order-17")
        await engine.event("CHANNEL_BRIDGE", count=2)
        started = await act(engine, "order-17", "record_start", media_name="first.wav")
        assert started.status_code == 202, started.text
        path = tmp_path / "calls" / engine.account / "first.wav"
        assert started.json()["data"]["media_name"] == str(path)
        assert (await engine.event("RECORD_START")).payload["Application-Response"] == str(path)
        again = await act(engine, "order-17", "record_start", media_name="second.wav")
        assert (again.status_code, again.json()["data"]["cause"]) == (409, "recorded")

        assert (await act(engine, "order-17", "play", sound="tone:700/400")).status_code == 202
        played = (await engine.event("CHANNEL_EXECUTE_COMPLETE", "order-17")).payload
        assert played["Application-Name"] == "play"
        assert share(heard(a_media.packets[:20]), 700) > 0.95
        missing = await act(engine, "order-17", "play", sound="missing.wav")
        assert missing.status_code == 202
        failed = (await engine.event("CHANNEL_EXECUTE_COMPLETE", "order-17", count=2)).payload
        assert "No such file" in str(failed["Application-Response"])

        assert (await act(engine, "order-17", "record_stop")).status_code == 202
        stopped = (await engine.event("RECORD_STOP", "order-17")).payload
        assert stopped["Application-Response"] == str(path)
        length = stopped["Length"]
        assert isinstance(length, int)
        assert length >= 400
        taken = await act(engine, "order-17", "record_start", media_name="first.wav")
        assert taken.status_code == 409
        wrong: list[tuple[str, str, object]] = [
            ("play", "sound", "../../etc/passwd.wav"),
            ("record_start", "media_name", "../first.wav"),
            ("record_start", "time_limit", -1),
        ]
        for action, field, value in wrong:
            refused = await act(engine, "order-17", action, **{field: value})
            assert (refused.status_code, list(refused.json()["data"])) == (400, [field])
        assert (await act(engine, "order-17", "hangup")).status_code == 202
        await engine.end()
        ended = (await engine.event("CHANNEL_DESTROY", "order-17")).payload
        assert ended["Media-Recordings"] == [str(path)]
        await alice.succeeded()
        await bob.succeeded()
    with wave.open(str(path), "rb") as file:
        frames = array("h", file.readframes(file.getnframes()))
    left, right = frames[0::2], frames[1::2]
    assert not any(left)
    (sounding,) = [ms for sounds, ms in cadence(right) if sounds]
    assert sounding in (400, 410)  # blocks of 10 ms, which need not begin with the sound


async def test_a_recording_is_complete_when_its_channel_ends(tmp_path: Path) -> None:
    """Of the phone that hangs up and of the one that is hung up."""
    async with (
        EngineUnderTest(tmp_path, recordings_dir=str(tmp_path)) as engine,
        AudioPeer(A_SSRC) as a_media,
        phone_of(a_media) as alice,
        Sipp("uas-ring-answer-bye", options=("-d", "1000")) as bob,
    ):
        device = await engine.device("alice", "1001", alice.uri)
        await engine.device("bob", "1002", bob.uri)
        await engine.quickcall(device, "1002")
        await engine.event("CHANNEL_BRIDGE", count=2)
        legs = engine.legs()
        for leg in legs:
            assert (await act(engine, leg, "record_start")).status_code == 202
        await engine.end()
        await alice.succeeded()
        await bob.succeeded()
    for leg in legs:
        told = [event for event in engine.events if event.call_id == leg]
        names = [event.name for event in told]
        stopped = told[names.index("CHANNEL_DESTROY") - 1].payload
        assert stopped["Event-Name"] == "RECORD_STOP"
        assert "Recording-Error" not in stopped
        with wave.open(str(stopped["Application-Response"]), "rb") as file:
            assert file.getnframes() * 1000 // file.getframerate() == stopped["Length"]


@pytest.mark.parametrize(("codec", "rate"), [("PCMA", 8000), ("G722", 16000), ("opus", 16000)])
async def test_every_codec_is_played_and_recorded(tmp_path: Path, codec: str, rate: int) -> None:
    """A real phone hears 700 Hz as ringback and says 1100 Hz."""
    ringing = EngineUnderTest(tmp_path, ringback="tone:700/1000", recordings_dir=str(tmp_path))
    async with ringing as engine, Sipp("uas-no-answer") as bob:
        device = await engine.device("alice", "1001")
        await engine.device("bob", "1002", bob.uri)
        server = ("--user", "alice", "--realm", REALM, "--server", engine.sip_address())
        alice = await PhoneProcess.start(
            *(
                "alice",
                *server,
                "--codec",
                codec,
                "--answer",
                "always",
                "--tone",
                "1100",
                "--record",
                str(tmp_path / "heard.wav"),
            ),
            password=PASSWORD,
        )
        async with alice:
            await alice.wait_for("registered")
            await engine.quickcall(device, "1002", call_id="order-17")
            await engine.event("CHANNEL_ANSWER")
            started = await act(engine, "order-17", "record_start", time_limit=1.5)
            assert started.status_code == 202, started.text
            stopped = (await engine.event("RECORD_STOP")).payload
            assert stopped["Length"] == 1500
            assert "Recording-Error" not in stopped
            await alice.wait_for("hearing")
            assert (await act(engine, "order-17", "hangup")).status_code == 202
            await engine.end()
            await alice.wait_for("heard")
        await bob.succeeded()
    with wave.open(str(tmp_path / "heard.wav"), "rb") as file:
        heard_rate = file.getframerate()
        samples = array("h", file.readframes(file.getnframes()))
    block = heard_rate // 10
    blocks = [samples[at : at + block] for at in range(5 * block, 15 * block, block)]
    clear = [share(part, 700, rate=heard_rate) > 0.9 for part in blocks]
    assert sum(clear) >= 8  # a busy machine may keep some packets too long for the phone
    # No bang where the sound begins anew: the packets of these codecs hang together.
    assert max(max(part) for part in blocks) < 10_000
    with wave.open(started.json()["data"]["media_name"], "rb") as file:
        assert (file.getframerate(), file.getnframes()) == (rate, rate * 3 // 2)
        frames = array("h", file.readframes(file.getnframes()))
    middle = slice(rate // 2, rate)
    assert share(frames[0::2][middle], 1100, rate=rate) > 0.9
    assert share(frames[1::2][middle], 700, rate=rate) > 0.9
