"""The spool: what must not be lost, appended to local files before anybody is told of it.

A frame is the rows of one turn of the engine. Appending one is a single write() into the page
cache, some microseconds: it outlives the process, as a commit of SQLite in WAL mode does, and waits
for no disk and no database. `engine.store.spool_commit` takes the frames from the files, so a
database that is away costs disk, not memory. A file is deleted when its last frame is stored; what
a dead process left is stored by the next one, again where it was stored before.

Each frame has its length and CRC-32 in front, so that the half-written one of a process that died
is told from a whole one and cut off. A write that fails (a full disk) raises nothing: its frame
stays in memory, is handed out in its turn, and `error` says why until a write succeeds again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec

from engine.core.errors import EngineUnavailable

SEGMENT_BYTES = 8 * 2**20
"""Size from which a file is followed by another one."""

_MAGIC = b"quickcall spool 1 "
_FRAME = struct.Struct("<II")
_SUFFIX = ".spool"
_PROBE = bytes(2**16)

_log = logging.getLogger(__name__)


class _Segment(msgspec.Struct):
    """One file: a header that names the store, then frames."""

    path: Path
    size: int
    """Bytes of the header and the whole frames; more is the rest of a write that failed."""
    taken: int
    """Bytes handed out."""
    stored: int
    """Bytes of them that are stored."""


class Spool:
    """Frames in the order they were appended, until they are stored. Used from one thread."""

    def __init__(self, folder: Path, store_id: str, max_bytes: int, segment_bytes: int) -> None:
        """Use `open` instead."""
        self._folder = folder
        self._header = _MAGIC + store_id.encode() + b"\n"
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._segments: deque[_Segment] = deque()
        self._number = 0
        self._lock = -1
        self._write_to = -1
        self._read_from: tuple[Path, int] | None = None
        self._unwritten: deque[bytes] = deque()
        self._lent = 0
        self._bytes = 0
        self.error = ""
        """Why the last write failed, empty when it did not."""

    @classmethod
    def open(
        cls, folder: Path, store_id: str, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES
    ) -> Spool:
        """Open the spool of a database in a folder, made (mode 0700) when it does not exist.

        `store_id` names the database: frames of another one are not given to it. `max_bytes`: what
        may wait before `full` is true. The folder is locked until `close`. Raises
        `EngineUnavailable` when it cannot be used, another engine uses it, or it holds frames of
        another database.
        """
        spool = cls(folder, store_id, max_bytes, segment_bytes)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            spool._take_lock()
            spool._find_segments()
        except OSError as error:
            spool.close()
            raise EngineUnavailable(f"cannot use the spool {folder}: {error}") from error
        except EngineUnavailable:
            spool.close()
            raise
        return spool

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the frames that are not stored."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether so much waits that no new work should be taken. Appending still works."""
        return self._bytes >= self._max_bytes

    @property
    def in_memory(self) -> int:
        """Number of frames that no file has."""
        return len(self._unwritten)

    def append(self, body: bytes) -> None:
        """Append a frame of at least one byte. Never raises for the sake of the disk."""
        frame = _FRAME.pack(len(body), crc32(body)) + body
        self._bytes += len(frame)
        # What is in memory comes before it.
        if self._unwritten or not self._write(frame):
            self._unwritten.append(frame)

    def retry(self) -> None:
        """Write what could not be written before, if that is possible now."""
        # Frames that are being stored from memory are not written as well.
        while self._unwritten and not self._lent:
            if not self._write(self._unwritten[0]):
                return
            self._unwritten.popleft()
        if self.error and not self._unwritten:
            self._probe()

    def take(self, max_bytes: int) -> list[bytes]:
        """Return the next frames, at least one and about `max_bytes` of them; none: all are taken.

        To be called again when these are `stored`. Raises `OSError` when a file cannot be read.
        """
        for segment in self._segments:
            if segment.taken < segment.size:
                frames = self._read(segment, max_bytes)
                segment.taken += sum(len(frame) + _FRAME.size for frame in frames)
                return frames
        self._lent = len(self._unwritten)
        return [frame[_FRAME.size :] for frame in self._unwritten]

    def stored(self) -> None:
        """Note that every frame taken is stored: it is not needed any more."""
        for _ in range(self._lent):
            self._unwritten.popleft()
        self._lent = 0
        for segment in self._segments:
            segment.stored = segment.taken
        while len(self._segments) > 1 and self._segments[0].stored >= self._segments[0].size:
            self._delete(self._segments.popleft())
        waiting = sum(segment.size - segment.stored for segment in self._segments)
        self._bytes = waiting + sum(map(len, self._unwritten))

    def close(self) -> None:
        """Let go of the folder. Files with nothing to store are deleted, the others stay."""
        for segment in self._segments:
            if segment.stored >= segment.size:
                self._delete(segment)
        self._segments.clear()
        self._stop_reading()
        for number in (self._write_to, self._lock):
            if number >= 0:
                os.close(number)
        self._write_to = self._lock = -1

    # --- opening ----------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another engine uses the spool {self._folder}; one engine per database"
            raise EngineUnavailable(text) from None

    def _find_segments(self) -> None:
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            self._number = int(path.stem)
            data = path.read_bytes()
            if data[: len(self._header)] != self._header:
                if len(data) > len(self._header):
                    raise EngineUnavailable(
                        f"the spool {self._folder} holds events of another database: open that one"
                        " once, or move the folder away"
                    )
                # Whoever made it died before the first frame.
                path.unlink()
                continue
            size = _whole(data, len(self._header))
            if size < len(data):
                _log.warning("%s: the last %d bytes are no whole frame", path, len(data) - size)
            self._segments.append(_Segment(path, size, len(self._header), len(self._header)))
            self._bytes += size - len(self._header)

    # --- files ------------------------------------------------------------------------------------

    def _write(self, frame: bytes) -> bool:
        try:
            self._make_room()
            written = os.write(self._write_to, frame)
        except OSError as error:
            self._failed(str(error))
            return False
        if written != len(frame):
            self._failed(f"{written} of {len(frame)} bytes written")
            return False
        self._segments[-1].size += written
        if self.error:
            _log.warning("the spool %s is written again", self._folder)
            self.error = ""
        return True

    def _make_room(self) -> None:
        """Begin a file when there is none, or the last one is long enough."""
        if self._write_to >= 0:
            if self._segments[-1].size < self._segment_bytes:
                return
            os.close(self._write_to)
            self._write_to = -1
        path = self._folder / f"{self._number + 1:012}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        made = os.open(path, flags, 0o600)
        if os.write(made, self._header) != len(self._header):
            os.close(made)
            raise OSError("no room for the header of a file")
        self._number += 1
        self._write_to = made
        size = len(self._header)
        self._segments.append(_Segment(path, size, size, size))

    def _failed(self, reason: str) -> None:
        if not self.error:
            _log.error("the spool %s cannot be written: %s", self._folder, reason)
        self.error = reason
        self._cut()

    def _cut(self) -> None:
        """Take a half-written frame away, for the next one must follow a whole one."""
        if self._write_to < 0:
            return
        try:
            os.ftruncate(self._write_to, self._segments[-1].size)
        except OSError:
            # Then the next frame begins a file, and the rest of this one is cut by the next start.
            os.close(self._write_to)
            self._write_to = -1

    def _probe(self) -> None:
        """Find out whether a write would succeed, without leaving anything.

        A length of zero is no frame, so a process that dies in between leaves a tail to cut.
        """
        try:
            self._make_room()
            fits = os.write(self._write_to, _PROBE) == len(_PROBE)
        except OSError as error:
            self._failed(str(error))
            return
        self._cut()
        if fits:
            _log.warning("the spool %s can be written again", self._folder)
            self.error = ""

    def _read(self, segment: _Segment, max_bytes: int) -> list[bytes]:
        if self._read_from is None or self._read_from[0] != segment.path:
            self._stop_reading()
            self._read_from = segment.path, os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        number, left = self._read_from[1], segment.size - segment.taken
        data = os.pread(number, min(left, max(max_bytes, _FRAME.size)), segment.taken)
        frames = list(_frames(data))
        if not frames and len(data) >= _FRAME.size:
            length = _FRAME.size + _FRAME.unpack_from(data)[0]
            frames = list(_frames(os.pread(number, length, segment.taken)))
        if not frames:
            raise OSError(f"{segment.path} has become shorter")
        return frames

    def _stop_reading(self) -> None:
        if self._read_from is not None:
            os.close(self._read_from[1])
            self._read_from = None

    def _delete(self, segment: _Segment) -> None:
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            # It is stored once more by the next start, which changes nothing.
            _log.error("%s cannot be deleted: %s", segment.path, error)


def _frames(data: bytes) -> Iterator[bytes]:
    """Yield the bodies of the whole frames at the beginning of `data`, which are known as good."""
    at, end = 0, len(data)
    while at + _FRAME.size <= end:
        length = _FRAME.unpack_from(data, at)[0]
        at += _FRAME.size
        if at + length > end:
            return
        yield data[at : at + length]
        at += length


def _whole(data: bytes, at: int) -> int:
    """Return where the last good frame ends."""
    while at + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, at)
        body = data[at + _FRAME.size : at + _FRAME.size + length]
        if not length or len(body) != length or crc32(body) != checksum:
            break
        at += _FRAME.size + length
    return at
