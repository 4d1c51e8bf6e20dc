"""What may be named to be played, and where it lies. Pure: whether a file is there, others see.

A sound is named by a country (`de`, its ringback; `de/busy`), by the text of a tone
(`engine.core.tones`), or by the name of a WAV file below the folder of sounds. A name cannot lead
out of its folder: it has no part that begins with a dot, and no character that means something to
a shell or a file system but `/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from engine.core import tones
from engine.core.causes import CAUSES
from engine.core.errors import RequestInvalid

MAX_NAME = 200
"""Longest name of a file, characters."""

FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.wav"
"""Pattern of the name of a WAV file below a folder."""

_FILE_NAME = re.compile(FILE_NAME)
_ALLOWED = (
    "a country code such as us, de or gb/busy (kinds: "
    f"{', '.join(tones.KINDS)}), {tones.ALLOWED}, or NAME.wav below sounds_dir (letters, digits, "
    f"_, -, ., / between folders; at most {MAX_NAME} characters)"
)


def file_name(field: str, name: object, folder_field: str) -> str:
    """Return the name of a WAV file below the folder that a setting names.

    Raises `RequestInvalid` naming `field` for anything else.
    """
    if isinstance(name, str) and len(name) <= MAX_NAME and _FILE_NAME.fullmatch(name):
        return name
    allowed = f"NAME.wav below {folder_field}, of letters, digits, _, -, . and /"
    shown = name[:128] if isinstance(name, str) else name
    raise RequestInvalid(field, shown, f"{allowed}; at most {MAX_NAME} characters")


def sound_of(field: str, name: object, folder: str) -> str:
    """Return the sound that a name means, as `Play` takes it: a tone, or the path of a file.

    `folder` is that of sounds, empty when there is none. Raises `RequestInvalid` naming `field`.

    >>> sound_of("sound", "us/busy", "")
    'tone:480+620/500,0/500'
    >>> sound_of("sound", "ivr/welcome.wav", "/srv/sounds")
    '/srv/sounds/ivr/welcome.wav'
    """
    if not isinstance(name, str) or not name:
        raise RequestInvalid(field, name, _ALLOWED, "type")
    if name.startswith(tones.PREFIX):
        return str(tones.parse_tone(field, name))
    tone = tones.country_tone(name)
    if tone is not None:
        return tone
    if len(name) > MAX_NAME or not _FILE_NAME.fullmatch(name):
        raise RequestInvalid(field, name[:128], _ALLOWED)
    if not folder:
        raise RequestInvalid(field, name, "a tone, for no sounds_dir is configured")
    return f"{folder.rstrip('/') or ''}/{name}"


class EngineSounds(msgspec.Struct, frozen=True):
    """What an engine plays by itself, each as `Play` takes it; empty: nothing."""

    ringback: str
    hold_music: str
    announcements: Mapping[str, str]
    """By the cause for which the other side was not reached."""


def engine_sounds(
    ringback: str, hold_music: str, announcements: Mapping[str, str], folder: str
) -> EngineSounds:
    """Return what the names of the configuration mean.

    Raises `RequestInvalid` naming the field: for a name that is no sound, and an announcement for
    what is no cause.
    """
    for cause in announcements:
        if cause not in CAUSES:
            allowed = "causes such as USER_BUSY and NO_ANSWER, each with its sound"
            raise RequestInvalid("announcements", cause, allowed, "enum")
    return EngineSounds(
        sound_of("ringback", ringback, folder) if ringback else "",
        sound_of("hold_music", hold_music, folder) if hold_music else "",
        {cause: sound_of("announcements", text, folder) for cause, text in announcements.items()},
    )
