"""The tone detector says which tone it is, and says no to everything that is not one."""

import array
import math
import random
from collections.abc import Callable

import pytest

from engine.phone.tones import ToneMeter, power_at


def audio(wave: Callable[[float], float], seconds: float = 1.0, rate: int = 8000) -> bytes:
    """Sample `wave` (of time in seconds, amplitude up to 32767)."""
    count = int(seconds * rate)
    return array.array("h", [int(wave(at / rate)) for at in range(count)]).tobytes()


def sine(freq: float, amplitude: float = 8000.0) -> Callable[[float], float]:
    return lambda at: amplitude * math.sin(2 * math.pi * freq * at)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("freq", [300, 440, 445, 700, 1004, 1100, 2600, 3395])
def test_names_a_tone_anywhere_in_the_band(freq: int, rate: int) -> None:
    meter = ToneMeter(rate)
    meter.feed(audio(sine(freq), rate=rate))
    hearing = meter.hearing()
    assert hearing.freq is not None
    assert abs(hearing.freq - freq) <= 5
    assert hearing.ratio > 0.75
    assert hearing.seconds == hearing.sound_s == hearing.total_s == 1.0


def test_wrong_tone_is_not_taken_for_the_right_one() -> None:
    meter = ToneMeter(8000, watched=(700, 1100))
    meter.feed(audio(sine(700)))
    assert meter.seconds_of(700) == 1.0
    assert meter.seconds_of(1100) == 0.0
    levels = meter.hearing().levels
    assert levels[700] == pytest.approx(20 * math.log10(8000 / 32768), abs=0.1)
    assert levels[1100] < -60


@pytest.mark.parametrize("amplitude", [0, 1, 60])
def test_silence_and_a_whisper_below_it_are_no_tone(amplitude: float) -> None:
    meter = ToneMeter(8000)
    meter.feed(audio(sine(700, amplitude)))
    hearing = meter.hearing()
    assert (hearing.freq, hearing.ratio, hearing.sound_s) == (None, 0.0, 0.0)
    assert hearing.total_s == 1.0


def test_noise_is_sound_but_no_tone() -> None:
    dice = random.Random(1)
    meter = ToneMeter(8000)
    meter.feed(audio(lambda _at: dice.gauss(0, 4000)))
    hearing = meter.hearing()
    assert hearing.freq is None
    assert hearing.sound_s == 1.0


def test_mixture_of_two_tones_is_none_of_them() -> None:
    both = (sine(700), sine(1100))
    meter = ToneMeter(8000)
    meter.feed(audio(lambda at: sum(wave(at) for wave in both)))
    assert meter.hearing().freq is None


def test_the_longest_tone_is_dominant_and_silence_does_not_dilute_it() -> None:
    meter = ToneMeter(8000)
    for part in (sine(440), sine(700, 0), sine(1100), sine(1100)):
        meter.feed(audio(part))
    hearing = meter.hearing()
    assert (hearing.freq, hearing.seconds, hearing.sound_s, hearing.total_s) == (1100, 2, 3, 4)
    assert hearing.ratio == pytest.approx(2 / 3, abs=0.01)


def test_audio_may_come_in_pieces_of_any_size() -> None:
    whole, pieces = ToneMeter(8000), ToneMeter(8000)
    pcm = audio(sine(700))
    whole.feed(pcm)
    for at in range(0, len(pcm), 333):
        pieces.feed(pcm[at : at + 333])
    assert pieces.hearing() == whole.hearing()


def test_nothing_heard() -> None:
    hearing = ToneMeter(8000, watched=(700,)).hearing()
    assert (hearing.freq, hearing.total_s, hearing.levels) == (None, 0.0, {700: -99.0})


def test_power_is_the_mean_square_of_the_sine() -> None:
    samples = array.array("h")
    samples.frombytes(audio(sine(1000), 0.05))
    assert power_at(samples, 8000, 1000) == pytest.approx(8000**2 / 2, rel=0.001)


@pytest.mark.parametrize("rate", [0, 11025, -8000])
def test_impossible_rate_is_refused(rate: int) -> None:
    with pytest.raises(ValueError, match=f"rate {rate}: must be a multiple of 8000"):
        ToneMeter(rate)


@pytest.mark.parametrize("freq", [0, 299, 3401])
def test_impossible_frequency_is_refused(freq: int) -> None:
    with pytest.raises(ValueError, match=f"frequency {freq}: must be 300 to 3400 Hz"):
        ToneMeter(8000, watched=(freq,))
