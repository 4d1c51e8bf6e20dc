"""What the router is asked on behalf of a device: as if that device had dialled the number."""

from __future__ import annotations

from msgspec.structs import replace

from engine.core.commands import ResolveDestination
from engine.core.leg import Leg
from engine.core.values import EndpointType, OriginateId


def question(originate_id: OriginateId, leg: Leg, number: str) -> ResolveDestination:
    """Return the question where a number goes for the device of this leg."""
    asking = replace(
        leg.plan.request,
        endpoint_type=EndpointType.DEVICE,
        endpoint_id=leg.plan.endpoint.id,
        number=number,
    )
    return ResolveDestination(originate_id, asking, number, leg.invite.leg)
