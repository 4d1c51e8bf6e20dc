"""Health: what is asked of an engine from outside, and what is the matter with it.

A supervisor restarts what is dead, a load balancer sends calls to what is ready. So a database or
a broker that is away must not make the engine dead: it comes back, a restart would end the calls.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """What a fault means."""

    DEAD = "dead"
    """The process does nothing useful any more and should be restarted."""
    DEGRADED = "degraded"
    """Calls are taken; something that goes with them waits until it is mended."""


class Check(msgspec.Struct, frozen=True):
    """One question."""

    name: str
    severity: Severity
    fault: Callable[[], str]
    """Returns what is the matter in a few words, empty when nothing is. Tells of no account."""


class Health:
    """The checks of an engine. A check costs next to nothing: anybody may ask."""

    def __init__(self) -> None:
        """Begin without a check: what can answer is alive."""
        self._checks: list[Check] = []

    def add(self, name: str, severity: Severity, fault: Callable[[], str]) -> None:
        """Add a check."""
        self._checks.append(Check(name, severity, fault))

    def faults(self, severity: Severity) -> dict[str, str]:
        """Return name and words of each check that finds a fault of this severity."""
        found = (
            (check.name, check.fault()) for check in self._checks if check.severity is severity
        )
        return {name: fault for name, fault in found if fault}
