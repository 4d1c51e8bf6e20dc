"""What SIPp writes down: the statistics file (-trace_stat) and the message log (-trace_msg)."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_ENTRY = re.compile(
    r"^-{47} (?P<at>[-\d]+ [:.\d]+)\n\w+ message (?P<verb>received|sent)[^\n]*:\n\n", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class SippMessage:
    """One SIP message as SIPp logged it."""

    at: float
    """Seconds since the Unix epoch, when SIPp read or wrote it."""
    sent: bool
    text: str

    @property
    def start_line(self) -> str:
        """The request line or status line."""
        return self.text.split("\n", 1)[0].strip()

    @property
    def method(self) -> str:
        """The method of a request, empty for a response."""
        word = self.start_line.split(" ", 1)[0]
        return "" if word.startswith("SIP/") else word

    @property
    def status(self) -> int:
        """The status of a response, 0 for a request."""
        words = self.start_line.split(" ")
        return int(words[1]) if words[0].startswith("SIP/") else 0

    @property
    def request_uri(self) -> str:
        """The Request-URI of a request."""
        return self.start_line.split(" ")[1]

    def headers(self, name: str) -> list[str]:
        """Return the values of every header of that name, in order."""
        head = self.text.split("\n\n", 1)[0]
        wanted = name.lower()
        pairs = (line.split(":", 1) for line in head.split("\n")[1:] if ":" in line)
        return [value.strip() for key, value in pairs if key.strip().lower() == wanted]

    def header(self, name: str) -> str:
        """Return the value of the one header of that name. Raises `AssertionError` when there is
        not one.
        """
        values = self.headers(name)
        assert len(values) == 1, f"{len(values)} headers {name} in:\n{self.text}"
        return values[0]

    @property
    def body(self) -> str:
        """The body, empty when there is none."""
        return self.text.partition("\n\n")[2]


def read_messages(path: Path) -> list[SippMessage]:
    """Return the messages of a -trace_msg file, oldest first."""
    if not path.exists():
        return []
    text = path.read_text(errors="replace").replace("\r\n", "\n")
    entries = list(_ENTRY.finditer(text))
    ends = [*(entry.start() for entry in entries), len(text)][1:]
    return [
        SippMessage(
            _epoch(entry["at"]), entry["verb"] == "sent", text[entry.end() : end].strip("\n")
        )
        for entry, end in zip(entries, ends, strict=True)
    ]


def read_statistics(path: Path) -> dict[str, int]:
    """Return the cumulative counters of the last row of a -trace_stat file: `SuccessfulCall`,
    `FailedCall` ...
    """
    with path.open(newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    names, last = rows[0], rows[-1]
    return {
        name.removesuffix("(C)"): int(value)
        for name, value in zip(names, last, strict=False)
        if name.endswith("(C)") and value.isdigit()
    } | {"TotalCallCreated": int(last[names.index("TotalCallCreated")])}


def _epoch(stamp: str) -> float:
    """Read SIPp's local time stamp."""
    return datetime.fromisoformat(stamp).timestamp()
