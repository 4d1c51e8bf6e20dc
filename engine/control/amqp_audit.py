"""What the audit log is told of messages of the bus: who sent them, and what of a command."""

from __future__ import annotations

from collections.abc import Mapping

from engine.control import kapi_dialplan as does
from engine.control.kapi_dialplan import Command


def asker(message: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that say who sent a message, in its own words: the bus proves none."""
    return {
        "peer": message.get("Node"),
        "application": message.get("App-Name"),
        "server_id": message.get("Server-ID"),
        "msg_id": message.get("Msg-ID"),
    }


def told_of(command: Command) -> dict[str, object]:
    """Return the fields that say what a command is about. Digits are left out: a PIN may be."""
    fields: dict[str, object] = {"call_id": command.call_id}
    match command.action:
        case does.Transfer(number=number):
            fields["target"] = number
        case does.Record(media_name=media_name) if isinstance(media_name, str):
            fields["media_name"] = media_name
        case _:
            pass
    return fields | asker(command.body)
