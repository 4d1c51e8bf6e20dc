"""Recognition of tones in 16-bit mono audio: Goertzel's algorithm over 50 ms blocks.

A block is analysed in two steps. Its fifth parts (10 ms, bins 100 Hz apart) tell roughly where the
energy is; the whole block (bins 20 Hz apart) is then measured in steps of half a bin around that
place, so that a tone between two bins loses at most a fifth of its power. A block belongs to a
tone when at least six tenths of all its energy is in that one frequency: speech, noise, mixtures
and silence belong to none.
"""

from __future__ import annotations

import array
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BLOCK_MS = 50
"""Length of an analysed block; sets the resolution of 20 Hz."""
LOWEST_HZ, HIGHEST_HZ = 300, 3400
"""Telephone band: the tones that can be recognised."""
SILENCE_DBFS = -50.0
"""Blocks below this level are silence. Comfort noise and codec noise stay under it."""
DOMINANT = 0.6
"""Share of a block's energy that one frequency must hold for the block to count as that tone."""

_FULL_SCALE = 32768.0
_COARSE_HZ = 100
_FINE_HZ = 10
_WORK_RATE = 8000
"""Samples per second of the analysis; faster audio is averaged down to it."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard, over the whole time of listening."""

    freq: int | None
    """Dominant frequency in Hz, None when no tone was recognised."""
    ratio: float
    """Share of the energy of all sounding blocks that is in `freq`, 0 to 1."""
    seconds: float
    """How long that tone was recognised."""
    sound_s: float
    """How long anything louder than silence was heard."""
    total_s: float
    """How long the audio was."""
    levels: dict[int, float]
    """Mean level of each watched frequency in dB relative to a full-scale sine, at least -99."""


def power_at(samples: Sequence[int], rate: int, freq: float) -> float:
    """Return the mean power of one frequency in `samples`, by Goertzel's algorithm.

    A sine of amplitude a at a bin of the block gives a*a/2, the same as its mean square. `rate` is
    in samples per second, `freq` in Hz below rate/2.
    """
    coefficient = 2.0 * math.cos(2.0 * math.pi * freq / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    magnitude = before * before + last * last - coefficient * before * last
    return 2.0 * magnitude / (len(samples) * len(samples))


class ToneMeter:
    """Take audio as it comes, in constant memory, and say at any time which tone it is."""

    def __init__(self, rate: int, watched: Sequence[int] = ()) -> None:
        """Analyse audio of `rate` samples per second, a multiple of 8000.

        `watched` are frequencies in Hz whose level is reported whatever is dominant.
        Raises ValueError when the rate or a frequency is not possible.
        """
        if rate <= 0 or rate % _WORK_RATE:
            raise ValueError(f"rate {rate}: must be a multiple of {_WORK_RATE}")
        for freq in watched:
            check_frequency(freq)
        self._shrink = rate // _WORK_RATE
        self._block_bytes = rate * BLOCK_MS // 1000 * 2
        self._rest = bytearray()
        self._blocks = self._sounding = 0
        self._energy = 0.0
        self._powers: dict[int, float] = {}
        self._counts: dict[int, int] = {}
        self._watched = dict.fromkeys(watched, 0.0)

    def feed(self, pcm: bytes) -> None:
        """Analyse more audio: signed 16-bit little-endian mono. May end inside a sample."""
        self._rest += pcm
        while len(self._rest) >= self._block_bytes:
            block = bytes(self._rest[: self._block_bytes])
            del self._rest[: self._block_bytes]
            self._block(_samples(block, self._shrink))

    def seconds_of(self, freq: int, within: int = _FINE_HZ) -> float:
        """Return how long a tone within `within` Hz of `freq` has been recognised."""
        near = (count for heard, count in self._counts.items() if abs(heard - freq) <= within)
        return sum(near) * BLOCK_MS / 1000

    def hearing(self) -> Hearing:
        """Return what was heard so far."""
        freq = max(self._counts, key=self._counts.__getitem__, default=None)
        power = 0.0
        if freq is not None:
            near = range(freq - _FINE_HZ, freq + _FINE_HZ + 1, _FINE_HZ)
            power = sum(self._powers.get(heard, 0.0) for heard in near)
        return Hearing(
            freq=freq,
            ratio=round(min(1.0, power / self._energy), 3) if self._energy else 0.0,
            seconds=0.0 if freq is None else round(self.seconds_of(freq), 3),
            sound_s=round(self._sounding * BLOCK_MS / 1000, 3),
            total_s=round(self._blocks * BLOCK_MS / 1000, 3),
            levels={
                freq: round(_dbfs(total / max(1, self._blocks)), 1)
                for freq, total in self._watched.items()
            },
        )

    def _block(self, samples: Sequence[int]) -> None:
        self._blocks += 1
        for freq in self._watched:
            self._watched[freq] += power_at(samples, _WORK_RATE, freq)
        energy = sum(sample * sample for sample in samples) / len(samples)
        if _dbfs(energy) < SILENCE_DBFS:
            return
        self._sounding += 1
        self._energy += energy
        freq, power = _strongest(samples)
        if power >= DOMINANT * energy:
            self._powers[freq] = self._powers.get(freq, 0.0) + power
            self._counts[freq] = self._counts.get(freq, 0) + 1


def check_frequency(freq: float) -> None:
    """Raise ValueError when `freq` in Hz is outside the telephone band."""
    if not LOWEST_HZ <= freq <= HIGHEST_HZ:
        raise ValueError(f"frequency {freq}: must be {LOWEST_HZ} to {HIGHEST_HZ} Hz")


def _strongest(samples: Sequence[int]) -> tuple[int, float]:
    """Return the frequency that holds most of the block's energy, and its power."""
    parts = list(_fifths(samples))
    rough = max(
        range(LOWEST_HZ, HIGHEST_HZ + 1, _COARSE_HZ),
        key=lambda freq: sum(power_at(part, _WORK_RATE, freq) for part in parts),
    )
    around = range(rough - _COARSE_HZ // 2, rough + _COARSE_HZ // 2 + 1, _FINE_HZ)
    power, freq = max((power_at(samples, _WORK_RATE, freq), freq) for freq in around)
    return freq, power


def _fifths(samples: Sequence[int]) -> Iterator[Sequence[int]]:
    length = len(samples) // 5
    return (samples[start : start + length] for start in range(0, len(samples), length))


def _samples(pcm: bytes, shrink: int) -> Sequence[int]:
    """Decode samples and average each `shrink` of them into one."""
    samples = array.array("h")
    samples.frombytes(pcm)
    if shrink == 1:
        return samples
    return [sum(samples[at : at + shrink]) // shrink for at in range(0, len(samples), shrink)]


def _dbfs(mean_square: float) -> float:
    """Return the level relative to a full-scale sine, not below -99 dB."""
    return max(-99.0, 10.0 * math.log10(max(mean_square, 1e-9) / (_FULL_SCALE**2 / 2)))
