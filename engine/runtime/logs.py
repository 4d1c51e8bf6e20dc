"""Log lines with the ids of the call they are about, as text or as JSON.

Whoever logs something of a call names it in `extra`: `call_id`, `request_id`, `account_id`. The
logger `engine.calls` tells the life of every call at level INFO, one line per event.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Literal

import msgspec

from engine.core.events import ChannelNotice, Notice, OriginateEnded

IDS = ("request_id", "call_id", "account_id")
"""Names of the ids that a line may carry."""

LogFormat = Literal["text", "json"]
"""`text`: for people. `json`: one object a line."""

_calls = logging.getLogger("engine.calls")


def set_up_logs(form: LogFormat, level: int) -> None:
    """Have everything of at least this level go to standard error, as `form` says."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler])


class TextLines(logging.Formatter):
    """Time, level, logger, message, and the ids behind it."""

    def __init__(self) -> None:
        """Format as people read it."""
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line without its traceback."""
        ids = "".join(f" {name}={value}" for name, value in _ids(record).items())
        return super().formatMessage(record) + ids


class JsonLines(logging.Formatter):
    """`time` (ISO 8601, UTC), `level`, `logger`, `message`, the ids, and `error`: a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _ids(record: logging.LogRecord) -> dict[str, str]:
    found = ((name, getattr(record, name, "")) for name in IDS)
    return {name: value for name, value in found if value}


def log_notice(notice: Notice) -> None:
    """Tell what happened to a call, when somebody wants to know."""
    if not _calls.isEnabledFor(logging.INFO):
        return
    if isinstance(notice, ChannelNotice):
        leg = notice.leg
        ids = (leg.originate_id, leg.call_id, leg.account_id)
        ended = notice.name == "CHANNEL_DESTROY"
        words = f"{notice.name} {leg.role.value}" + (f" {leg.cause}" if ended else "")
    elif isinstance(notice, OriginateEnded):
        outcome = notice.outcome
        ids = (outcome.originate_id, outcome.call_id, outcome.account_id)
        words = f"QUICKCALL_END {outcome.cause}: {outcome.reason}"
    else:
        return
    _calls.info("%s", words, extra=dict(zip(IDS, ids, strict=True)))
