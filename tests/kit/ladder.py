"""What a phone saw on the wire, in short."""

from __future__ import annotations

from tests.kit.sipp_files import SippMessage


def wire(messages: list[SippMessage]) -> list[str]:
    """Return a phone's ladder, each kind of message once: `INVITE <` came in, `180 >` went out."""
    ladder: dict[str, None] = {}
    for message in messages:
        word = message.method or message.start_line.split(" ")[1]
        ladder[f"{word} {'>' if message.sent else '<'}"] = None
    return list(ladder)


def told(messages: list[SippMessage], method: str) -> list[SippMessage]:
    """Return the requests of that method the phone got, repetitions too."""
    return [message for message in messages if message.method == method and not message.sent]


def to_tag(message: SippMessage) -> str:
    """Return the To tag of a message."""
    return message.header("To").partition(";tag=")[2]
