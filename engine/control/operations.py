"""What whoever operates an engine has to do with: draining, health, the audit log."""

from __future__ import annotations

from collections.abc import Callable

from engine.control.audit import AuditLog
from engine.control.draining import Draining
from engine.control.health import Health


class Operations:
    """The three, of one engine."""

    def __init__(self, node: str, audit_log: str, calls: Callable[[], int]) -> None:
        """Take the engine's name, the path of its audit log (empty: none) and its calls."""
        self.draining = Draining()
        self.health = Health()
        self.audit = AuditLog(node, audit_log)
        self._calls = calls

    @property
    def calls(self) -> int:
        """Accepted requests that have not told their terminal event yet."""
        return self._calls()

    def refusal(self) -> str:
        """Return why new calls are refused, empty when they are taken."""
        return "the engine is draining" if self.draining.active else self.audit.refusal()
