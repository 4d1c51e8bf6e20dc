"""Tones: what their text means, what is refused, and the table of countries."""

from __future__ import annotations

import pytest

from engine.core.errors import RequestInvalid
from engine.core.tones import COUNTRIES, KINDS, Tone, TonePart, country_tone, parse_tone

US = Tone((TonePart((440, 480), 2000), TonePart((), 4000)))


def test_a_tone_is_read_and_written() -> None:
    """Text and value say the same."""
    assert parse_tone("sound", "tone:440+480/2000,0/4000") == US
    assert str(US) == "tone:440+480/2000,0/4000"
    quiet = parse_tone("sound", "tone:425/1000@-30")
    assert quiet == Tone((TonePart((425,), 1000),), -30)
    assert parse_tone("sound", str(quiet)) == quiet


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tone:",
        "425/1000",
        "tone:425",
        "tone:425/0",
        "tone:19/100",
        "tone:3901/100",
        "tone:0+425/100",
        "tone:1+2+3+4+5/100",
        "tone:425/100,",
        "tone:425/30001",
        "tone:425/20000,0/10001",
        "tone:" + ",".join(["425/1"] * 33),
        "tone:425/100@",
        "tone:425/100@-9",
        "tone:425/100@-41",
        "tone:425/100@-15@-15",
        "tone:425/100\n",
        "tone:٤٢٥/100",
        "tone:" + "9" * 100_000,
    ],
)
def test_what_is_no_tone_is_refused(text: str) -> None:
    """The error names the field, the value and what is allowed."""
    with pytest.raises(RequestInvalid, match="ringback") as refused:
        parse_tone("ringback", text)
    assert refused.value.value == text[:128]
    assert "3900 Hz" in refused.value.allowed


def test_every_country_has_tones_that_can_be_played() -> None:
    """Each begins with sound; ringback pauses longer than it sounds."""
    assert len(COUNTRIES) >= 29
    for code, tones in COUNTRIES.items():
        for kind in KINDS:
            text = country_tone(f"{code}/{kind}")
            assert text == getattr(tones, kind)
            assert text is not None
            tone = parse_tone(code, text)
            assert str(tone) == text
            assert tone.parts[0].frequencies
        ringback = parse_tone(code, tones.ringback)
        silence = sum(part.milliseconds for part in ringback.parts if not part.frequencies)
        assert silence > ringback.milliseconds / 2


def test_a_country_names_its_ringback() -> None:
    """A code alone is the ringback; what is unknown is nothing."""
    assert country_tone("gb") == "tone:400+450/400,0/200,400+450/400,0/2000"
    assert country_tone("us/special") == "tone:950/330,1400/330,1800/330,0/1000"
    assert [country_tone(text) for text in ("xx", "de/dial", "", "DE")] == [None] * 4
