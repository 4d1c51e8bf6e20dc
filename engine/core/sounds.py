"""What is played to a leg, and what of it is recorded.

One sound is played to a leg at a time: a new one takes the place of another. Sounds of the engine
itself (ringback, an announcement, hold music) go by fixed ids; those that somebody asked for get
ids of their own and are told of when they are over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from itertools import count

from engine.core.commands import Play, Record, StopPlaying, StopRecording
from engine.core.events import LegPlayed, LegRecorded
from engine.core.turn import Turn
from engine.core.values import LegId

LOST = "the file was not complete when the channel ended"
"""Recording-Error of a recording that the media plane said nothing of."""


class Sound(IntEnum):
    """Ids of the sounds that the engine plays by itself."""

    RINGBACK = 0
    ANNOUNCEMENT = 1
    HOLD_MUSIC = 2


Tell = Callable[[str, Turn, Mapping[str, object]], None]
"""Tells the control plane of an event of a leg, by its name and with its details."""


class LegSounds:
    """The sounds of one leg.

    Who is to tell of them is named each time: a leg that its own sounds knew would be a cycle, and
    every call be left to the garbage collector.
    """

    __slots__ = ("_leg", "_next", "_ordered", "playing", "recording", "recordings")

    def __init__(self, leg: LegId) -> None:
        """Begin in silence."""
        self._leg = leg
        self._next = count(len(Sound))
        self._ordered: dict[int, str] = {}
        self.playing: int | None = None
        """Id of what is played to it now, None: nothing."""
        self.recording = ""
        """Path of the file it is recorded to now, empty: it is not."""
        self.recordings: tuple[str, ...] = ()
        """Files it has been recorded to, that of now too."""

    def play(self, sound: Sound, what: str, turn: Turn, *, repeat: bool = False) -> None:
        """Play a sound of the engine's own; nothing when it plays already, or there is none."""
        if what and self.playing != sound:
            self.playing = sound
            turn.commands.append(Play(self._leg, sound, what, repeat))

    def order(self, what: str, *, repeat: bool) -> Play:
        """Return the command that plays what somebody asked for."""
        play = next(self._next)
        self._ordered[play] = what
        self.playing = play
        return Play(self._leg, play, what, repeat)

    def stop(self, turn: Turn, sound: Sound | None = None) -> None:
        """Stop what is played, or only this sound; nothing when it is not played."""
        if self.playing is not None and sound in (None, self.playing):
            self.playing = None
            turn.commands.append(StopPlaying(self._leg))

    def played(self, event: LegPlayed, turn: Turn, tell: Tell) -> None:
        """Note that a sound is over, and tell of one that was ordered."""
        if event.play == self.playing:
            self.playing = None
        what = self._ordered.pop(event.play, None)
        if what is not None:
            details = {
                "Application-Name": "play",
                "Application-Data": what,
                "Application-Response": event.error or "FILE PLAYED",
            }
            tell("CHANNEL_EXECUTE_COMPLETE", turn, details)

    def record(self, path: str, max_s: float, turn: Turn, tell: Tell) -> Record:
        """Return the command that records the leg to a new file, and tell of it."""
        self.recording = path
        self.recordings = (*self.recordings, path)
        details = {"Application-Name": "record", "Application-Response": path}
        tell("RECORD_START", turn, details)
        return Record(self._leg, path, max_s)

    def stop_recording(self, turn: Turn) -> None:
        """Stop the recording; nothing when there is none."""
        if self.recording:
            turn.commands.append(StopRecording(self._leg))

    def abandon_recording(self, turn: Turn, tell: Tell) -> None:
        """Tell that a recording is over of whose file nothing was heard; nothing without one."""
        if self.recording:
            self.recorded(LegRecorded(self._leg, self.recording, 0.0, LOST), turn, tell)

    def recorded(self, event: LegRecorded, turn: Turn, tell: Tell) -> None:
        """Tell that the recording is over; nothing of one that was told to be over already."""
        if event.path != self.recording:
            return
        self.recording = ""
        details: dict[str, object] = {
            "Application-Name": "record",
            "Application-Response": event.path,
            "Length": round(event.seconds * 1000),
        }
        if event.error:
            details["Recording-Error"] = event.error
        tell("RECORD_STOP", turn, details)
