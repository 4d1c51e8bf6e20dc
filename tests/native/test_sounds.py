"""What is played to legs, heard at an RTP peer: frequency, cadence, level, one steady stream."""

from __future__ import annotations

import asyncio
import math
import struct
import wave
from array import array
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from engine.core.commands import Join, Play, Reoffer, StopPlaying
from engine.core.events import LegAnswered, LegDialed, LegPlayed, LegRang, LegRenegotiated
from engine.core.values import LegId
from tests.kit.audio import AudioPeer, Packet, cadence, heard, level_dbm0, share
from tests.kit.rtp import audio_address
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

A_SSRC, B_SSRC = 0xA11CE, 0xB0B


def phone_of(media: AudioPeer, scenario: str = "uas-rtp-peer") -> Sipp:
    """Return a phone whose audio is at an RTP peer."""
    return Sipp(scenario, keys={"rtp_ip": media.host, "rtp_port": str(media.port)})


def is_one_stream(packets: Sequence[Packet]) -> None:
    """Require one SSRC, sequence numbers without gap, 20 ms a packet, the marker on the first."""
    assert len({packet.ssrc for packet in packets}) == 1
    assert packets[0].marker
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 160
        assert not after.marker


def write_wav(
    path: Path, freq: int, seconds: float, *, rate: int, width: int, channels: int
) -> None:
    """Write a tone; the right side of two has the other sign of a fifth of it."""
    low = 0 if width == 2 else 128
    samples: list[int] = []
    for place in range(round(rate * seconds)):
        value = math.sin(2 * math.pi * freq * place / rate) * (16000 if width == 2 else 60)
        samples += [low + round(value), low - round(value / 5)][:channels]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(array("h", samples).tobytes() if width == 2 else bytes(samples))


async def over(stack: Stack, leg: LegId, play: int) -> LegPlayed:
    """Wait for the end of a sound, which must be told once."""
    while True:
        event = next(
            (
                e
                for e in stack.events
                if isinstance(e, LegPlayed) and (e.leg, e.play) == (leg, play)
            ),
            None,
        )
        if event is not None:
            return event
        async with asyncio.timeout(30):
            await stack.next_event()


def all_over(stack: Stack, leg: LegId) -> list[tuple[int, str]]:
    """Return the ends of sounds that were told of a leg."""
    told = [event for event in stack.events if isinstance(event, LegPlayed) and event.leg == leg]
    return [(event.play, event.error) for event in told]


async def test_a_tone_has_its_frequencies_cadence_and_level(stack: Stack) -> None:
    async with AudioPeer(A_SSRC) as media, phone_of(media) as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(Play(leg, 7, "tone:440+480/300,0/200@-15", repeat=True))
        packets = list(await media.hear(120))
        stack.submit(StopPlaying(leg))
        assert await over(stack, leg, 7) == LegPlayed(leg, 7, "")
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    is_one_stream(packets)
    assert {packet.payload_type for packet in packets} == {0}
    samples = heard(packets)
    whole = cadence(samples)[:-1]
    assert len(whole) >= 8
    assert all(sounds == (number % 2 == 0) for number, (sounds, _) in enumerate(whole))
    assert {ms for sounds, ms in whole if sounds} == {300}
    assert {ms for sounds, ms in whole if not sounds} == {200}
    tone = samples[: 8000 * 300 // 1000]
    assert share(tone, 440, 480) > 0.98
    assert abs(level_dbm0(tone, 440) - -15) < 0.5
    assert abs(level_dbm0(tone, 480) - -15) < 0.5
    assert all_over(stack, leg) == [(7, "")]


@pytest.mark.parametrize(
    ("rate", "width", "channels"),
    [(8000, 2, 1), (8000, 1, 1), (44100, 2, 2), (16000, 1, 2), (11025, 2, 1), (48000, 2, 1)],
)
async def test_a_file_is_heard_once_and_whole(
    stack: Stack, tmp_path: Path, rate: int, width: int, channels: int
) -> None:
    path = tmp_path / "tone.wav"
    write_wav(path, 600, 0.5, rate=rate, width=width, channels=channels)
    async with AudioPeer(A_SSRC) as media, phone_of(media) as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(Play(leg, 1, str(path)))
        assert await over(stack, leg, 1) == LegPlayed(leg, 1, "")
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    is_one_stream(media.packets)
    assert 24 <= len(media.packets) <= 26
    samples = heard(media.packets)
    assert share(samples[800:3200], 600) > 0.95
    # Stereo is mixed: half of the difference of the two sides is left.
    loud = 16000 * (0.4 if channels == 2 else 1)
    assert abs(max(samples) / loud - 1) < 0.1


async def test_what_cannot_be_played_is_told(stack: Stack, tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    write_wav(good, 600, 0.2, rate=8000, width=2, channels=1)
    content = good.read_bytes()
    bad = {
        "empty.wav": (b"", "RIFF"),
        "text.wav": (b"hello, this is no sound at all", "RIFF"),
        "cut.wav": (content[:30], "fmt"),
        "no_data.wav": (content[:36], "no data"),
        "nothing.wav": (content[:40] + bytes(4), "no sound"),
        "float.wav": (content[:20] + b"\x03\0" + content[22:], "PCM"),
        "many.wav": (content[:22] + b"\xff\xff" + content[24:], "65535 channels"),
        "fast.wav": (content[:24] + b"\xff\xff\xff\xff" + content[28:], "4294967295 Hz"),
        "wide.wav": (content[:34] + b"\x20\0" + content[36:], "32 bits"),
        "endless.wav": (content[:16] + b"\xff\xff\xff\xff" + content[20:], "no data"),
        "long.wav": (
            content[:24]
            + struct.pack("<I", 4000)
            + content[28:40]
            + b"\xff" * 4
            + bytes(2 * 4000 * 601),
            "600 s",
        ),
    }
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.wav").mkdir()
    expected = [(name, why) for name, (_, why) in bad.items()]
    expected += [("folder.wav", "no file"), ("missing.wav", "No such file")]
    async with AudioPeer(A_SSRC) as media, phone_of(media) as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        for play, (name, why) in enumerate(expected):
            stack.submit(Play(leg, play, str(tmp_path / name), repeat=True))
            assert why in (await over(stack, leg, play)).error, name
        # A size that lies about more than there is does no harm: what is there is played.
        (tmp_path / "lies.wav").write_bytes(content[:40] + b"\xff\xff\xff\xff" + content[44:])
        stack.submit(Play(leg, 99, str(tmp_path / "lies.wav")))
        assert (await over(stack, leg, 99)).error == ""
        assert 10 <= len(media.packets) <= 11
        stack.submit(Play(leg, 100, "tone:5000/1"), Play(LegId(4711), 101, "tone:425/1000"))
        assert "no tone" in (await over(stack, leg, 100)).error
        assert (await over(stack, LegId(4711), 101)).error == "the leg has no media"
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()


async def test_a_file_that_was_changed_is_read_again(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    async with AudioPeer(A_SSRC) as media, phone_of(media) as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        for play, freq in enumerate((600, 1000)):
            path.unlink(missing_ok=True)
            write_wav(path, freq, 0.2, rate=8000, width=2, channels=1)
            media.forget()
            stack.submit(Play(leg, play, str(path)))
            await over(stack, leg, play)
            assert share(heard(media.packets)[:1440], freq) > 0.95
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()


async def test_each_sound_ends_once(stack: Stack) -> None:
    """Replaced by another, stopped before it began, cut off by the end of the leg."""
    async with AudioPeer(A_SSRC) as media, phone_of(media) as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(Play(leg, 1, "tone:425/1000", repeat=True))
        await media.hear(5)
        stack.submit(Play(leg, 2, "tone:900/1000", repeat=True), StopPlaying(leg))
        stack.submit(StopPlaying(leg), Play(leg, 3, "tone:900/1000", repeat=True))
        media.forget()
        await media.hear(12)
        stack.hang_up(leg)
        await stack.ended(leg)
        await over(stack, leg, 3)
        await phone.succeeded()
    assert share(heard(media.packets[2:12]), 900) > 0.95
    assert all_over(stack, leg) == [(1, ""), (2, ""), (3, "")]


async def test_a_sound_waits_for_the_answer(stack: Stack) -> None:
    async with AudioPeer(A_SSRC) as media, phone_of(media) as phone:
        leg = stack.next_leg()
        stack.submit(stack.dial_command(leg, phone.uri), Play(leg, 1, "tone:425/100"))
        await stack.event(LegAnswered, leg)
        await over(stack, leg, 1)
        story = stack.story(leg)
        assert story.index("LegRang") < story.index("LegAnswered") < story.index("LegPlayed")
        assert len(media.packets) == 5
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()


async def test_a_sound_to_a_leg_that_never_answers_ends_with_it(stack: Stack) -> None:
    async with Sipp("uas-no-answer") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegRang, leg)
        stack.submit(Play(leg, 1, "tone:425/100", repeat=True))
        stack.hang_up(leg)
        await stack.ended(leg)
        await over(stack, leg, 1)
        await phone.succeeded()
    assert all_over(stack, leg) == [(1, "")]


async def test_a_sound_wins_over_the_other_leg_and_gives_way_at_once(stack: Stack) -> None:
    async with AsyncExitStack() as exit_stack:
        a_media = await exit_stack.enter_async_context(AudioPeer(A_SSRC))
        b_media = await exit_stack.enter_async_context(AudioPeer(B_SSRC))
        phones = [await exit_stack.enter_async_context(phone_of(m)) for m in (a_media, b_media)]
        a, b = (stack.dial(phone.uri) for phone in phones)
        for leg in (a, b):
            await stack.event(LegAnswered, leg)
        to_b = audio_address((await stack.event(LegDialed, b)).local_sdp)
        stack.submit(Join(a, b))
        await stack.stock()

        async def say(first: int, count: int) -> None:
            for number in range(first, first + count):
                b_media.send(to_b, bytes([number]) * 160)
                await asyncio.sleep(0.02)

        while not a_media.packets:  # until they are joined
            await say(1, 1)
        await say(2, 4)
        await a_media.hear_payload(bytes([5]) * 160)
        heard_before = len(a_media.packets)
        stack.submit(Play(a, 1, "tone:700/1000", repeat=True))
        await a_media.hear(heard_before + 1)
        await say(10, 20)
        while_playing = a_media.packets[heard_before:]
        stack.submit(StopPlaying(a))
        await over(stack, a, 1)
        await say(40, 5)
        await a_media.hear_payload(bytes([44]) * 160)
        for leg in (a, b):
            stack.hang_up(leg)
            await stack.ended(leg)
        for phone in phones:
            await phone.succeeded()
    numbers = [p.payload[0] for p in a_media.packets if p.payload == p.payload[:1] * 160]
    assert sorted(set(numbers)) == [*range(1, 6), *range(40, 45)]
    assert share(heard(while_playing), 700) > 0.95
    # One stream for the leg's whole life, whoever feeds it.
    assert len({packet.ssrc for packet in a_media.packets}) == 1
    for before, after in pairwise(a_media.packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert 0 < (after.timestamp - before.timestamp) & 0xFFFFFFFF < 8000


async def test_who_is_on_hold_hears_music(stack: Stack) -> None:
    async with AudioPeer(A_SSRC) as media, phone_of(media, "uas-rtp-peer-held") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.submit(Reoffer(leg, hold=True), Play(leg, 1, "tone:700/1000", repeat=True))
        # By then the phone has long answered: it requires an offer to listen only.
        packets = list(await media.hear(60))[40:60]
        stack.submit(StopPlaying(leg))
        await over(stack, leg, 1)
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    assert share(heard(packets), 700) > 0.95


async def test_who_holds_us_hears_nothing(stack: Stack) -> None:
    async with AudioPeer(A_SSRC) as media:
        keys = {"conn": media.host, "port": str(media.port), "formats": "0 101"}
        keys |= {"session": "a=X-none", "media": "a=sendonly", "line": "a=X-none"}
        phone = Sipp("uas-reinvite", keys={**keys, "more": "a=X-none"}, options=("-d", "50"))
        async with phone:
            leg = stack.dial(phone.uri)
            await stack.event(LegRenegotiated, leg)
            stack.submit(Play(leg, 1, "tone:700/60"))
            assert (await over(stack, leg, 1)).error == ""
            await stack.ended(leg)
            await phone.succeeded()
    assert media.packets == []
