"""What the phone says: one JSON object a line on standard output, so that programs can await it.

Every line has `event` and `at` (seconds since the Unix epoch). The events and their fields are
listed in docs/phone.md.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

Value = str | int | float | bool | None | dict[str, float]
"""What a field of an event may hold."""


class Report:
    """Writes events to a stream, each at once."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream

    def __call__(self, event: str, **fields: Value) -> None:
        """Report one event. A reader that went away does not stop the phone."""
        line = json.dumps({"event": event, "at": round(time.time(), 3), **fields})
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except BrokenPipeError:
            self._stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


@contextmanager
def exclusive_stdout() -> Iterator[TextIO]:
    """Give the standard output to the report alone.

    The native stack prints to descriptor 1 before its log can be configured; a line of it among
    the JSON would break every reader. Descriptor 1 leads nowhere until the end of the block.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as stream:
            yield stream
    finally:
        # What C has buffered would otherwise be written to the descriptor restored below, at exit.
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
