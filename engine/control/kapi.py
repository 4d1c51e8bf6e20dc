"""The rules that every message on Kazoo's bus follows (kapi_definition, kz_api). Pure.

Facts of the envelope: which keys, which are stripped, how routing keys are written, where replies
go, how a message is judged. What single messages hold is in the kapi_* files beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property

import msgspec

from engine.control.kazoo_events import APP_NAME, APP_VERSION
from engine.control.random_ids import random_id
from engine.core.errors import RequestInvalid

ENVELOPE_REQUIRED = frozenset({"App-Name", "App-Version", "Event-Category", "Event-Name", "Msg-ID"})

ENVELOPE_OPTIONAL = frozenset(
    {
        "Access-Group",
        "Account-ID",
        "AMQP-Broker",
        "AMQP-Broker-Zone",
        "Call-ID",
        "Defer-Response",
        "Deliver-To-PID",
        "Destination-Server",
        "Geo-Location",
        "Node",
        "Raw-Headers",
        "Reply-To-PID",
        "Request-From-PID",
        "Server-ID",
        "Server-Queue-ID",
        "System-Log-ID",
    }
)

_KEPT_EMPTY = frozenset({"Server-ID", "Msg-ID"})
_SCALARS = frozenset({str, int, float, bool})
_UNSAFE = re.compile(r"[^A-Za-z0-9~_-]")
_NOT_IN_QUEUES = re.compile(r"[^A-Za-z0-9_.:@-]")
_PID_REPLY = re.compile(r"(?:pid|consumer)://(?P<pid>[^/]{1,255})/(?P<queue>.+)", re.DOTALL)

MAX_DEPTH = 32
"""How deep values may nest in a message that is built here."""


def encode_key(text: str) -> str:
    """Return one element of a routing key: what is not plain is percent-encoded, a space is `+`.

    >>> encode_key("a.b c@d"), encode_key("*")
    ('a%2Eb+c%40d', '*')
    """
    if text in ("*", "#"):
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    if match[0] == " ":
        return "+"
    return "".join(f"%{octet:02X}" for octet in match[0].encode())


def queue_name(prefix: str, node: str) -> str:
    """Return the name of a queue of a node's own; AMQP knows few characters in them.

    >>> queue_name("quickcall-ctl", "engine@sip1.example.org")
    'quickcall-ctl-engine@sip1.example.org'
    """
    return f"{prefix}-{_NOT_IN_QUEUES.sub('_', node)}"[:255]


def new_msg_id() -> str:
    """Return a message id nobody can guess: 32 hexadecimal digits."""
    return random_id()


def prepare(payload: Mapping[str, object], node: str) -> dict[str, object]:
    """Return a message as it goes out: empty values stripped, the envelope filled in.

    None and empty text go, at every depth but for `Server-ID` and `Msg-ID`; false, 0, `{}` and `[]`
    stay.
    """
    message = _stripped(payload, 0)
    message.setdefault("App-Name", APP_NAME)
    message.setdefault("App-Version", APP_VERSION)
    message.setdefault("Node", node)
    if not message.get("Msg-ID"):
        message["Msg-ID"] = new_msg_id()
    return message


def _stripped(payload: Mapping[str, object], depth: int) -> dict[str, object]:
    return {
        key: value if type(value) in _SCALARS else _stripped_value(value, depth)
        for key, value in payload.items()
        if (value is not None and value != "") or key in _KEPT_EMPTY
    }


def _stripped_value(value: object, depth: int) -> object:
    if depth < MAX_DEPTH:
        if isinstance(value, Mapping):
            return _stripped(value, depth + 1)
        if isinstance(value, list | tuple):
            return [_stripped_value(item, depth + 1) for item in value]
    return value


class ReplyTo(msgspec.Struct, frozen=True):
    """Where the answer to a message goes."""

    queue: str
    """Routing key on the exchange `targeted`."""
    headers: dict[str, str]
    """`Deliver-To-PID` when the sender named the process that waits."""


def reply_to(request: Mapping[str, object]) -> ReplyTo | None:
    """Return where a request wants its answer; None: nowhere, nobody may answer it.

    >>> reply_to({"Server-ID": "pid://<0.1.2>/crossbar-q"})
    ReplyTo(queue='crossbar-q', headers={'Deliver-To-PID': '<0.1.2>'})
    """
    server_id = request.get("Server-ID")
    if not isinstance(server_id, str) or not server_id:
        return None
    match = _PID_REPLY.fullmatch(server_id)
    if match is None:
        return ReplyTo(server_id, {})
    return ReplyTo(match["queue"], {"Deliver-To-PID": match["pid"]})


class Rules(msgspec.Struct, frozen=True, dict=True):
    """What one kind of message may hold, besides the envelope."""

    category: str
    name: str
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[object]] = msgspec.field(default_factory=dict)
    """Key -> what it may be, when it is there."""
    types: Mapping[str, Callable[[object], bool]] = msgspec.field(default_factory=dict)
    """Key -> what it must satisfy, when it is there: `is_object`, `is_list`, `is_boolean`..."""

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Every key that has to be in such a message, in the order in which they are missed."""
        return tuple(sorted(self.required | ENVELOPE_REQUIRED))

    @cached_property
    def known(self) -> frozenset[str]:
        """Every key that may be in such a message."""
        return self.required | self.optional | ENVELOPE_REQUIRED | ENVELOPE_OPTIONAL


def validate(message: Mapping[str, object], rules: Rules) -> None:
    """Judge a message as its receiver does in Kazoo. Raises `RequestInvalid` for the first fault.

    Keys nobody knows are no fault; they are not looked at.
    """
    for key in rules.needed:
        if message.get(key) in (None, ""):
            raise RequestInvalid(key, None, "a value; it is required", "required")
    for key, expected in (("Event-Category", rules.category), ("Event-Name", rules.name)):
        if message[key] != expected:
            raise RequestInvalid(key, message[key], expected, "enum")
    for key, allowed in rules.values.items():
        if key in message and not _is_among(message[key], allowed):
            words = ", ".join(sorted(map(str, allowed)))
            raise RequestInvalid(key, message[key], f"one of {words}", "enum")
    for key, satisfied in rules.types.items():
        if key in message and not satisfied(message[key]):
            wanted = satisfied.__name__.removeprefix("is_")
            raise RequestInvalid(key, message[key], f"a value of type {wanted}", "type")


def _is_among(value: object, allowed: frozenset[object]) -> bool:
    return isinstance(value, str | int | float) and value in allowed


def is_object(value: object) -> bool:
    """Tell whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> bool:
    """Tell whether a value is a JSON array."""
    return isinstance(value, list)


def is_boolean(value: object) -> bool:
    """Tell whether a value is true or false, as text too: Kazoo's `kz_term:is_boolean`."""
    return isinstance(value, bool) or value in ("true", "false")


def is_text(value: object) -> bool:
    """Tell whether a value is text."""
    return isinstance(value, str)


def only_known(message: Mapping[str, object], rules: Rules) -> dict[str, object]:
    """Return what of a message its kind may hold; the rest is dropped, as Kazoo's builders do."""
    known = rules.known
    return {key: value for key, value in message.items() if key in known}


def error_message(
    event_name: str, text: str, request: Mapping[str, object], call_id: str = ""
) -> dict[str, object]:
    """Return the error answer to a request: category `error`, why, and the whole request."""
    return {
        "Event-Category": "error",
        "Event-Name": event_name,
        "Msg-ID": request.get("Msg-ID", ""),
        "Error-Message": text,
        "Call-ID": call_id,
        "Request": dict(request),
    }
