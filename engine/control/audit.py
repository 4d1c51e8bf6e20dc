"""The audit log: who had the engine do what, one JSON object a line (docs/operations.md).

A line is in the file before the answer is given. While the file cannot be written, whatever would
need a line is refused: an action nobody can be asked about does not happen. Lines hold numbers as
they were dialled, never tokens, passwords, digits or headers.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import msgspec

from engine.core.errors import EngineUnavailable
from engine.store.audit_file import AuditFile

MAX_TEXT = 512
"""Longest text of a line, characters; a longer one is cut."""

REFUSAL = "the audit log cannot be written"

_log = logging.getLogger("quickcall.audit")


class AuditLog:
    """Writes audit lines to a file, if there is one, and to the logger `quickcall.audit`."""

    def __init__(self, node: str, path: str = "") -> None:
        """Take the engine's name and the file, empty: none; `open` opens it."""
        self._node = node
        self._path = path
        self._file: AuditFile | None = None

    def open(self) -> None:
        """Open the file. Raises `EngineUnavailable` when it cannot be."""
        if not self._path:
            return
        try:
            self._file = AuditFile(self._path)
        except OSError as error:
            raise EngineUnavailable(f"cannot open the audit log {self._path}: {error}") from error

    def reopen(self) -> None:
        """Go on in a new file under the same name, after the old one was moved away."""
        if self._file is not None:
            try:
                self._file.reopen()
            except OSError as error:
                _log.error("the audit log %s stays open: %s", self._path, error)

    def close(self) -> None:
        """Close the file. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @property
    def wanted(self) -> bool:
        """Whether anybody reads what `record` is told."""
        return self._file is not None or _log.isEnabledFor(logging.INFO)

    def refusal(self) -> str:
        """Return why nothing may be done that needs a line, empty when it may."""
        return "" if self._file is None or self._file.try_again() else REFUSAL

    def record(self, action: str, via: str, **fields: object) -> None:
        """Write a line: what was done, over what (`http`, `amqp`, `cli`), by whom and to what.

        Fields that are empty are left out.
        """
        if not self.wanted:
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "node": self._node,
            "via": via,
            "action": action,
            **{name: _short(value) for name, value in fields.items() if value not in ("", None)},
        }
        encoded = msgspec.json.encode(line)
        if self._file is not None:
            self._file.append(encoded)
        if _log.isEnabledFor(logging.INFO):
            _log.info("%s", encoded.decode())


def _short(value: object) -> object:
    if not isinstance(value, str):
        return value
    # JSON has no half of a surrogate pair.
    return value[:MAX_TEXT].encode("utf-8", "replace").decode()
