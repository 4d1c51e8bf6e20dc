"""AMQP 0-9-1 on the wire: frames out of a byte stream, messages into one. Pure.

Methods are pamqp's. Messages are encoded and decoded here, for two reasons: Kazoo's `timestamp`
counts microseconds, which pamqp (and with it aiormq and aio-pika) takes for a date beyond the year
9999 and refuses; and a message then costs a few microseconds instead of some ten.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import msgspec
from pamqp import decode, exceptions, frame
from pamqp.base import Frame as Method

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8

FRAME_END = 0xCE

HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"

OVERHEAD = 8
"""Bytes of a frame besides its payload: type, channel, size, end."""

_FRAME = struct.Struct(">BHI")
_TAG = struct.Struct(">QB")
_PUBLISH = struct.Struct(">BHIHHH")
"""`basic.publish` up to its exchange: the frame's head, class, method, an octet pair of no use."""
_CONTENT = struct.Struct(">BHIHHQH")
"""A content header up to its properties: the frame's head, class, weight, body size, flags."""
_LONG = struct.Struct(">I")
_TIMESTAMP_US = struct.Struct(">Q")
_BASIC = 60
_DELIVER = bytes.fromhex("003c003c")
_ACK = bytes.fromhex("003c0050")
_REJECT = bytes.fromhex("003c005a")
_RETURN = bytes.fromhex("003c0032")

# Property flags of a basic message (AMQP 0-9-1, 4.2.6.1), the first property in the highest bit.
_CONTENT_TYPE, _HEADERS, _MESSAGE_ID, _TIMESTAMP = 1 << 15, 1 << 13, 1 << 7, 1 << 6
# Property -> how it is written: a short text, a table, an octet, a timestamp.
_PROPERTIES = (
    (_CONTENT_TYPE, "s"),
    (1 << 14, "s"),
    (_HEADERS, "F"),
    (1 << 12, "o"),
    (1 << 11, "o"),
    (1 << 10, "s"),
    (1 << 9, "s"),
    (1 << 8, "s"),
    (_MESSAGE_ID, "s"),
    (_TIMESTAMP, "T"),
    (1 << 5, "s"),
    (1 << 4, "s"),
    (1 << 3, "s"),
    (1 << 2, "s"),
)
_OUR_FLAGS = _CONTENT_TYPE | _HEADERS | _MESSAGE_ID | _TIMESTAMP
_JSON = b"\x10application/json"

MAX_SHORT = 255
"""Longest routing key, exchange, queue or message id, bytes (AMQP's short string)."""


class WireError(Exception):
    """What came over the connection is not AMQP, or breaks a bound; the connection is of no use."""


class Message(msgspec.Struct, frozen=True):
    """One message to be published."""

    exchange: str
    routing_key: str
    """Cut after 255 bytes, AMQP's bound."""
    body: bytes
    message_id: str = ""
    timestamp_us: int = 0
    """Microseconds since the Unix epoch, as Kazoo's bus has it."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class Properties(msgspec.Struct):
    """What is read of a message's properties."""

    body_size: int
    message_id: str = ""
    timestamp_us: int = 0
    headers: dict[str, object] = msgspec.field(default_factory=dict)


def split(buffer: bytearray, largest: int) -> Iterator[tuple[int, int, bytes]]:
    """Take the whole frames out of a buffer: type, channel and payload of each.

    Raises `WireError` for a frame of more than `largest` bytes, or one that does not end as it
    says.
    """
    at, end = 0, len(buffer)
    view = bytes(buffer)
    try:
        while end - at >= OVERHEAD:
            kind, channel, size = _FRAME.unpack_from(view, at)
            if size + OVERHEAD > largest:
                raise WireError(f"a frame of {size} bytes; the bound is {largest}")
            last = at + OVERHEAD - 1 + size
            if last >= end:
                break
            if view[last] != FRAME_END:
                raise WireError(f"a frame of type {kind} does not end where it says")
            at, payload = last + 1, view[at + OVERHEAD - 1 : last]
            yield kind, channel, payload
    finally:
        del buffer[:at]


def read_method(payload: bytes) -> Method:
    """Return the method of a frame. Raises `WireError`."""
    try:
        # pamqp reads whole frames only.
        whole = _FRAME.pack(METHOD, 0, len(payload)) + payload + b"\xce"
        _, _, method = frame.unmarshal(whole)
    except (exceptions.PAMQPException, ValueError, struct.error, IndexError) as error:
        raise WireError(f"a method that cannot be read: {error}") from error
    if not isinstance(method, Method):
        raise WireError(f"a {type(method).__name__} where a method belongs")
    return method


def write_method(method: Method, channel: int) -> bytes:
    """Return the frame of a method."""
    return frame.marshal(method, channel)


class Delivered(msgspec.Struct, frozen=True):
    """`basic.deliver`: what of a delivery comes before its properties and body."""

    consumer_tag: str
    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str


def read_delivery(payload: bytes) -> Delivered | None:
    """Return the delivery of a method frame; None: it is another method. Raises `WireError`."""
    if not payload.startswith(_DELIVER):
        return None
    try:
        consumer, at = _short(payload, 4)
        tag, redelivered = _TAG.unpack_from(payload, at)
        exchange, at = _short(payload, at + _TAG.size)
        key, _ = _short(payload, at)
    except (struct.error, IndexError) as error:
        raise WireError("a delivery that cannot be read") from error
    return Delivered(consumer, tag, bool(redelivered & 1), exchange, key)


def read_ack(payload: bytes) -> tuple[int, bool] | None:
    """Return tag and `multiple` of a confirm; None: it is another method. Raises `WireError`."""
    if not payload.startswith(_ACK):
        return None
    try:
        tag, multiple = _TAG.unpack_from(payload, 4)
    except struct.error as error:
        raise WireError("a confirm that cannot be read") from error
    return tag, bool(multiple & 1)


def is_return(payload: bytes) -> bool:
    """Return whether a method frame is `basic.return`: a message of ours that nobody wants."""
    return payload.startswith(_RETURN)


def read_properties(payload: bytes) -> Properties:
    """Return what is needed of a message's properties; a table of headers gone wrong is empty.

    Raises `WireError` when not even the body's size can be told.
    """
    try:
        (size,) = struct.unpack_from(">Q", payload, 4)
        (flags,) = struct.unpack_from(">H", payload, 12)
    except struct.error as error:
        raise WireError("a content header that cannot be read") from error
    found = Properties(size)
    try:
        _read_fields(payload, flags, found)
    except (struct.error, IndexError, ValueError, RecursionError, OverflowError):
        # Somebody else's message is odd; the stream is not: its frames are counted by their sizes.
        return Properties(size)
    return found


def _read_fields(payload: bytes, flags: int, found: Properties) -> None:
    at = 14
    if flags & 1:
        raise ValueError("a second word of flags, which AMQP 0-9-1 does not need")
    for flag, kind in _PROPERTIES:
        if not flags & flag:
            continue
        if kind == "s":
            text, at = _short(payload, at)
            if flag == _MESSAGE_ID:
                found.message_id = text
        elif kind == "F":
            used, table = decode.field_table(payload[at:])
            at += used
            found.headers = dict(table)
        elif kind == "o":
            at += 1
        else:
            (found.timestamp_us,) = struct.unpack_from(">Q", payload, at)
            at += 8


def _short(payload: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + payload[at]
    if end > len(payload):
        raise IndexError("a short text longer than its frame")
    return payload[at + 1 : end].decode("utf-8", "replace"), end


def short(text: str) -> bytes:
    """Return a short string of the wire: one octet of length, at most 255 of text."""
    encoded = text.encode()[:MAX_SHORT]
    return len(encoded).to_bytes(1, "big") + encoded


def write_publish(
    message: Message, channel: int, largest: int, *, mandatory: bool = False
) -> bytes:
    """Return the frames of a message: method, properties, body in frames of at most `largest`."""
    to = short(message.exchange) + short(message.routing_key)
    properties = b"".join(
        (
            *(_JSON, _table(message.headers), short(message.message_id)),
            _TIMESTAMP_US.pack(message.timestamp_us),
        )
    )
    content = message.body
    parts = [
        *(_PUBLISH.pack(METHOD, channel, len(to) + 7, _BASIC, 40, 0), to),
        b"\x01\xce" if mandatory else b"\x00\xce",
        _CONTENT.pack(HEADER, channel, len(properties) + 14, _BASIC, 0, len(content), _OUR_FLAGS),
        *(properties, b"\xce"),
    ]
    step = largest - OVERHEAD
    for at in range(0, len(content), step):
        piece = content[at : at + step]
        parts += (_FRAME.pack(BODY, channel, len(piece)), piece, b"\xce")
    return b"".join(parts)


def _table(headers: Mapping[str, str]) -> bytes:
    fields = [short(name) + b"S" + _long(value.encode()) for name, value in headers.items()]
    return _long(b"".join(fields))


def _long(data: bytes) -> bytes:
    return _LONG.pack(len(data)) + data


def write_ack(delivery_tag: int, channel: int) -> bytes:
    """Return the frame that acknowledges one delivery."""
    payload = _ACK + _TAG.pack(delivery_tag, 0)
    return _FRAME.pack(METHOD, channel, len(payload)) + payload + b"\xce"


def write_reject(delivery_tag: int, channel: int, *, requeue: bool) -> bytes:
    """Return the frame that rejects one delivery, back into its queue or away."""
    payload = _REJECT + _TAG.pack(delivery_tag, 1 if requeue else 0)
    return _FRAME.pack(METHOD, channel, len(payload)) + payload + b"\xce"
