"""The audit log's file: lines are appended, none is changed or lost."""

from __future__ import annotations

import os
from pathlib import Path

MAX_OWED = 1024 * 1024
"""Most bytes kept in memory while the file cannot be written; later lines are counted as lost."""


class AuditFile:
    """Appends lines to a file, each with one write: several processes may share it.

    A write puts the line into the kernel's hands, from where it gets to the disk whatever becomes
    of this process. What cannot be written is kept and goes first the next time.
    """

    def __init__(self, path: str) -> None:
        """Open the file, made if it does not exist, for its owner alone. Raises `OSError`."""
        self.path = Path(path)
        self.lost = 0
        """Lines that found neither file nor memory."""
        self._owed = b""
        self._descriptor = self._open()

    def append(self, line: bytes) -> None:
        """Append a line, without its end."""
        if len(self._owed) > MAX_OWED:
            self.lost += 1
            return
        self._write(self._owed + line + b"\n")

    def try_again(self) -> bool:
        """Write what is owed; return whether nothing is any longer."""
        if self._owed:
            self._write(self._owed)
        return not self._owed

    def reopen(self) -> None:
        """Go on in a new file of that name: the old one was moved away. Raises `OSError`."""
        new = self._open()
        os.close(self._descriptor)
        self._descriptor = new
        self.try_again()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._descriptor >= 0:
            self.try_again()
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self.path, flags, 0o600)

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            written = 0
        self._owed = data[written:]
