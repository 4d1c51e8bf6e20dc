"""Bounds of what may be asked for: one place for requests that came over HTTP, AMQP or a program.

Each check returns the value it was given and raises `RequestInvalid`, which names the field, the
value and what is allowed. Texts of headers are checked by `engine.core.uri`.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.causes import CAUSES
from engine.core.errors import RequestInvalid
from engine.core.uri import call_id_text, header_text
from engine.core.values import BypassFlow, OriginateRequest

MIN_TIMEOUT = 3
"""Shortest time to ring, seconds (the quickcall document: integer(3..))."""

MAX_TIMEOUT = 86_400
"""Longest time to ring, seconds, and longest delay or timeout of one attempt."""

MAX_DURATION = 604_800
"""Longest time that two may talk, seconds: a week."""


MAX_NUMBER = 128
"""Longest number, characters, as for the number filter and the dial plan."""


def number_text(field: str, value: str) -> str:
    """Return a number as dialled: 1 to `MAX_NUMBER` characters that may stand in a header."""
    if not value:
        raise RequestInvalid(field, value, f"1 to {MAX_NUMBER} characters", "minLength")
    return header_text(field, value, MAX_NUMBER)


def ring_seconds(field: str, value: object) -> int:
    """Return whole seconds to ring, `MIN_TIMEOUT` to `MAX_TIMEOUT`."""
    code = "type"
    if isinstance(value, int) and not isinstance(value, bool):
        if MIN_TIMEOUT <= value <= MAX_TIMEOUT:
            return value
        code = "minimum" if value < MIN_TIMEOUT else "maximum"
    allowed = f"an integer of seconds, {MIN_TIMEOUT} to {MAX_TIMEOUT}"
    raise RequestInvalid(field, value, allowed, code)


def seconds(field: str, value: object, most: int = MAX_TIMEOUT) -> float:
    """Return seconds, 0 to `most`, fractions too."""
    code = "type"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        if 0 <= value <= most:
            return float(value)
        code = "minimum" if value < 0 else "maximum"
    raise RequestInvalid(field, value, f"a number of seconds, 0 to {most}", code)


def cause_names(field: str, names: Iterable[object]) -> frozenset[str]:
    """Return names of the cause table that an attempt can end with, at least one."""
    allowed = "true, false or cause names such as USER_BUSY and CALL_REJECTED"
    found: set[str] = set()
    for name in names:
        if not isinstance(name, str) or name not in CAUSES or not CAUSES[name].q850:
            raise RequestInvalid(field, str(name)[:32], allowed, "enum")
        found.add(name)
    if not found:
        raise RequestInvalid(field, "", allowed, "minItems")
    return frozenset(found)


def check_bounds(request: OriginateRequest) -> None:
    """Check the fields of a request that are numbers, names of causes or ids."""
    ring_seconds("timeout", request.timeout)
    seconds("endpoint_delay", request.endpoint_delay)
    seconds("endpoint_timeout", request.endpoint_timeout)
    seconds("progress_timeout", request.progress_timeout)
    seconds("max_duration", request.max_duration, MAX_DURATION)
    if request.bypass_flow is BypassFlow.DIRECT and request.ignore_early_media:
        # The early media of the dialled side go straight to the device: nobody could ignore them.
        allowed = "after_answer; or direct with ignore-early-media false"
        raise RequestInvalid("bypass_flow", request.bypass_flow.value, allowed, "enum")
    if not isinstance(request.fail_on_single_reject, bool):
        cause_names("fail_on_single_reject", request.fail_on_single_reject)
    if request.call_id:
        call_id_text("call_id", request.call_id)
    header_text("request_id", request.request_id)
