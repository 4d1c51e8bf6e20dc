"""Who is joined with whom, as the orders of call control say; and what no order may do."""

from __future__ import annotations

from engine.core.commands import Command, FreeMedia, Join, Reoffer, Split
from engine.core.values import LegId


class MediaPaths:
    """The media of every leg, here or past the engine."""

    def __init__(self) -> None:
        self.joined: list[set[LegId]] = []
        self.known: list[set[LegId]] = []
        """Pairs that have been joined. A hold parts them, and so does the end of their talk."""
        self.passed: list[set[LegId]] = []
        """Pairs whose peers have sent to each other."""
        self.parked: set[LegId] = set()

    def follow(self, command: Command) -> None:
        """Keep what a command does."""
        if isinstance(command, Join):
            pair = {command.leg, command.other}
            assert all(pair.isdisjoint(other) for other in self.joined), "one partner at a time"
            self.joined.append(pair)
            self.known.append(pair)
        elif isinstance(command, Split):
            pair = {command.leg, command.other}
            assert pair in self.known, "never joined"
            self.joined = [other for other in self.joined if other != pair]
        elif isinstance(command, FreeMedia):
            pair = {command.leg, command.other}
            assert pair in self.joined, "media that are not here are not given back"
            self.joined.remove(pair)
            self.passed.append(pair)
        elif isinstance(command, Reoffer) and command.media_of is not None:
            assert not command.hold
            pair = {command.leg, command.media_of}
            assert pair in self.joined or pair in self.passed, "only who talk are told"
            assert pair.isdisjoint(self.parked)
        elif isinstance(command, Reoffer) and command.codec_of is None:
            (self.parked.add if command.hold else self.parked.discard)(command.leg)
