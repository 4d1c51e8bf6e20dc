"""Tones that a network plays to callers, and how a tone is written.

A tone is a period of parts, each a sum of frequencies for some milliseconds; played repeatedly, the
period begins anew at its end. As text: `tone:425/1000,0/4000` is 425 Hz for one second and silence
for four; `tone:440+480/2000,0/4000@-19` sums two frequencies and gives the level of each.

Cadences and frequencies are those of ITU-T E.180 Supplement 2; the special information tone is
ITU-T E.180/Q.35 6.1.4 everywhere. Where a network modulates 400 Hz with 16 to 33 Hz, two
frequencies that far apart stand for it: they beat as the modulation does.
"""

from __future__ import annotations

import re

import msgspec

from engine.core.errors import RequestInvalid

PREFIX = "tone:"
"""What the text of a tone begins with."""

MIN_HZ, MAX_HZ = 20, 3900
"""Bounds of a frequency; every codec carries less than 4000 Hz."""
MAX_FREQUENCIES = 4
"""Frequencies that are summed at most."""
MAX_PARTS = 32
"""Parts of a period at most."""
MAX_PERIOD_MS = 30_000
"""Longest period, milliseconds."""
MIN_LEVEL, MAX_LEVEL = -40, -10
"""Bounds of the level of each frequency, dBm0; four of the loudest do not clip."""
DEFAULT_LEVEL = -19
"""Level of each frequency when the text names none, dBm0: that of North American ringback."""

ALLOWED = (
    f"{PREFIX}HZ[+HZ...]/MS[,...][@LEVEL] with 1 to {MAX_FREQUENCIES} frequencies of {MIN_HZ} to "
    f"{MAX_HZ} Hz or 0 for silence, 1 to {MAX_PARTS} parts of 1 ms or more, {MAX_PERIOD_MS} ms in "
    f"all, a level of {MIN_LEVEL} to {MAX_LEVEL} dBm0"
)
"""What errors say of the text of a tone."""

_PART = re.compile(r"(\d{1,4}(?:\+\d{1,4})*)/(\d{1,5})", re.ASCII)
_LEVEL = re.compile(r"-\d{1,2}", re.ASCII)


class TonePart(msgspec.Struct, frozen=True):
    """A sum of frequencies, none for silence, for some milliseconds."""

    frequencies: tuple[int, ...]
    milliseconds: int


class Tone(msgspec.Struct, frozen=True):
    """One period of a tone."""

    parts: tuple[TonePart, ...]
    level: int = DEFAULT_LEVEL
    """Of each frequency, dBm0."""

    @property
    def milliseconds(self) -> int:
        """Length of the period."""
        return sum(part.milliseconds for part in self.parts)

    def __str__(self) -> str:
        """Return the text that `parse_tone` reads.

        >>> str(Tone((TonePart((425,), 1000), TonePart((), 4000))))
        'tone:425/1000,0/4000'
        """
        parts = (
            f"{'+'.join(map(str, part.frequencies)) or '0'}/{part.milliseconds}"
            for part in self.parts
        )
        level = f"@{self.level}" if self.level != DEFAULT_LEVEL else ""
        return f"{PREFIX}{','.join(parts)}{level}"


def parse_tone(field: str, text: str) -> Tone:
    """Read the text of a tone. Raises `RequestInvalid` naming `field`.

    >>> parse_tone("ringback", "tone:440+480/2000,0/4000@-25").level
    -25
    """
    body, at, level = text.removeprefix(PREFIX).partition("@")
    parts = [_part(part) for part in body.split(",", MAX_PARTS)]
    tone = Tone(
        tuple(part for part in parts if part is not None),
        int(level) if _LEVEL.fullmatch(level) else 0 if at else DEFAULT_LEVEL,
    )
    if (
        not text.startswith(PREFIX)
        or None in parts
        or len(parts) > MAX_PARTS
        or tone.milliseconds > MAX_PERIOD_MS
        or not MIN_LEVEL <= tone.level <= MAX_LEVEL
    ):
        raise RequestInvalid(field, text[:128], ALLOWED)
    return tone


def _part(text: str) -> TonePart | None:
    match = _PART.fullmatch(text)
    if match is None or not int(match[2]):
        return None
    frequencies = tuple(int(hz) for hz in match[1].split("+"))
    if frequencies == (0,):
        return TonePart((), int(match[2]))
    heard = len(frequencies) <= MAX_FREQUENCIES
    heard = heard and all(MIN_HZ <= hz <= MAX_HZ for hz in frequencies)
    return TonePart(frequencies, int(match[2])) if heard else None


class CountryTones(msgspec.Struct, frozen=True):
    """The tones of a country's network, each as text."""

    ringback: str
    busy: str
    congestion: str
    special: str = "tone:950/330,1400/330,1800/330,0/1000"
    """Special information tone: an announcement follows, or would."""


def _tones(ringback: str, busy: str, congestion: str) -> CountryTones:
    return CountryTones(PREFIX + ringback, PREFIX + busy, PREFIX + congestion)


_DOUBLE_RING = "{0}/400,0/200,{0}/400,0/2000"
_NORTH_AMERICA = _tones("440+480/2000,0/4000", "480+620/500,0/500", "480+620/250,0/250")

COUNTRIES: dict[str, CountryTones] = {
    "ar": _tones("425/1000,0/4500", "425/300,0/200", "425/200,0/300"),
    "at": _tones("420/1000,0/5000", "420/400,0/400", "420/200,0/200"),
    "au": _tones(_DOUBLE_RING.format("413+438"), "425/375,0/375", "425/375,0/375"),
    "be": _tones("425/1000,0/3000", "425/500,0/500", "425/167,0/167"),
    "br": _tones("425/1000,0/4000", "425/250,0/250", "425/250,0/250,425/750,0/250"),
    "ca": _NORTH_AMERICA,
    "ch": _tones("425/1000,0/4000", "425/500,0/500", "425/200,0/200"),
    "cn": _tones("450/1000,0/4000", "450/350,0/350", "450/700,0/700"),
    "cz": _tones("425/1000,0/4000", "425/330,0/330", "425/165,0/165"),
    "de": _tones("425/1000,0/4000", "425/480,0/480", "425/240,0/240"),
    "dk": _tones("425/1000,0/4000", "425/500,0/500", "425/200,0/200"),
    "es": _tones("425/1500,0/3000", "425/200,0/200", "425/200,0/200,425/200,0/200,425/200,0/600"),
    "fi": _tones("425/1000,0/4000", "425/300,0/300", "425/200,0/200"),
    "fr": _tones("440/1500,0/3500", "440/500,0/500", "440/250,0/250"),
    "gb": _tones(_DOUBLE_RING.format("400+450"), "400/375,0/375", "400/400,0/350,400/225,0/525"),
    "il": _tones("400/1000,0/3000", "400/500,0/500", "400/250,0/250"),
    "in": _tones(_DOUBLE_RING.format("400+425"), "400/750,0/750", "400/250,0/250"),
    "it": _tones("425/1000,0/4000", "425/500,0/500", "425/200,0/200"),
    "jp": _tones("400+416/1000,0/2000", "400/500,0/500", "400/500,0/500"),
    "kr": _tones("440+480/1000,0/2000", "480+620/500,0/500", "480+620/300,0/200"),
    "mx": _tones("425/1000,0/4000", "425/250,0/250", "425/250,0/250"),
    "nl": _tones("425/1000,0/4000", "425/500,0/500", "425/250,0/250"),
    "no": _tones("425/1000,0/4000", "425/500,0/500", "425/200,0/200"),
    "nz": _tones(_DOUBLE_RING.format("400+450"), "400/500,0/500", "400/250,0/250"),
    "pl": _tones("425/1000,0/4000", "425/500,0/500", "425/500,0/500"),
    "ru": _tones("425/1000,0/4000", "425/400,0/400", "425/200,0/200"),
    "se": _tones("425/1000,0/5000", "425/250,0/250", "425/250,0/750"),
    "tr": _tones(
        "450/2000,0/4000",
        "450/500,0/500",
        "450/200,0/200,450/200,0/200,450/200,0/200,450/600,0/200",
    ),
    "us": _NORTH_AMERICA,
    "za": _tones(_DOUBLE_RING.format("400+433"), "400/500,0/500", "400/250,0/250"),
}
"""Tones by country, ISO 3166-1 alpha-2 in lower case."""

KINDS = ("ringback", "busy", "congestion", "special")
"""Tones that a country has."""


def country_tone(text: str) -> str | None:
    """Return the tone that `CC` (its ringback) or `CC/KIND` names, None when there is no such one.

    >>> country_tone("de"), country_tone("fr/busy"), country_tone("xx")
    ('tone:425/1000,0/4000', 'tone:440/500,0/500', None)
    """
    code, _, kind = text.partition("/")
    tones = COUNTRIES.get(code)
    if tones is None or (kind or "ringback") not in KINDS:
        return None
    found: str = getattr(tones, kind or "ringback")
    return found
