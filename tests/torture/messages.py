"""The torture messages of RFC 4475, written anew after its descriptions, as files."""

from __future__ import annotations

import re
from pathlib import Path

_DIRECTORY = Path(__file__).parent / "messages"
_BYTE = re.compile(rb"\\x([0-9a-f]{2})")


def message(name: str, via: str, transport: str) -> bytes:
    r"""Return a message as it goes on the wire.

    The files have `\n` for CR LF, `\xNN` for a byte that no editor would keep, `{via}` for the
    sender's `host:port`, `{transport}`, and `{length}` for the length of the body.
    """
    raw = (_DIRECTORY / f"{name}.sip").read_text(encoding="utf-8").encode()
    raw = _BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), raw.replace(b"\n", b"\r\n"))
    _, _, body = raw.partition(b"\r\n\r\n")
    for word, value in (
        ("{via}", via),
        ("{transport}", transport.upper()),
        ("{length}", str(len(body))),
    ):
        raw = raw.replace(word.encode(), value.encode())
    return raw


def names() -> list[str]:
    """Return the names of all messages."""
    return sorted(path.stem for path in _DIRECTORY.glob("*.sip"))
