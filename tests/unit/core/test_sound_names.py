"""Names of sounds: what they mean, and that none leads out of its folder."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import RequestInvalid
from engine.core.sound_names import file_name, sound_of

FOLDER = "/srv/sounds"


def test_a_name_is_a_tone_or_a_file() -> None:
    """The three ways to name a sound."""
    assert sound_of("sound", "de", FOLDER) == "tone:425/1000,0/4000"
    assert sound_of("sound", "tone:440/10@-19", FOLDER) == "tone:440/10"
    assert sound_of("sound", "en/hello-2.wav", FOLDER + "/") == "/srv/sounds/en/hello-2.wav"


BAD = [
    "",
    "hello",
    "hello.mp3",
    ".wav",
    "/etc/hello.wav",
    "../hello.wav",
    "a/../../hello.wav",
    "a/./hello.wav",
    "a//hello.wav",
    ".hidden/hello.wav",
    "-rf.wav",
    "hello.wav\n",
    "hello\x00.wav",
    "c:\\hello.wav",
    "hällo.wav",
    "x" * 300 + ".wav",
    "xx/busy",
    "de/dial",
    None,
    7,
]


@pytest.mark.parametrize("name", BAD)
def test_other_names_are_refused(name: object) -> None:
    """The error names the field and what is allowed."""
    with pytest.raises(RequestInvalid, match="hold_music") as refused:
        sound_of("hold_music", name, FOLDER)
    assert "NAME.wav below sounds_dir" in refused.value.allowed
    with pytest.raises(RequestInvalid, match="below recordings_dir"):
        file_name("media_name", name, "recordings_dir")


def test_a_file_needs_a_folder() -> None:
    """Without a folder there are tones alone."""
    with pytest.raises(RequestInvalid, match="no sounds_dir is configured"):
        sound_of("sound", "hello.wav", "")
    assert sound_of("sound", "us", "")


@given(st.text(alphabet="ab./-_\\~\n\x00", max_size=20))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    """Whatever is taken lies below the folder, by the path's own text."""
    try:
        path = sound_of("sound", name + ".wav", FOLDER)
    except RequestInvalid:
        return
    assert posixpath.normpath(path) == path
    assert path.startswith(FOLDER + "/")
