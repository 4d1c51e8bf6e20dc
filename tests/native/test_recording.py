"""Recordings: stereo, aligned, bounded, readable at any time."""

from __future__ import annotations

import asyncio
import os
import resource
import stat
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.core.commands import Join, Play, Record, StopRecording
from engine.core.events import LegAnswered, LegDialed, LegRecorded
from engine.core.values import LegId
from tests.kit.audio import AudioPeer, cadence, share
from tests.kit.rtp import audio_address
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

A_HZ, B_HZ = 500, 1100


@dataclass(frozen=True, slots=True)
class Talk:
    """Two joined legs and their audio."""

    a: LegId
    b: LegId
    a_media: AudioPeer
    b_media: AudioPeer
    to_a: tuple[str, int]
    to_b: tuple[str, int]


@asynccontextmanager
async def talk(stack: Stack) -> AsyncIterator[Talk]:
    """Join two phones; they are hung up in the end."""
    async with AsyncExitStack() as exit_stack:
        peers = [await exit_stack.enter_async_context(AudioPeer(ssrc)) for ssrc in (0xA, 0xB)]
        phones = [
            await exit_stack.enter_async_context(
                Sipp("uas-rtp-peer", keys={"rtp_ip": peer.host, "rtp_port": str(peer.port)})
            )
            for peer in peers
        ]
        legs = [stack.dial(phone.uri) for phone in phones]
        addresses = []
        for leg in legs:
            await stack.event(LegAnswered, leg)
            addresses.append(audio_address((await stack.event(LegDialed, leg)).local_sdp))
        stack.submit(Join(*legs))
        yield Talk(legs[0], legs[1], peers[0], peers[1], addresses[0], addresses[1])
        for leg in legs:
            stack.hang_up(leg)
            await stack.ended(leg)
        for phone in phones:
            await phone.succeeded()


async def begun(path: Path) -> None:
    """Wait until a recording has begun, and with that the two are joined; looks every 10 ms."""
    async with asyncio.timeout(30):
        while True:
            if path.exists():
                return
            await asyncio.sleep(0.01)


def sides(path: Path) -> tuple[int, array[int], array[int]]:
    """Return the rate and the left and the right side of a recording."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        frames = array("h", file.readframes(file.getnframes()))
        return file.getframerate(), frames[0::2], frames[1::2]


async def test_what_is_said_is_left_and_what_is_heard_is_right(
    stack: Stack, tmp_path: Path
) -> None:
    path = tmp_path / "call.wav"
    async with talk(stack) as both:
        stack.submit(Record(both.a, str(path)))
        await begun(path)
        async with asyncio.TaskGroup() as group:
            group.create_task(both.a_media.say(both.to_a, A_HZ, 2.4, pause_s=0.4))
            group.create_task(both.b_media.say(both.to_b, B_HZ, 2.4, pause_s=0.4))
        stack.submit(StopRecording(both.a))
        told = await stack.event(LegRecorded, both.a)
    assert (told.path, told.error) == (str(path), "")
    rate, left, right = sides(path)
    assert rate == 8000
    assert told.seconds == pytest.approx(len(left) / rate, abs=0.01)
    assert told.seconds >= 2.4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said, heard = cadence(left), cadence(right)
    for parts, samples, freq, other in ((said, left, A_HZ, B_HZ), (heard, right, B_HZ, A_HZ)):
        sounding = [ms for sounds, ms in parts if sounds]
        assert len(sounding) == 3
        assert all(380 <= ms <= 420 for ms in sounding)
        start = _begins(parts) * rate // 1000
        assert share(samples[start + 400 : start + 2800], freq) > 0.95
        assert share(samples[start + 400 : start + 2800], other) < 0.01
    # Both began at once: within what a busy machine makes of that.
    assert abs(_begins(said) - _begins(heard)) <= 150


def _begins(parts: list[tuple[bool, int]]) -> int:
    """Return when the first part sounds, milliseconds."""
    return 0 if parts[0][0] else parts[0][1]


async def test_what_is_played_is_heard(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    async with talk(stack) as both:
        stack.submit(Record(both.a, str(path)), Play(both.a, 1, "tone:700/1000", repeat=True))
        await both.a_media.hear(40)
    told = await stack.event(LegRecorded, both.a)
    assert told.error == ""
    _, left, right = sides(path)
    assert not any(left)
    start = _begins(cadence(right)) * 8
    assert share(right[start : start + 4800], 700) > 0.95


async def test_a_recording_ends_by_itself(stack: Stack, tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    async with talk(stack) as both:
        stack.submit(Record(both.a, str(path), max_s=0.5))
        told = await stack.event(LegRecorded, both.a)
        assert (told.seconds, told.error) == (0.5, "")
        assert len(sides(path)[1]) == 4000
        # It may be stopped all the same, and the leg recorded again.
        again = tmp_path / "again.wav"
        stack.submit(StopRecording(both.a), Record(both.a, str(again)), StopRecording(both.a))
        assert (await stack.events_of(LegRecorded, both.a, 2))[1].path == str(again)
        await stack.transactions_over()
    ends = [event for event in stack.events if isinstance(event, LegRecorded)]
    assert [event.path for event in ends] == [str(path), str(again)]


async def test_it_can_be_read_while_it_is_written(stack: Stack, tmp_path: Path) -> None:
    """As after a crash: the header says what is there."""
    path = tmp_path / "call.wav"
    async with talk(stack) as both:
        stack.submit(Record(both.a, str(path)))
        speaking = asyncio.create_task(both.a_media.say(both.to_a, A_HZ, 20))
        while not path.exists() or path.stat().st_size < 44 + 4 * 8000 * 2:
            assert not speaking.done(), "nothing was written meanwhile"
            await asyncio.sleep(0.02)
        speaking.cancel()
        _, left, _ = sides(path)
        assert len(left) >= 8000
        middle = len(left) // 2
        assert share(left[middle : middle + 2400], A_HZ) > 0.95


async def test_what_cannot_be_recorded_is_told(stack: Stack, tmp_path: Path) -> None:
    taken = tmp_path / "taken.wav"
    taken.write_bytes(b"mine")
    link = tmp_path / "link.wav"
    link.symlink_to(tmp_path / "elsewhere.wav")
    async with talk(stack) as both:
        for count, (path, error) in enumerate(
            (
                (taken, "File exists"),
                (link, "File exists"),
                (tmp_path / "missing" / "call.wav", "No such file or directory"),
            ),
            1,
        ):
            stack.submit(Record(both.a, str(path)))
            told = (await stack.events_of(LegRecorded, both.a, count))[-1]
            assert (told.path, told.seconds, told.error) == (str(path), 0.0, error)
        stack.submit(Record(LegId(4711), str(tmp_path / "x.wav")))
        assert (await stack.event(LegRecorded, LegId(4711))).error == "the leg has no media"
        first, second = tmp_path / "first.wav", tmp_path / "second.wav"
        stack.submit(Record(both.b, str(first)), Record(both.b, str(second)))
        assert (await stack.event(LegRecorded, both.b)) == LegRecorded(
            both.b, str(second), 0.0, "the leg is recorded already"
        )
    assert (await stack.events_of(LegRecorded, both.b, 2))[1].path == str(first)
    assert taken.read_bytes() == b"mine"
    assert not second.exists()
    assert not (tmp_path / "elsewhere.wav").exists()


async def test_a_full_disk_is_told(stack: Stack, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    path = tmp_path / "call.wav"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with talk(stack) as both:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (44 + 4 * 4000, hard))
            stack.submit(Record(both.a, str(path)))
            told = await stack.event(LegRecorded, both.a)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.error == os.strerror(27)
    assert path.exists()
