"""Kazoo's commands for calls (`kapi_dialplan`): JSON in, what is to be done out. Pure.

A command that is wrong, or that this engine has not got, is a `Refused`: it takes its turn like any
other and is answered by an error event then, so that what stands behind it is still carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from engine.control.kapi import ENVELOPE_OPTIONAL, ENVELOPE_REQUIRED
from engine.control.kapi_media import media_of
from engine.control.request_bounds import MAX_DURATION, number_text
from engine.core.digits import MAX_MS, USUAL_MS, check_digits
from engine.core.errors import RequestInvalid
from engine.core.uri import MAX_CALL_ID
from engine.core.values import BridgeOrder

MAX_COMMANDS = 64
"""Most commands in one `queue`."""

ANY_DIGIT = frozenset("0123456789*#ABCD")

Body = Mapping[str, object]
Bridges = Callable[[Body], BridgeOrder]
"""Reads a `bridge` command; raises `RequestInvalid`."""


class InsertAt(StrEnum):
    """Where a command goes among those that wait for the same call."""

    NOW = "now"
    """It is carried out at once, whatever runs."""
    HEAD = "head"
    TAIL = "tail"
    FLUSH = "flush"
    """What is played is stopped, what waits is dropped."""


class HangUp(msgspec.Struct, frozen=True):
    """End the call."""


class Transfer(msgspec.Struct, frozen=True):
    """Connect the channel to a number."""

    number: str


class Bridge(msgspec.Struct, frozen=True):
    """Connect the channel to endpoints; runs until that has failed or is over."""

    order: BridgeOrder


class PickUp(msgspec.Struct, frozen=True):
    """Connect the channel to another one, whose partner leaves."""

    target: str


class Hold(msgspec.Struct, frozen=True):
    """Put the channel on hold, talk to it again, or None: whichever it is not."""

    on: bool | None


class Play(msgspec.Struct, frozen=True):
    """Play a sound; runs until it is over."""

    sound: str
    repeat: bool
    terminators: frozenset[str]
    """Digits of the channel that stop it."""


class StopPlaying(msgspec.Struct, frozen=True):
    """Stop what is played."""


class SendDigits(msgspec.Struct, frozen=True):
    """Send DTMF digits to the channel."""

    digits: str
    duration_ms: int


class Record(msgspec.Struct, frozen=True):
    """Record the channel."""

    media_name: str | None
    max_s: float


class StopRecording(msgspec.Struct, frozen=True):
    """Stop recording the channel."""


class Park(msgspec.Struct, frozen=True):
    """Let the channel wait for orders."""


class Nothing(msgspec.Struct, frozen=True):
    """Nothing is to be done: an answered channel is all that is asked for, or an answer."""

    told: bool = True
    """Whether who asks waits to be told that it is over."""


class Refused(msgspec.Struct, frozen=True):
    """Cannot be done."""

    why: str


Action = (
    HangUp
    | Transfer
    | Bridge
    | PickUp
    | Hold
    | Play
    | StopPlaying
    | SendDigits
    | Record
    | StopRecording
    | Park
    | Nothing
    | Refused
)


class Command(msgspec.Struct, frozen=True):
    """One command for one channel."""

    call_id: str
    application: str
    """Kazoo's `Application-Name`."""
    action: Action
    msg_id: str
    body: Body
    """As it came; error events carry it."""


class Order(msgspec.Struct, frozen=True):
    """A message: one command, or several in the order in which they are carried out."""

    call_id: str
    insert_at: InsertAt
    commands: tuple[Command, ...]


def parse_order(body: Body, bridge: Bridges) -> Order:
    """Return what a message of the control queue asks for; `bridge` reads what it says of that.

    Raises `RequestInvalid` when it names no channel, no application or no place in the queue: then
    there is nobody to tell.
    """
    if (body.get("Event-Category"), body.get("Event-Name")) != ("call", "command"):
        name = f"{_text(body, 'Event-Category')}/{_text(body, 'Event-Name')}"
        raise RequestInvalid("Event-Name", name[:64], "Event-Category call, Event-Name command")
    call_id = _call_id("Call-ID", body.get("Call-ID"))
    application = body.get("Application-Name")
    if not isinstance(application, str) or not 0 < len(application) <= 64:
        raise RequestInvalid("Application-Name", application, "the name of a command")
    insert_at = _insert_at(body.get("Insert-At", InsertAt.TAIL))
    if application == "queue":
        return Order(call_id, insert_at, _listed(body, call_id, insert_at, bridge))
    if application in _AT_ONCE:
        insert_at = InsertAt.NOW
    return Order(call_id, insert_at, (_command(body, call_id, bridge),))


def _listed(body: Body, call_id: str, insert_at: InsertAt, bridge: Bridges) -> tuple[Command, ...]:
    """Return the commands of a `queue`, the first to be carried out first.

    Kazoo's applications write the last one first, but for `now` and `head`, which ecallmgr takes as
    they stand.
    """
    given = body.get("Commands")
    allowed = f"a list of 1 to {MAX_COMMANDS} commands"
    if not isinstance(given, list) or not 0 < len(given) <= MAX_COMMANDS:
        return (Command(call_id, "queue", Refused(f"Commands: {allowed}"), _msg_id(body), body),)
    envelope = {key: value for key, value in body.items() if key in _ENVELOPE}
    items = [item for item in given if isinstance(item, Mapping) and item.get("Application-Name")]
    commands = [_command({**envelope, **item}, call_id, bridge) for item in items]
    if insert_at in (InsertAt.TAIL, InsertAt.FLUSH):
        commands.reverse()
    return tuple(commands)


def _command(body: Body, call_id: str, bridge: Bridges) -> Command:
    application = _text(body, "Application-Name")[:64]
    if body.get("Call-ID", call_id) != call_id:
        action: Action = Refused("Call-ID: a list is for one channel")
    else:
        action = _action(application, body, bridge)
    return Command(call_id, application, action, _msg_id(body), body)


def _action(application: str, body: Body, bridge: Bridges) -> Action:
    try:
        if application == "bridge":
            return Bridge(bridge(body))
        parse = _PARSERS.get(application)
        return parse(body) if parse is not None else Refused("this engine has no such command")
    except RequestInvalid as error:
        return Refused(str(error))


# --- one function per application ---------------------------------------------------------------


def _hangup(body: Body) -> Action:
    if _boolean(body, "Other-Leg-Only"):
        return Refused("Other-Leg-Only: both legs are hung up, or none; name the other leg")
    return HangUp()


def _transfer(body: Body) -> Action:
    kind = body.get("Transfer-Type", "blind")
    if kind != "blind":
        raise RequestInvalid("Transfer-Type", kind, "blind; attended is up to the phone (REFER)")
    number = body.get("Transfer-To")
    if not isinstance(number, str):
        raise RequestInvalid("Transfer-To", number, "a number", "type")
    return Transfer(number_text("Transfer-To", number.partition("@")[0]))


def _pick_up(body: Body) -> Action:
    return PickUp(_call_id("Target-Call-ID", body.get("Target-Call-ID")))


def _hold(body: Body) -> Action:
    if body.get("Hold-Media"):
        # What Kazoo's hold is: music, and no re-INVITE, until something else is to be done.
        media = media_of("Hold-Media", body["Hold-Media"])
        return Play(media.sound, repeat=True, terminators=frozenset())
    return Hold(on=True)


def _hold_control(body: Body) -> Action:
    action = body.get("Action")
    if not isinstance(action, str) or action not in _HOLDS:
        raise RequestInvalid("Action", action, ", ".join(_HOLDS), "enum")
    return Hold(_HOLDS[action])


def _play(body: Body) -> Action:
    media = media_of("Media-Name", body.get("Media-Name"))
    repeat = media.repeat or _boolean(body, "Endless-Playback")
    return Play(media.sound, repeat, _terminators(body.get("Terminators")))


def _send_dtmf(body: Body) -> Action:
    digits = body.get("DTMFs")
    if not isinstance(digits, str):
        raise RequestInvalid("DTMFs", digits, "digits", "type")
    duration = _number(body, "Duration", USUAL_MS, MAX_MS)
    return SendDigits(check_digits(digits, int(duration)), int(duration))


def _record_call(body: Body) -> Action:
    action = body.get("Record-Action")
    if action == "stop":
        return StopRecording()
    if action != "start":
        raise RequestInvalid("Record-Action", action, "start or stop", "enum")
    name = body.get("Media-Name")
    if name is not None and not isinstance(name, str):
        raise RequestInvalid("Media-Name", name, "NAME.wav", "type")
    if body.get("Media-Transfer-Destination"):
        raise RequestInvalid("Media-Transfer-Destination", "...", "none: files stay on this node")
    return Record(name or None, _number(body, "Time-Limit", 0, MAX_DURATION))


_HOLDS: dict[str, bool | None] = {"hold": True, "unhold": False, "toggle": None}

_AT_ONCE = frozenset({"playstop", "break"})
"""Behind what they are to stop they would do nothing."""

_ENVELOPE = ENVELOPE_REQUIRED | ENVELOPE_OPTIONAL
"""What a list says for each of its commands."""

_PARSERS: dict[str, Callable[[Body], Action]] = {
    "hangup": _hangup,
    "transfer": _transfer,
    "call_pickup": _pick_up,
    "connect_leg": _pick_up,
    "hold": _hold,
    "hold_control": _hold_control,
    "play": _play,
    "playstop": lambda _body: StopPlaying(),
    "break": lambda _body: StopPlaying(),
    "send_dtmf": _send_dtmf,
    "record_call": _record_call,
    "park": lambda _body: Park(),
    **dict.fromkeys(("answer", "noop", "privacy", "progress", "ring"), lambda _body: Nothing()),
    **dict.fromkeys(("set", "set_terminators"), lambda _body: Nothing(told=False)),
}

APPLICATIONS = frozenset({"bridge", "queue", *_PARSERS})
"""Commands that are understood."""


# --- values -------------------------------------------------------------------------------------


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _msg_id(body: Body) -> str:
    return _text(body, "Msg-ID")[:256]


def _call_id(field: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CALL_ID:
        shown = value[:32] if isinstance(value, str) else value
        raise RequestInvalid(field, shown, f"a Call-ID, 1 to {MAX_CALL_ID} characters")
    return value


def _insert_at(value: object) -> InsertAt:
    found = next((place for place in InsertAt if place == value), None)
    if found is None:
        raise RequestInvalid("Insert-At", str(value)[:32], ", ".join(InsertAt), "enum")
    return found


def _boolean(body: Body, key: str) -> bool:
    """Return a boolean as Kazoo reads one: true is true or the text of it, all else is false."""
    return body.get(key) in (True, "true")


def _number(body: Body, key: str, default: float, most: float) -> float:
    """Return a number, also one in digits, 0 to `most`."""
    value = body.get(key, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        raise RequestInvalid(key, str(value)[:32], f"a number, 0 to {most}")
    return float(value)


def _terminators(value: object) -> frozenset[str]:
    """Return the digits that stop a sound: a list of them, a text, `any` or `none`."""
    if value is None or value == "none":
        return frozenset()
    if value == "any":
        return ANY_DIGIT
    digits = value if isinstance(value, list) else list(value) if isinstance(value, str) else [""]
    if len(digits) > len(ANY_DIGIT) or not all(
        isinstance(d, str) and d in ANY_DIGIT for d in digits
    ):
        raise RequestInvalid("Terminators", "...", "digits of 0-9, *, #, A-D; any; none")
    return frozenset(digits)
