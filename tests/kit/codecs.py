"""Phones that answer with the codecs a test names, and what an SDP says of codecs."""

from __future__ import annotations

import re

from tests.kit.sipp import Sipp

_MAP = re.compile(r"^a=rtpmap:(\d+) (\S+)", re.MULTILINE)
_FORMATS = re.compile(r"^m=audio \d+ \S+ ([\d ]+)", re.MULTILINE)
STATIC = {"0": "PCMU/8000", "3": "GSM/8000", "8": "PCMA/8000", "9": "G722/8000", "18": "G729/8000"}
"""Payload types that need no rtpmap (RFC 3551 6)."""


def offered(sdp: str) -> list[str]:
    """Return `NAME/RATE` of every format of the audio line in its order, channels left out."""
    return list(payload_types(sdp))


def payload_types(sdp: str) -> dict[str, int]:
    """Return the payload type of every `NAME/RATE`, in the order of the audio line."""
    formats = _FORMATS.search(sdp)
    assert formats, f"no audio in SDP:\n{sdp}"
    maps = STATIC | {number: "/".join(name.split("/")[:2]) for number, name in _MAP.findall(sdp)}
    return {maps[number]: int(number) for number in formats[1].split()}


def answering(host: str, port: int, codecs: dict[int, str], *lines: str) -> Sipp:
    """Return a phone whose 200 names that RTP address and those codecs.

    Args:
        host: address of its RTP.
        port: port of its RTP.
        codecs: `NAME/RATE[/CHANNELS]` by payload type, the preferred one first.
        lines: further attributes of the audio line, like `a=ptime:30`.
    """
    family = "IP6" if ":" in host else "IP4"
    formats = " ".join(str(number) for number in codecs)
    body = [
        "v=0",
        f"o=- 1 1 IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {formats}",
        *(f"a=rtpmap:{number} {name}" for number, name in codecs.items()),
        *lines,
    ]
    described = "".join(f"{line}\r\n" for line in body)
    keys = {"describing": "Content-Type: application/sdp", "body": described}
    return Sipp("uas-answer-body", keys=keys)
