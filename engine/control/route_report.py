"""What would become of a number: the values `Engine.explain_route` answers with."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.core.values import LegRole, Refusal
from engine.numbers.dialplan import Step


class FilterStep(msgspec.Struct, frozen=True):
    """What the number filter made of the number as typed."""

    input: str
    output: str
    applied: str
    """`default`, `alphanumeric`, `none` or `regex`."""
    note: str
    """Why a regex left the number as it was, empty: it did not."""


class RouteTarget(msgspec.Struct, frozen=True):
    """Where a number goes."""

    kind: Literal["device", "user", "resource"]
    id: str


class InviteReport(msgspec.Struct, frozen=True):
    """An INVITE that would be sent."""

    leg: LegRole
    """A: to the endpoint that is rung first. B: to where the number goes, once A has answered."""
    group: int
    """Counted from 1 for each leg: those of one group ring at once, the next when it has failed."""
    endpoint_kind: str
    """`device` or `resource`."""
    endpoint_id: str
    destination: str
    """SIP URI it is sent to: the first hop."""
    request_uri: str
    method_line: str
    """`INVITE {request_uri} SIP/2.0`."""
    headers: tuple[tuple[str, str], ...]
    """What the engine decides, in order. The SIP stack adds Via, Call-ID, CSeq, Contact, the tag of
    From, and what describes the body."""
    fault: str = ""
    """Why it could not be sent after all, empty: it could. A faulty one has no other texts."""


class RouteReport(msgspec.Struct, frozen=True):
    """What would become of a number."""

    account_id: str
    endpoint_type: str
    """`device` or `user`, empty: the dial plan of the account alone."""
    endpoint_id: str
    filter: FilterStep
    number: str
    """The number after the number filter: what the dial plan is asked for."""
    steps: tuple[Step, ...]
    """The way through the dial plan, in order."""
    target: RouteTarget | None
    """What the rule that won names; None: nothing, or the number is refused."""
    dialled: str
    """What is dialled there, empty without a target."""
    rule: str
    """What matched, and what was passed over, in words."""
    e164: str
    """The E.164 form of the number, where a rule for the outside world was asked."""
    classification: str
    """The class of a number that would leave through a carrier."""
    refusal: Refusal | None
    """Why nobody is dialled; before any INVITE when the number is blocked or barred."""
    invites: tuple[InviteReport, ...]
    """In the order they would be sent; none when the number is refused."""
    unreachable: tuple[str, ...]
    """Endpoints that would be rung, but have no contact: device ids."""
