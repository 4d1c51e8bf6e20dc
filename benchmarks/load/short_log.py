"""SIPp's short message log (-trace_shortmsg): when each message was read or written, by Call-ID."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Moments:
    """First times of one kind of message, Call-ID -> seconds since the Unix epoch."""

    invite: dict[str, float] = field(default_factory=dict)
    """The INVITE was read by SIPp."""
    answer: dict[str, float] = field(default_factory=dict)
    """The 200 to the INVITE was written by SIPp."""
    ack: dict[str, float] = field(default_factory=dict)
    """The ACK was read by SIPp."""


def read_moments(path: Path) -> Moments:
    """Read a short message log. A line: date, time and epoch, R or S, Call-ID, CSeq, start line."""
    moments = Moments()
    with path.open(errors="replace") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) < 7:
                continue
            at, direction, call_id, cseq, start_line = float(fields[2]), *fields[3:7]
            if direction == "R" and start_line.startswith("INVITE "):
                moments.invite.setdefault(call_id, at)
            elif direction == "R" and start_line.startswith("ACK "):
                moments.ack.setdefault(call_id, at)
            elif start_line.startswith("SIP/2.0 200") and cseq.endswith("INVITE"):
                moments.answer.setdefault(call_id, at)
    return moments
