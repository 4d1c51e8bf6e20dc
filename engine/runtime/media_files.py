"""Where sounds lie and recordings go: names of requests to paths, none outside of their folder."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from engine.core.errors import Conflict, RequestInvalid
from engine.core.sound_names import file_name, sound_of

_ACCOUNT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


class MediaFiles:
    """The folders of an engine; empty: there is none."""

    def __init__(self, sounds_dir: str, recordings_dir: str) -> None:
        """Take the folders of the configuration."""
        self._sounds = sounds_dir.rstrip("/")
        self._recordings = recordings_dir

    def sound(self, name: object) -> str:
        """Return what a name of a sound means, as `Play` takes it. Raises `RequestInvalid`."""
        return sound_of("sound", name, self._sounds)

    def recording(self, account_id: str, name: object) -> Path:
        """Return the path of a recording that is to be made, in the account's own folder.

        `name` None chooses one. The folder is made, readable by this user alone. Raises
        `RequestInvalid` for the name or without a folder of recordings, `Conflict` when there is
        such a file.
        """
        chosen = f"call_recording_{uuid4().hex}.wav" if name is None else name
        checked = file_name("media_name", chosen, "recordings_dir")
        if not self._recordings:
            raise RequestInvalid(
                "action", "record_start", "others: no recordings_dir is configured"
            )
        if not _ACCOUNT.fullmatch(account_id):
            raise RequestInvalid("account_id", account_id, "letters, digits, _, - and .")
        path = Path(self._recordings) / account_id / checked
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            allowed = f"a name below a folder that can be made ({error.strerror})"
            raise RequestInvalid("media_name", checked, allowed) from error
        if path.exists():
            raise Conflict("media_name", checked, "another recording")
        return path
