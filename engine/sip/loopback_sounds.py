"""What is played to the peers of the loopback stack and recorded of them: heard by nobody."""

from __future__ import annotations

from engine.core.commands import Play, Record, StopPlaying, StopRecording
from engine.core.events import LegPlayed, LegRecorded
from engine.core.values import LegId

Told = list[LegPlayed | LegRecorded]
"""Events, oldest first."""

_NO_MEDIA = "the leg has no media"


class LoopbackSounds:
    """One sound and one recording for each leg at most, as the media plane has it."""

    def __init__(self) -> None:
        """Begin in silence."""
        self.playing: dict[LegId, Play] = {}
        self.recording: dict[LegId, Record] = {}

    def carry_out(
        self, command: Play | StopPlaying | Record | StopRecording, *, has_media: bool
    ) -> Told:
        """Begin or stop; return what there is to tell of it."""
        leg = command.leg
        if isinstance(command, StopPlaying):
            return self.hear_out(leg)
        if isinstance(command, StopRecording):
            return self._stop_recording(leg)
        if not has_media:
            if isinstance(command, Play):
                return [LegPlayed(leg, command.play, _NO_MEDIA)]
            return [LegRecorded(leg, command.path, 0.0, _NO_MEDIA)]
        if isinstance(command, Play):
            told = self.hear_out(leg)
            self.playing[leg] = command
            return told
        if leg in self.recording:
            return [LegRecorded(leg, command.path, 0.0, "the leg is recorded already")]
        self.recording[leg] = command
        return []

    def hear_out(self, leg: LegId) -> Told:
        """End what is played to a leg, as if it had come to its end."""
        play = self.playing.pop(leg, None)
        return [] if play is None else [LegPlayed(leg, play.play, "")]

    def end(self, leg: LegId) -> Told:
        """End everything of a leg whose media end."""
        return [*self.hear_out(leg), *self._stop_recording(leg)]

    def _stop_recording(self, leg: LegId) -> Told:
        record = self.recording.pop(leg, None)
        return [] if record is None else [LegRecorded(leg, record.path, record.max_s, "")]
