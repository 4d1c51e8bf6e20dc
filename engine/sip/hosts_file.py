"""Names the machine itself knows: /etc/hosts and localhost (RFC 6761 6.3)."""

from __future__ import annotations

import ipaddress
import logging
from pathlib import Path

MAX_BYTES = 1_000_000
"""Longest hosts file that is read; what is behind it is not seen."""

_LOOPBACK = ("127.0.0.1", "::1")

_log = logging.getLogger(__name__)


class HostsFile:
    """A hosts file, read again when it has changed.

    It is a small local file; reading it is the only thing about names that is done in the loop.
    """

    def __init__(self, path: Path) -> None:
        """Take the path; a file that does not exist has no names."""
        self._path = path
        self._read_as_of = -1
        self._names: dict[str, tuple[str, ...]] = {}

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return the addresses of a name in lower case, IPv4 and IPv6; empty: not a known one."""
        if name == "localhost" or name.endswith(".localhost"):
            return _LOOPBACK
        self._refresh()
        return self._names.get(name, ())

    def _refresh(self) -> None:
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._read_as_of:
                with self._path.open("rb") as file:
                    self._names = _parse(file.read(MAX_BYTES).decode("utf-8", "replace"))
                self._read_as_of = changed
        except OSError as error:
            if self._names:
                _log.warning("%s cannot be read any more: %s", self._path, error)
            self._names, self._read_as_of = {}, -1


def _parse(text: str) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *known = line.partition("#")[0].split()[:64] or [""]
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            continue
        for name in known:
            key = name.lower().rstrip(".")
            names[key] = (*names.get(key, ()), address)
    return names
