"""What can be asked of a live call by name, with its arguments as a JSON object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engine.control.face import EngineFace
from engine.control.request_bounds import MAX_DURATION, seconds
from engine.core.digits import USUAL_MS
from engine.core.errors import RequestInvalid

Action = Callable[[EngineFace, str, str, Mapping[str, object]], dict[str, object] | None]
"""Does something to the call of an account and an id; returns what the answer says of it."""


def _hang_up(face: EngineFace, account_id: str, name: str, _: Mapping[str, object]) -> None:
    face.call(name, account_id).hang_up()


def _hold(face: EngineFace, account_id: str, name: str, _: Mapping[str, object]) -> None:
    face.hold(name, account_id)


def _unhold(face: EngineFace, account_id: str, name: str, _: Mapping[str, object]) -> None:
    face.hold(name, account_id, on=False)


def _transfer(face: EngineFace, account_id: str, name: str, data: Mapping[str, object]) -> None:
    target = data.get("target")
    if not isinstance(target, str):
        raise RequestInvalid("target", target, "the number to connect to, as text", "type")
    kind = data.get("Transfer-Type", data.get("transfer_type", "blind"))
    if kind != "blind":
        raise RequestInvalid("Transfer-Type", kind, "blind", "enum")
    face.transfer(name, target, account_id)


def _intercept(face: EngineFace, account_id: str, name: str, data: Mapping[str, object]) -> None:
    kind = data.get("target_type", "channel")
    if kind != "channel":
        raise RequestInvalid("target_type", kind, "channel", "enum")
    target = data.get("target_id")
    if not isinstance(target, str) or not target:
        raise RequestInvalid("target_id", target, "the Call-ID of another channel", "type")
    face.intercept(name, target, account_id)


def _send_digits(face: EngineFace, account_id: str, name: str, data: Mapping[str, object]) -> None:
    digits = data.get("digits")
    if not isinstance(digits, str):
        raise RequestInvalid("digits", digits, "DTMF digits, as text", "type")
    duration = data.get("duration", USUAL_MS)
    if not isinstance(duration, int) or isinstance(duration, bool):
        raise RequestInvalid("duration", duration, "milliseconds, an integer", "type")
    face.send_digits(name, digits, account_id, duration_ms=duration)


def _play(face: EngineFace, account_id: str, name: str, data: Mapping[str, object]) -> None:
    repeat = data.get("repeat", False)
    if not isinstance(repeat, bool):
        raise RequestInvalid("repeat", repeat, "true or false", "type")
    face.play(name, data.get("sound"), account_id, repeat=repeat)


def _stop_playing(face: EngineFace, account_id: str, name: str, _: Mapping[str, object]) -> None:
    face.stop_playing(name, account_id)


def _record_start(
    face: EngineFace, account_id: str, name: str, data: Mapping[str, object]
) -> dict[str, object]:
    limit = seconds("time_limit", data.get("time_limit", 0), MAX_DURATION)
    path = face.record(name, account_id, media_name=data.get("media_name"), max_s=limit)
    return {"media_name": path}


def _record_stop(face: EngineFace, account_id: str, name: str, _: Mapping[str, object]) -> None:
    face.stop_recording(name, account_id)


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "hangup": _hang_up,
        "hold": _hold,
        "unhold": _unhold,
        "transfer": _transfer,
        "intercept": _intercept,
        "dtmf": _send_digits,
        "play": _play,
        "stop_playing": _stop_playing,
        "break": _stop_playing,
        "record_start": _record_start,
        "record_stop": _record_stop,
    }
)
"""Every action by its name. `break` is Kazoo's word for ending what is played."""
