"""Kazoo's shapes in one place to import from: requests in, answers, events and CDRs out. Pure."""

from engine.control.kazoo_events import (
    QUICKCALL_END,
    Switch,
    cdr,
    channel_event,
    quickcall_end,
    record_of_attempts,
)
from engine.control.kazoo_keys import snake_case
from engine.control.kazoo_originate import accepted, answered, originate_request
from engine.control.kazoo_request import decode_segment, parse_quickcall

__all__ = [
    "QUICKCALL_END",
    "Switch",
    "accepted",
    "answered",
    "cdr",
    "channel_event",
    "decode_segment",
    "originate_request",
    "parse_quickcall",
    "quickcall_end",
    "record_of_attempts",
    "snake_case",
]
