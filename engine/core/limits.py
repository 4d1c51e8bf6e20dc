"""The one calculator of an attempt's deadlines.

Precedence, the strongest first; whatever comes first in time ends the attempt:

1. the originate's own deadline: `timeout` of the request for the rung side, `b_timeout` for each
   group of the dialled side. It ends every attempt, waiting ones too, and no attempt outlives it;
2. the attempt's `timeout`, counted from its INVITE. Ringing and early media do not stop it;
3. the attempt's `progress_timeout`, counted from its INVITE until the first 18x, with SDP or not.

`delay` postpones the INVITE, and with it 2 and 3. What an endpoint says goes before what the
request says.
"""

from __future__ import annotations

import msgspec

from engine.core.values import Endpoint, LegRole, OriginateRequest


class Limits(msgspec.Struct, frozen=True):
    """Limits of one attempt, seconds."""

    delay: float
    """0 or more."""
    timeout: float
    """0: none."""
    progress_timeout: float
    """0: none."""

    def deadline(self, dialed_at: float, *, alerted: bool) -> float | None:
        """Return when an attempt dialled at `dialed_at` is given up, None: it never is.

        `alerted`: a 18x has come.
        """
        found = [self.timeout] if self.timeout else []
        if self.progress_timeout and not alerted:
            found.append(self.progress_timeout)
        return dialed_at + min(found) if found else None

    def cause(self, *, alerted: bool) -> str:
        """Return the cause of an attempt whose deadline has passed."""
        progress, timeout = self.progress_timeout, self.timeout
        if alerted or not progress or (timeout and timeout <= progress):
            return "ALLOTTED_TIMEOUT"
        return "PROGRESS_TIMEOUT"


def limits_of(role: LegRole, endpoint: Endpoint, request: OriginateRequest) -> Limits:
    """Return the limits of an attempt; those of the request are about the rung side only."""
    rung = role is LegRole.A
    return Limits(
        _first(endpoint.delay, request.endpoint_delay if rung else 0.0),
        _first(endpoint.timeout, request.endpoint_timeout if rung else 0.0),
        _first(endpoint.progress_timeout, request.progress_timeout if rung else 0.0),
    )


def _first(own: float | None, asked: float) -> float:
    return asked if own is None else own
