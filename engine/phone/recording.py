"""The WAV file a call is recorded into, read while it grows so that tones are known at once."""

from __future__ import annotations

from pathlib import Path

from engine.phone.tones import Hearing, ToneMeter

_HEADER = 44
"""Bytes of the header the stack's WAV writer makes: RIFF, fmt and data chunk, no others."""
_DATA_LENGTH = slice(40, 44)


class Recording:
    """What one call sounds like from this phone's side."""

    def __init__(self, path: Path, rate: int, watched: tuple[int, ...]) -> None:
        """Follow the file `path`, 16-bit mono at `rate` samples a second, until it is complete."""
        self._path = path
        self._meter = ToneMeter(rate, watched)
        self._position = _HEADER

    def read(self) -> None:
        """Analyse what was written since the last time."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._position)
                pcm = file.read()
            self._position += len(pcm)
            self._meter.feed(pcm)

    def tone(self, at_least_s: float) -> int | None:
        """Return the dominant tone once it was heard for `at_least_s` seconds."""
        hearing = self._meter.hearing()
        return hearing.freq if hearing.seconds >= at_least_s else None

    def complete(self) -> bool:
        """Say whether the writer has closed the file: it writes the length into the header last."""
        if not self._path.exists():
            return True
        with self._path.open("rb") as file:
            length = int.from_bytes(file.read(_HEADER)[_DATA_LENGTH], "little")
        return length > 0 and length >= self._path.stat().st_size - _HEADER

    def hearing(self) -> Hearing:
        """Read the rest and return what was heard over the whole call."""
        self.read()
        return self._meter.hearing()
