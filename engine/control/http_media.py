"""What is played to a channel and recorded of it, as actions of POST .../channels/{CALL_ID}."""

from __future__ import annotations

from engine.control.http_context import Call
from engine.control.request_bounds import MAX_DURATION, seconds
from engine.core.errors import RequestInvalid


def play(call: Call, account_id: str, name: str) -> None:
    """Play a sound, once or again and again."""
    data = call.required_data
    repeat = data.get("repeat", False)
    if not isinstance(repeat, bool):
        raise RequestInvalid("repeat", repeat, "true or false", "type")
    call.face.play(name, data.get("sound"), account_id, repeat=repeat)


def stop_playing(call: Call, account_id: str, name: str) -> None:
    """Stop what is played."""
    call.face.stop_playing(name, account_id)


def record_start(call: Call, account_id: str, name: str) -> dict[str, object]:
    """Record, for `time_limit` seconds or until it is stopped; returns the name of the file."""
    data = call.required_data
    limit = seconds("time_limit", data.get("time_limit", 0), MAX_DURATION)
    path = call.face.record(name, account_id, media_name=data.get("media_name"), max_s=limit)
    return {"media_name": path}


def record_stop(call: Call, account_id: str, name: str) -> None:
    """Stop recording."""
    call.face.stop_recording(name, account_id)
