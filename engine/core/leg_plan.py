"""What a leg is told: what to dial, and who is at the other end of its bridge."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.core.auto_answer import AutoAnswer
from engine.core.values import (
    CallerId,
    Contact,
    Endpoint,
    LegRole,
    OriginateId,
    OriginateRequest,
)


class LegPlan(msgspec.Struct, frozen=True):
    """All that is known of a leg before it is dialled."""

    role: LegRole
    originate_id: OriginateId
    request: OriginateRequest
    endpoint: Endpoint
    contact: Contact
    interaction_id: str
    caller_id: CallerId
    callee_id: CallerId
    auto_answer: AutoAnswer
    """Whether the INVITE asks the phone to answer by itself."""
    channel_vars: Mapping[str, object]


class OtherLeg(msgspec.Struct, frozen=True):
    """What a leg may say about the leg at the other end of its bridge."""

    call_id: str
    number: str
    caller_id: CallerId
