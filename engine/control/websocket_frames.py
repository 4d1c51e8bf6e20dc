"""Frames of the event stream, in the shapes of Kazoo's blackhole. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, unquote

import msgspec

from engine.control.auth import ROOT
from engine.control.feed import EventFilter, FeedEvent
from engine.control.kazoo_events import EVENT_NAMES
from engine.core.errors import EngineError

MAX_BINDINGS = 64
"""Most bindings of one session."""

_ROUTING_KEPT = "~_-"
"""Characters of a call id that a routing key keeps, besides letters and digits."""


class FrameRefused(EngineError):
    """A frame that cannot be carried out; its text is the answer, in blackhole's words if any."""


class FrameData(msgspec.Struct):
    """What a client's frame is about."""

    account_id: str = ""
    binding: str = ""
    bindings: list[str] = []
    resume_from: int | None = None
    """Sequence of the last event the client has seen; later ones are sent again."""


class ClientFrame(msgspec.Struct):
    """A client's frame."""

    action: str
    auth_token: str | None = None
    request_id: str | None = None
    data: FrameData = msgspec.field(default_factory=FrameData)


class Binding(msgspec.Struct, frozen=True):
    """One subscription of a session: Kazoo's `call.EVENT.CALL_ID` in one account."""

    account_id: str
    """Account id, `*` for every account."""
    event: str
    call_id: str

    @property
    def key(self) -> str:
        """The binding as the client wrote it."""
        return f"call.{self.event}.{routing_word(self.call_id)}"

    @property
    def subscription_key(self) -> str:
        """The binding with its account."""
        return f"call.{self.account_id}.{self.event}.{routing_word(self.call_id)}"

    @property
    def filter(self) -> EventFilter:
        """Which events it wants."""
        return EventFilter(
            None if self.account_id == ROOT else self.account_id,
            None if self.event == "*" else frozenset({self.event}),
            None if self.call_id == "*" else self.call_id,
        )


def parse_frame(text: str) -> ClientFrame:
    """Return a client's frame. Raises `FrameRefused`."""
    try:
        frame = _decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FrameRefused(f"frame is not what it should be : {error}") from None
    if len(frame.data.bindings) > MAX_BINDINGS:
        raise FrameRefused(f"bindings : at most {MAX_BINDINGS} in a session")
    return frame


_decode = msgspec.json.Decoder(ClientFrame).decode


def parse_bindings(data: FrameData) -> list[Binding]:
    """Return the bindings a frame names. Raises `FrameRefused`."""
    names = data.bindings or ([data.binding] if data.binding else [])
    if not data.account_id or not names:
        missing = [*([] if data.account_id else ["account_id"]), *([] if names else ["binding"])]
        raise FrameRefused(f"missing required keys : {', '.join(missing)}")
    return [_binding(data.account_id, name) for name in names]


def _binding(account_id: str, name: str) -> Binding:
    parts = name.split(".", 2)
    if len(parts) != 3 or parts[0] != "call" or not parts[2]:
        raise FrameRefused(f"binding {name} not supported : call.{{EVENT or *}}.{{CALL_ID or *}}")
    if parts[1] != "*" and parts[1] not in EVENT_NAMES:
        known = ", ".join(sorted(EVENT_NAMES))
        raise FrameRefused(f"event {parts[1]} not supported : *, {known}")
    return Binding(account_id, parts[1], unquote(parts[2]))


def routing_word(word: str) -> str:
    """Return one word of a routing key as Kazoo encodes it; a lone `*` stays.

    >>> routing_word("a.b c@d")
    'a%2Eb+c%40d'
    """
    if word == "*":
        return word
    return quote(word, safe=_ROUTING_KEPT).replace(".", "%2E").replace("%20", "+")


def reply(request_id: str | None, data: dict[str, object]) -> bytes:
    """Return the answer to a frame that was carried out."""
    return _reply(request_id, "success", data)


def refusal(request_id: str | None, error: str) -> bytes:
    """Return the answer to a frame that was not."""
    return _reply(request_id, "error", {"errors": [error]})


def _reply(request_id: str | None, status: str, data: dict[str, object]) -> bytes:
    frame: dict[str, object] = {"action": "reply", "status": status, "data": data}
    if request_id is not None:
        frame["request_id"] = request_id
    return msgspec.json.encode(frame)


def event_frame(event: FeedEvent, binding: Binding, node: str) -> bytes:
    """Return an event as its subscriber gets it.

    `sequence` is what to resume from, `event_id` what the event is called on every feed.
    """
    return msgspec.json.encode(
        {
            "action": "event",
            "subscribed_key": binding.key,
            "subscription_key": binding.subscription_key,
            "name": event.name,
            "routing_key": f"call.{event.account_id}.{event.name}.{routing_word(event.call_id)}",
            "sequence": event.sequence,
            "event_id": event.event_id(node),
            "data": msgspec.Raw(event.public_json()),
        }
    )


def snapshot_frame(
    bindings: Sequence[Binding],
    sequence: int,
    channels: Sequence[dict[str, object]],
    requests: Sequence[dict[str, object]],
    *,
    more: bool,
) -> bytes:
    """Return what lives at a point of the stream, or a part of it: the last has `more` false."""
    return msgspec.json.encode(
        {
            "action": "snapshot",
            "subscription_keys": [binding.subscription_key for binding in bindings],
            "sequence": sequence,
            "more": more,
            "data": {"channels": channels, "requests": requests},
        }
    )
