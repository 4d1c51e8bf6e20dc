"""What Kazoo's applications name to be played, in the words of docs/sounds.md. Pure.

Kazoo names a tone as FreeSWITCH writes it (`tone_stream://`), a prompt of an account
(`prompt://ACCOUNT/ID/LANGUAGE`), or a file by its path. Whether there is such a file, the engine
says when it is to be played.
"""

from __future__ import annotations

import re

import msgspec

from engine.core.errors import RequestInvalid
from engine.core.sound_names import MAX_NAME
from engine.core.tones import MAX_LEVEL, MIN_LEVEL, PREFIX

MAX_MEDIA = 512
"""Longest name of a medium, characters."""

_ALLOWED = (
    "a sound of docs/sounds.md, tone://TEXT, tone_stream://%(ON,OFF,HZ[,HZ]), silence_stream://MS, "
    "prompt://ACCOUNT/ID/LANGUAGE, file://PATH or /PATH"
)
_TONE = re.compile(r"%\((\d{1,5}),(\d{1,5}),(\d{1,4}(?:,\d{1,4}){0,3})\)", re.ASCII)
_VOLUME = re.compile(r"v=(-?\d{1,3})", re.ASCII | re.IGNORECASE)
_LOOPS = re.compile(r"l(?:oops)?=(-?\d{1,6})", re.ASCII | re.IGNORECASE)
_SILENCE = re.compile(r"(-1|\d{1,5})(?:,\d{1,5})?", re.ASCII)
_FOREVER = -1


class Media(msgspec.Struct, frozen=True):
    """A sound as `EngineFace.play` takes it."""

    sound: str
    repeat: bool = False
    """Whether its name says that it is played again and again."""


def media_of(field: str, name: object) -> Media:
    """Return the sound that Kazoo's name of a medium means.

    Raises `RequestInvalid` naming `field` for what is no name, or longer than `MAX_MEDIA`.

    >>> media_of("Media-Name", "tone_stream://%(2000,4000,440,480);loops=-1")
    Media(sound='tone:440+480/2000,0/4000', repeat=True)
    >>> media_of("Media-Name", "prompt://system_media/vm-enter_pass/en-us").sound
    'en-us/vm-enter_pass.wav'
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_MEDIA:
        shown = name[:32] if isinstance(name, str) else name
        raise RequestInvalid(field, shown, f"{_ALLOWED}; 1 to {MAX_MEDIA} characters", "type")
    scheme, colon, rest = name.partition("://")
    if not colon:
        return Media(_file(name) if name.startswith("/") else name)
    match scheme:
        case "tone":
            return Media(PREFIX + rest)
        case "tone_stream":
            return _stream(field, name, rest)
        case "silence_stream":
            return _silence(field, name, rest)
        case "prompt":
            return _prompt(field, name, rest)
        case "file":
            return Media(_file(rest))
        case _:
            raise RequestInvalid(field, name[:128], _ALLOWED)


def _file(path: str) -> str:
    """Return a path as a name below the folder of sounds; Kazoo's documents have no ending."""
    name = path.lstrip("/")
    return name if name.endswith(".wav") or len(name) > MAX_NAME else f"{name}.wav"


def _prompt(field: str, name: str, rest: str) -> Media:
    parts = rest.split("/")
    if len(parts) != 3 or not all(parts):
        raise RequestInvalid(field, name[:128], "prompt://ACCOUNT/ID/LANGUAGE")
    _account, prompt, language = parts
    return Media(_file(f"{language}/{prompt}"))


def _silence(field: str, name: str, rest: str) -> Media:
    match = _SILENCE.fullmatch(rest)
    if match is None:
        raise RequestInvalid(field, name[:128], "silence_stream://MILLISECONDS, or -1: for ever")
    length = int(match[1])
    if length == _FOREVER:
        return Media(f"{PREFIX}0/1000", repeat=True)
    return Media(f"{PREFIX}0/{length}")


def _stream(field: str, name: str, rest: str) -> Media:
    """Return a tone of FreeSWITCH's language: parts, a volume in dB and how often, by `;`."""
    parts: list[str] = []
    level, repeat = "", False
    for item in filter(None, rest.split(";")):
        if tone := _TONE.fullmatch(item):
            on, off, frequencies = tone.groups()
            parts.append(f"{frequencies.replace(',', '+')}/{on}")
            parts += [f"0/{off}"] if int(off) else []
        elif volume := _VOLUME.fullmatch(item):
            level = f"@{min(max(int(volume[1]), MIN_LEVEL), MAX_LEVEL)}"
        elif loops := _LOOPS.fullmatch(item):
            repeat = int(loops[1]) == _FOREVER
        else:
            raise RequestInvalid(field, name[:128], "tone_stream://[v=DB;]%(ON,OFF,HZ[,HZ])[;...]")
    if not parts:
        raise RequestInvalid(field, name[:128], "tone_stream:// with at least one %(ON,OFF,HZ)")
    return Media(f"{PREFIX}{','.join(parts)}{level}", repeat)
