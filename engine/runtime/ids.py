"""Ids that the engine makes."""

from __future__ import annotations

import re

from engine.control.kazoo_keys import gregorian
from engine.control.random_ids import random_id
from engine.core.values import OriginateId

_MADE = re.compile(r"[0-9a-f]{32}-quickcall")


def new_request_id() -> OriginateId:
    """Return an id for a request whose caller gave none."""
    return OriginateId(random_id())


def new_call_id() -> str:
    """Return a Call-ID that will not come again."""
    return f"{random_id()}-quickcall"


def is_made(call_id: str) -> bool:
    """Return whether a Call-ID looks like one of `new_call_id`."""
    return _MADE.fullmatch(call_id) is not None


def new_interaction_id(now: float) -> str:
    """Return Kazoo's form: Gregorian seconds, a hyphen, eight hex digits."""
    return f"{gregorian(now)}-{random_id()[:8]}"
