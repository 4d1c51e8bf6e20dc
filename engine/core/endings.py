"""How a call ends that is not dialled."""

from __future__ import annotations

from engine.core.causes import Ending, ending_by_us
from engine.core.events import DestinationResolved, LegMediaFailed, LegSilent
from engine.core.values import Party, Refusal

NOBODY = "nobody is registered"
"""Why there is nobody to ring."""


def ending_of_refusal(refusal: Refusal) -> Ending:
    """Return the ending of a call whose number is not dialled."""
    return ending_by_us(refusal.cause, Party.POLICY, refusal.reason)


def ending_of_nowhere(destination: DestinationResolved) -> Ending:
    """Return the ending of a call whose number leads to nobody."""
    if destination.refusal is not None:
        return ending_of_refusal(destination.refusal)
    if destination.endpoints:
        return ending_by_us("DESTINATION_OUT_OF_ORDER", Party.POLICY, NOBODY)
    no_route = f"no route for {destination.number}"
    return ending_by_us("NO_ROUTE_DESTINATION", Party.POLICY, no_route)


def ending_of_media(event: LegSilent | LegMediaFailed) -> Ending:
    """Return the ending of a call one of whose phones sends nothing, or cannot be sent anything."""
    if isinstance(event, LegMediaFailed):
        return ending_by_us("SRTP_READ_ERROR", Party.POLICY, event.reason)
    return ending_by_us("MEDIA_TIMEOUT", Party.TIMEOUT, f"no RTP for {event.seconds:g} s")
