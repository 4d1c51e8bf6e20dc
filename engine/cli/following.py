"""What `quickcall call` shows: one line for every event of the call, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

_WORDS = {
    "CHANNEL_CREATE": ("dialled", "cyan"),
    "CHANNEL_PROGRESS": ("rings", "yellow"),
    "CHANNEL_PROGRESS_MEDIA": ("gives early media", "yellow"),
    "CHANNEL_ANSWER": ("answered", "green"),
    "CHANNEL_BRIDGE": ("connected", "bold green"),
    "CHANNEL_UNBRIDGE": ("disconnected", "magenta"),
    "CHANNEL_HOLD": ("holds", "yellow"),
    "CHANNEL_UNHOLD": ("talks again", "green"),
    "CHANNEL_TRANSFEROR": ("transfers the call", "cyan"),
    "CHANNEL_TRANSFEREE": ("is transferred", "cyan"),
    "CHANNEL_REPLACED": ("is replaced", "cyan"),
    "CHANNEL_DESTROY": ("ended", "red"),
}

_TALKED = 0
_FAILED = 1


class Follower:
    """Picks the events of one call out of an account's stream and prints them."""

    def __init__(self, request_id: str, accepted: Mapping[str, Any], endpoint: str) -> None:
        """Follow the call of this request; `accepted` is the API's answer to it."""
        self.request_id = request_id
        self._rung = {leg["outbound_call_id"]: endpoint for leg in accepted.get("endpoints", ())}
        self._names: dict[str, str] = {}
        self._interaction = ""
        self._connected = False
        self._console = Console(highlight=False)
        self._started = time.monotonic()
        self.exit_status = _FAILED
        """0 when the two were connected; known when `take` returned True."""

    def say(self, text: str, style: str = "") -> None:
        """Print a line with the seconds since the call was placed."""
        line = Text(f"{time.monotonic() - self._started:7.2f} s  ")
        line.append(text, style=style)
        self._console.print(line, soft_wrap=True)

    def take(self, name: str, event: Mapping[str, Any]) -> bool:
        """Show an event if it belongs to the call; return True for its last one."""
        if name == "QUICKCALL_END":
            if event.get("msg_id") != self.request_id:
                return False
            self._end(event)
            return True
        call_id = str(event.get("call_id", ""))
        if self._is_ours(call_id, event):
            self._leg(name, call_id, event)
        return False

    def _is_ours(self, call_id: str, event: Mapping[str, Any]) -> bool:
        interaction = event.get("custom_channel_vars", {}).get("call_interaction_id", "")
        if call_id in self._rung:
            self._interaction = interaction
        return bool(interaction) and interaction == self._interaction

    def _leg(self, name: str, call_id: str, event: Mapping[str, Any]) -> None:
        if name == "CHANNEL_CREATE":
            self._names[call_id] = self._rung.get(call_id) or str(event.get("request", call_id))
        elif name == "CHANNEL_BRIDGE":
            self._connected = True
        words, style = _WORDS.get(name, (name.lower(), ""))
        detail = f": {event['hangup_cause']}" if "hangup_cause" in event else ""
        side = "A" if call_id in self._rung else "B"
        self.say(f"{side}  {self._names.get(call_id, call_id)} {words}{detail}", style)

    def _end(self, event: Mapping[str, Any]) -> None:
        self.exit_status = _TALKED if self._connected else _FAILED
        style = "bold green" if self._connected else "bold red"
        parts = [str(event.get("hangup_cause", "")), str(event.get("hangup_code", ""))]
        parts += [str(event.get("hangup_reason", "")), f"by {event.get('hangup_party', 'nobody')}"]
        self.say(("connected and over: " if self._connected else "not connected: ")
                 + ", ".join(part for part in parts if part), style)  # fmt: skip
        for attempt in event.get("attempts", ()):
            where = attempt.get("contact") or attempt.get("endpoint_id")
            self.say(
                f"   {where}: {attempt.get('cause')} {attempt.get('sip_status') or ''}".rstrip()
            )
