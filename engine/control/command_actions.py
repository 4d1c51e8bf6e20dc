"""What each command of Kazoo's applications does to a channel of the engine."""

from __future__ import annotations

from functools import singledispatch

from engine.control import kapi_dialplan as does
from engine.control.face import EngineFace
from engine.control.kapi_dialplan import Command


def carry_out(face: EngineFace, command: Command) -> str | None:
    """Carry out a command that is no `Refused`; return at once.

    Returns the `Application-Response` of one that is done by then, None when an event tells its
    end, or when nothing does. Raises `EngineError`: what the engine says against it.
    """
    return _do(command.action, face, command)


@singledispatch
def _do(action: object, face: EngineFace, command: Command) -> str | None:
    """Do what an action says; one function for each kind of it, None where an event tells it."""
    raise AssertionError(f"{command.application}: {action!r} of {face.node} is not carried out")


@_do.register
def _(_action: does.HangUp, face: EngineFace, command: Command) -> None:
    face.call(command.call_id).hang_up()


@_do.register
def _(action: does.Transfer, face: EngineFace, command: Command) -> None:
    face.transfer(command.call_id, action.number)


@_do.register
def _(action: does.Bridge, face: EngineFace, command: Command) -> None:
    face.bridge(command.call_id, action.order)


@_do.register
def _(action: does.PickUp, face: EngineFace, command: Command) -> None:
    face.intercept(command.call_id, action.target)


@_do.register
def _(action: does.Hold, face: EngineFace, command: Command) -> str:
    on = not face.channel(command.call_id).held if action.on is None else action.on
    face.hold(command.call_id, on=on)
    return ""


@_do.register
def _(action: does.Play, face: EngineFace, command: Command) -> None:
    face.play(command.call_id, action.sound, repeat=action.repeat)


@_do.register
def _(_action: does.StopPlaying, face: EngineFace, command: Command) -> None:
    face.stop_playing(command.call_id)


@_do.register
def _(action: does.SendDigits, face: EngineFace, command: Command) -> str:
    face.send_digits(command.call_id, action.digits, duration_ms=action.duration_ms)
    return ""


@_do.register
def _(action: does.Record, face: EngineFace, command: Command) -> None:
    face.record(command.call_id, media_name=action.media_name, max_s=action.max_s)


@_do.register
def _(_action: does.StopRecording, face: EngineFace, command: Command) -> None:
    face.stop_recording(command.call_id)


@_do.register
def _(_action: does.Park, face: EngineFace, command: Command) -> None:
    face.park(command.call_id)


@_do.register
def _(action: does.Nothing, _face: EngineFace, command: Command) -> str | None:
    if not action.told:
        return None
    # The id of a noop is what its sender waits for.
    return command.msg_id if command.application == "noop" else ""
