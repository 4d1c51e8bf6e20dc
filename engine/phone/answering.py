"""What the softphone does with an INVITE, and when an INVITE asks to be answered by itself.

The headers are those phones really honour: Call-Info and Alert-Info `answer-after=N` (Yealink,
Grandstream, Cisco, baresip), Alert-Info `info=alert-autoanswer` with an optional `delay=N` (Snom,
Mitel, Gigaset), Answer-Mode and Priv-Answer-Mode `Auto` (RFC 5373), and the `intercom=true`
parameter of the Request-URI (FreeSWITCH, Yealink).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_DELAY_S = 600.0
"""Longest delay that is believed, of an INVITE or of the command line."""

_ANSWER_AFTER = re.compile(r";\s*answer-after\s*=\s*\"?(\d+(?:\.\d+)?)", re.IGNORECASE)
_AUTOANSWER = re.compile(r";\s*info\s*=\s*\"?alert-autoanswer\b", re.IGNORECASE)
_DELAY = re.compile(r";\s*delay\s*=\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
_INTERCOM = re.compile(r";intercom=true(?=[;?]|$)", re.IGNORECASE)
_FINAL = {"busy": 486, "decline": 603}


@dataclass(frozen=True, slots=True)
class AnswerPolicy:
    """What to do with an incoming call.

    `mode`: `asked` answers only when the INVITE asks for it and rings otherwise; `after` answers
    `delay_s` seconds after the call came, unless the INVITE asks for less; `never` only rings;
    `busy` refuses with 486 and `decline` with 603 (RFC 3261 21.4.24, 21.6.2).
    """

    mode: str = "asked"
    delay_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> AnswerPolicy:
        """Read `asked`, `always`, `after:SECONDS`, `never`, `busy` or `decline`.

        Raises ValueError that says what is allowed.
        """
        if text in ("asked", "never", *_FINAL):
            return cls(text)
        if text == "always":
            return cls("after")
        number = re.fullmatch(r"after:(\d+(?:\.\d+)?)", text)
        if number is None or float(number[1]) > MAX_DELAY_S:
            raise ValueError(
                f"answer {text!r}: must be asked, always, after:SECONDS (up to {MAX_DELAY_S:.0f}),"
                " never, busy or decline"
            )
        return cls("after", float(number[1]))

    @property
    def refusal(self) -> int | None:
        """SIP status to refuse calls with, None when calls ring."""
        return _FINAL.get(self.mode)

    def delay(self, asked_s: float | None) -> float | None:
        """Return seconds until the answer, None to go on ringing.

        `asked_s` is what the INVITE asks for (see `auto_answer_delay`).
        """
        if self.mode == "asked":
            return asked_s
        if self.mode == "after":
            return self.delay_s if asked_s is None else min(self.delay_s, asked_s)
        return None


def auto_answer_delay(invite: str) -> float | None:
    """Return after how many seconds an INVITE asks to be answered by itself, None: not at all.

    `invite` is the whole message. When several headers ask, the shortest delay counts.
    """
    lines = _unfolded_head(invite)
    uri = lines[0].split(" ")[1] if lines and lines[0].count(" ") >= 2 else ""
    delays = [0.0] if _INTERCOM.search(uri) else []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        delay = _asked_by(name.strip().lower(), value.strip())
        if delay is not None:
            delays.append(min(delay, MAX_DELAY_S))
    return min(delays, default=None)


def _asked_by(name: str, value: str) -> float | None:
    """Return the delay one header asks for."""
    if name in ("answer-mode", "priv-answer-mode"):
        return 0.0 if re.split(r"[;\s]", value, maxsplit=1)[0].lower() == "auto" else None
    if name not in ("call-info", "alert-info"):
        return None
    after = _ANSWER_AFTER.search(";" + value)
    if after is not None:
        return float(after[1])
    if name == "alert-info" and _AUTOANSWER.search(";" + value):
        delay = _DELAY.search(value)
        return float(delay[1]) if delay else 0.0
    return None


def _unfolded_head(message: str) -> list[str]:
    """Split off the header lines, with continuation lines joined (RFC 3261 7.3.1)."""
    head = re.split(r"\r?\n\r?\n", message, maxsplit=1)[0]
    return re.sub(r"\r?\n[ \t]+", " ", head).splitlines()
