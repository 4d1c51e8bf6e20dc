"""One turn of call control: when it happens, what it orders, what it tells."""

from __future__ import annotations

import msgspec

from engine.core.commands import Command
from engine.core.deadlines import Deadlines
from engine.core.events import Notice
from engine.core.settings import CallSettings


class Effects(msgspec.Struct, frozen=True):
    """What a turn gives out. Commands go down in order, notices up in order."""

    commands: tuple[Command, ...]
    notices: tuple[Notice, ...]


class Turn:
    """Collects the effects of one input while legs, bridge and originate act on it."""

    __slots__ = ("commands", "deadlines", "notices", "now", "settings")

    def __init__(self, now: float, deadlines: Deadlines, settings: CallSettings) -> None:
        """Start a turn at `now`, seconds since the epoch."""
        self.now = now
        self.deadlines = deadlines
        self.settings = settings
        self.commands: list[Command] = []
        self.notices: list[Notice] = []

    def effects(self) -> Effects:
        """Return what has been collected."""
        return Effects(tuple(self.commands), tuple(self.notices))
