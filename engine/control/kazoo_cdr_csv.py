"""Call records as CSV (RFC 4180), safe to open in a spreadsheet. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping

import msgspec

COLUMNS = (
    "id",
    "call_id",
    "interaction_id",
    "timestamp",
    "channel_created_time",
    "call_direction",
    "caller_id_name",
    "caller_id_number",
    "callee_id_name",
    "callee_id_number",
    "from",
    "to",
    "request",
    "owner_id",
    "other_leg_call_id",
    "other_leg_caller_id_name",
    "other_leg_caller_id_number",
    "other_leg_destination_number",
    "duration_seconds",
    "ringing_seconds",
    "billing_seconds",
    "disposition",
    "hangup_cause",
    "hangup_code",
    "hangup_reason",
    "hangup_party",
    "user_agent",
    "media_server",
    "node",
    "custom_channel_vars",
    "custom_application_vars",
)
"""Fields of a record in the order of the file; the last two are objects, written as JSON."""

_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 ]*(\.[0-9]+)?", re.ASCII)


def header() -> bytes:
    """Return the first line."""
    return _lines([COLUMNS])


def lines(records: Iterable[Mapping[str, object]]) -> bytes:
    """Return one line per record."""
    return _lines([_cell(record.get(name)) for name in COLUMNS] for record in records)


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # Who calls chooses caller ids and variables, and a spreadsheet runs what looks like a
        # formula (OWASP, CSV injection). A number with its + is none.
        unsafe = _FORMULA.match(value) and not _NUMBER.fullmatch(value)
        return f"'{value}" if unsafe else value
    return msgspec.json.encode(value).decode()
