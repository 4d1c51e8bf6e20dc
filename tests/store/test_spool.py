"""The spool: what was appended is there for the next process; a torn tail takes nothing along."""

from __future__ import annotations

import errno
import os
import random
import stat
from pathlib import Path

import pytest

from engine.core.errors import EngineUnavailable
from engine.store.spool import Spool

ID = "0" * 32


def spool_in(folder: Path, **changes: object) -> Spool:
    options: dict[str, int] = {"max_bytes": 10_000, "segment_bytes": 200, **changes}  # type: ignore[dict-item]
    return Spool.open(folder, ID, **options)


def everything(spool: Spool, max_bytes: int = 1000) -> list[bytes]:
    found = []
    while frames := spool.take(max_bytes):
        found += frames
        spool.stored()
    return found


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


class Disk:
    """`os.write` as the spool calls it, failing as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room: int | None = None
        self._write = os.write
        monkeypatch.setattr("engine.store.spool.os.write", self.write)

    def write(self, number: int, data: bytes) -> int:
        if self.room is None:
            return self._write(number, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(number, data[: self.room])
        self.room -= written
        return written


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_frames_come_back_in_order_and_over_files(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    bodies = [b"%d " % number * 20 for number in range(40)]
    for body in bodies:
        spool.append(body)
    assert len(files(tmp_path / "spool")) > 5
    assert everything(spool) == bodies
    # The last file is still written to.
    assert len(files(tmp_path / "spool")) == 1
    assert spool.waiting_bytes == 0
    spool.close()
    assert files(tmp_path / "spool") == []


def test_a_frame_longer_than_what_is_asked_for_comes_whole(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append(b"x" * 5000)
    spool.append(b"y")
    assert spool.take(10) == [b"x" * 5000]
    spool.stored()
    assert spool.take(1000) == [b"y"]
    spool.close()


def test_what_was_not_stored_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = spool_in(tmp_path / "spool", segment_bytes=10_000)
    for body in (b"one", b"two", b"three"):
        first.append(body)
    # Taken is not stored: the process may die meanwhile.
    assert first.take(1000) == [b"one", b"two", b"three"]
    first.close()
    second = spool_in(tmp_path / "spool")
    assert second.waiting_bytes > 0
    second.append(b"four")
    assert everything(second) == [b"one", b"two", b"three", b"four"]
    second.close()
    assert files(tmp_path / "spool") == []


def test_a_tail_cut_anywhere_takes_no_whole_frame_along(tmp_path: Path) -> None:
    bodies = [b"one", b"two" * 10, b"three"]
    spool = spool_in(tmp_path / "whole", segment_bytes=10_000)
    ends = []
    for body in bodies:
        spool.append(body)
        ends.append(files(tmp_path / "whole")[0].stat().st_size)
    spool.close()
    data = files(tmp_path / "whole")[0].read_bytes()
    for cut in range(len(data)):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "000000000001.spool").write_bytes(data[:cut])
        torn = spool_in(folder)
        torn.append(b"later")
        whole = [body for body, end in zip(bodies, ends, strict=True) if end <= cut]
        assert everything(torn) == [*whole, b"later"]
        torn.close()


@pytest.mark.parametrize("at", [-1, -4, -20])
def test_a_changed_byte_ends_the_file_there(tmp_path: Path, at: int) -> None:
    spool = spool_in(tmp_path / "spool", segment_bytes=10_000)
    spool.append(b"good")
    spool.append(b"this one goes bad")
    spool.close()
    file = files(tmp_path / "spool")[0]
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    again = spool_in(tmp_path / "spool")
    assert everything(again) == [b"good"]
    again.close()


def test_zeros_at_the_end_are_no_frames(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool", segment_bytes=10_000)
    spool.append(b"good")
    spool.close()
    with files(tmp_path / "spool")[0].open("ab") as file:
        file.write(bytes(100))
    again = spool_in(tmp_path / "spool")
    assert everything(again) == [b"good"]
    again.close()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append(b"secret")
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "spool").iterdir()}
    assert modes == {0o600}
    spool.close()


def test_a_folder_has_one_user_at_a_time(tmp_path: Path) -> None:
    first = spool_in(tmp_path / "spool")
    with pytest.raises(EngineUnavailable, match="another engine uses the spool"):
        spool_in(tmp_path / "spool")
    first.append(b"mine")
    first.close()
    second = spool_in(tmp_path / "spool")
    assert everything(second) == [b"mine"]
    second.close()


def test_frames_are_given_to_no_other_database(tmp_path: Path) -> None:
    first = spool_in(tmp_path / "spool")
    first.append(b"mine")
    first.close()
    with pytest.raises(EngineUnavailable, match="another database"):
        Spool.open(tmp_path / "spool", "1" * 32, max_bytes=10)
    again = spool_in(tmp_path / "spool")
    assert everything(again) == [b"mine"]
    again.close()
    Spool.open(tmp_path / "spool", "1" * 32, max_bytes=10).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="nowhere/spool"):
        spool_in(tmp_path / "nowhere" / "spool")


def test_full_tells_when_too_much_waits(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool", max_bytes=100)
    seen = []
    for body in (b"x" * 50, b"x" * 50, b"taken all the same"):
        spool.append(body)
        seen.append(spool.full)
    assert seen == [False, True, True]
    assert len(everything(spool)) == 3
    assert not spool.full
    spool.close()


@pytest.mark.parametrize("room", [0, 1, 7, 8, 9, 20])
def test_a_full_disk_loses_nothing(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    spool = spool_in(tmp_path / "spool", segment_bytes=10_000)
    spool.append(b"before")
    disk.room = room
    for body in (b"does not fit any more", b"nor does this", b"nor this"):
        spool.append(body)
    spool.retry()
    assert "No space left" in spool.error or "bytes written" in spool.error
    assert spool.in_memory == 3
    assert caplog.text.count("cannot be written") == 1
    disk.room = None
    spool.retry()
    assert (spool.error, spool.in_memory) == ("", 0)
    spool.append(b"after")
    # As the next process finds it: every frame follows a whole one.
    spool.close()
    again = spool_in(tmp_path / "spool")
    assert everything(again) == [
        *(b"before", b"does not fit any more", b"nor does this", b"nor this", b"after")
    ]
    again.close()


def test_what_no_disk_takes_is_stored_from_memory(tmp_path: Path, disk: Disk) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append(b"one")
    disk.room = 0
    spool.append(b"two")
    assert spool.take(1000) == [b"one"]
    spool.stored()
    assert spool.take(1000) == [b"two"]
    # What is being stored is not written as well, not even when there is room again.
    disk.room = None
    spool.append(b"three")
    spool.retry()
    spool.stored()
    assert (spool.in_memory, everything(spool)) == (1, [b"three"])
    spool.close()


def test_an_idle_spool_finds_out_that_it_can_be_written_again(tmp_path: Path, disk: Disk) -> None:
    spool = spool_in(tmp_path / "spool")
    disk.room = 0
    spool.append(b"one")
    everything(spool)
    spool.retry()
    assert spool.error
    disk.room = None
    spool.retry()
    assert not spool.error
    spool.append(b"two")
    spool.close()
    again = spool_in(tmp_path / "spool")
    assert everything(again) == [b"two"]
    again.close()


@pytest.mark.parametrize("keep_cut", [True, False])
def test_a_tail_that_cannot_be_cut_is_left_behind(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, keep_cut: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    spool = spool_in(tmp_path / "spool", segment_bytes=10_000)
    spool.append(b"one")
    if not keep_cut:
        monkeypatch.setattr("engine.store.spool.os.ftruncate", refuse)
    disk.room = 9
    spool.append(b"two")
    disk.room = None
    spool.retry()
    assert len(files(tmp_path / "spool")) == (1 if keep_cut else 2)
    spool.close()
    again = spool_in(tmp_path / "spool")
    assert everything(again) == [b"one", b"two"]
    again.close()


def test_a_file_that_cannot_be_deleted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    spool = spool_in(tmp_path / "spool")
    spool.append(b"one")
    everything(spool)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        spool.close()
    assert "cannot be deleted: [Errno 13]" in caplog.text


def test_a_spool_used_at_random_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(6)
    for round_number in range(20):
        folder = tmp_path / str(round_number)
        spool, sent, got = spool_in(folder, segment_bytes=chance.randint(60, 400)), 0, []
        for _ in range(300):
            what = chance.random()
            if what < 0.6:
                spool.append(b"%d" % sent)
                sent += 1
            elif what < 0.95:
                got += spool.take(chance.randint(1, 300))
                spool.stored()
            else:
                spool.close()
                # Files that were stored in part come whole again.
                spool = spool_in(folder, segment_bytes=chance.randint(60, 400))
                known = {int(body) for body in got}
                left = [int(body) for body in everything(spool)]
                assert left == sorted(left)
                got += [b"%d" % number for number in left if number not in known]
        got += everything(spool)
        spool.close()
        assert [int(body) for body in got] == list(range(sent))
