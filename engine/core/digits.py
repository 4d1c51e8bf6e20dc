"""DTMF digits: which ones of a leg count, once each, and how they reach the leg that hears it.

Theory. A digit comes as telephone-event (RFC 4733), in an INFO, or as tones in the audio, and must
arrive at the other leg once, in the way that one understands. Media pass by the media plane: an
event goes on as an event to a leg that negotiated telephone-event, tones go on as audio to a leg
that did not. What the media plane has not carried is sent anew, by the other leg's own method. Who
decides is the media plane, for it alone knows where the packets of a digit went: `carried`.

An endpoint with a method of its own is listened to in that one alone. One without may send a digit
in two ways at once, as some phones can be set to: the second of two equal digits that overlap and
came by different methods is the same key press, and is not told again.
"""

from __future__ import annotations

from collections import deque

import msgspec

from engine.core.commands import SendDigits
from engine.core.errors import RequestInvalid
from engine.core.events import LegSentDigit
from engine.core.leg import Leg
from engine.core.media_values import DtmfMethod
from engine.core.turn import Turn
from engine.core.values import LegId

DIGITS = "0123456789*#ABCD"
MAX_DIGITS = 64
MIN_MS, MAX_MS, USUAL_MS = 40, 2000, 160
"""How long a digit lasts, in milliseconds; 40 is the least that ITU-T Q.24 has receivers take."""

OVERLAP_S = 1.0
"""How far apart the two ways of one key press may end, beside its length."""

_REMEMBERED = 32


def check_digits(digits: str, duration_ms: int) -> str:
    """Return the digits in upper case. Raises `RequestInvalid` for `digits` and `duration`."""
    given = digits.upper()
    if not 1 <= len(given) <= MAX_DIGITS or not set(given) <= set(DIGITS):
        allowed = f"1 to {MAX_DIGITS} of 0-9, *, #, A-D"
        raise RequestInvalid("digits", digits[:MAX_DIGITS], allowed)
    if not MIN_MS <= duration_ms <= MAX_MS:
        raise RequestInvalid("duration", duration_ms, f"{MIN_MS} to {MAX_MS} ms")
    return given


class _Pressed(msgspec.Struct, frozen=True):
    digit: str
    method: DtmfMethod
    begun: float
    ended: float

    def is_again(self, other: _Pressed) -> bool:
        """Return whether another is the same key press, told by another method."""
        overlap = self.begun - OVERLAP_S <= other.ended and other.begun - OVERLAP_S <= self.ended
        return self.digit == other.digit and self.method is not other.method and overlap


class Digits:
    """The digits that the legs of one originate send."""

    __slots__ = ("_unmatched",)

    def __init__(self) -> None:
        """Begin before any was sent."""
        self._unmatched: dict[LegId, deque[_Pressed]] = {}

    def take(self, leg: Leg, event: LegSentDigit, hearer: Leg | None, turn: Turn) -> None:
        """Tell a digit and have it reach `hearer`, the leg that hears this one, None: nobody."""
        wanted = leg.plan.endpoint.media.dtmf
        if wanted not in (DtmfMethod.AUTO, event.method) or self._is_again(event, turn.now):
            return
        details = {
            "DTMF-Digit": event.digit,
            "DTMF-Duration": event.duration_ms,
            "DTMF-Method": event.method.value,
        }
        leg.announce("DTMF", turn, details)
        if hearer is not None and not event.carried:
            length = min(max(event.duration_ms or USUAL_MS, MIN_MS), MAX_MS)
            turn.commands.append(SendDigits(hearer.invite.leg, event.digit, length))

    def _is_again(self, event: LegSentDigit, now: float) -> bool:
        pressed = _Pressed(event.digit, event.method, now - event.duration_ms / 1000, now)
        seen = self._unmatched.setdefault(event.leg, deque(maxlen=_REMEMBERED))
        for other in seen:
            if other.is_again(pressed):
                seen.remove(other)
                return True
        seen.append(pressed)
        return False
