"""Back from stored call events to the calls they tell of. Pure.

When a process dies, its live calls have CHANNEL_CREATE among the stored events and no
CHANNEL_DESTROY, or no terminal event. What the missing events must say is read from those that are
there; CHANNEL_CREATE carries for that what else only the request knows (`Origin`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.core.causes import CAUSES
from engine.core.events import ChannelNotice, OriginateEnded
from engine.core.values import (
    Attempt,
    CallerId,
    EndpointType,
    LegId,
    LegRole,
    LegSnapshot,
    LegState,
    MediaMode,
    OriginateId,
    OriginateRequest,
    Outcome,
    Party,
)

CAUSE = "CRASH"
"""FreeSWITCH's cause of a call that the death of the process ended."""

REASON = "the engine died during the call"


class Origin(msgspec.Struct, frozen=True):
    """`Originate` of CHANNEL_CREATE: the request the channel was made for."""

    request_id: str = msgspec.field(name="Msg-ID")
    role: LegRole = msgspec.field(name="Role")
    number: str = msgspec.field(name="Route")
    """The dialled number after the number filter."""
    endpoint_type: EndpointType = msgspec.field(name="Authorizing-Type")
    endpoint_id: str = msgspec.field(name="Authorizing-ID")
    call_id: str = msgspec.field(name="Call-ID", default="")
    """The Call-ID that the caller chose, empty: none."""


class _Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request of which no event tells yet."""

    account_id: str
    endpoint_type: EndpointType
    endpoint_id: str
    number: str
    call_id: str = ""
    custom_application_vars: dict[str, Any] = {}


class _Created(msgspec.Struct):
    origin: Origin | None = msgspec.field(name="Originate", default=None)


class _Ended(msgspec.Struct):
    request_id: str = msgspec.field(name="Msg-ID")


_created = msgspec.json.Decoder(_Created)
_ended = msgspec.json.Decoder(_Ended)
_waiting = msgspec.json.Decoder(_Waiting)


def origin_of(leg: LegSnapshot, request: OriginateRequest, number: str) -> dict[str, object]:
    """Return `Originate` of the CHANNEL_CREATE of this leg."""
    origin: dict[str, object] = {
        "Msg-ID": leg.originate_id,
        "Role": leg.role.value,
        "Route": number,
        "Authorizing-Type": request.endpoint_type.value,
        "Authorizing-ID": request.endpoint_id,
    }
    return {**origin, "Call-ID": request.call_id} if request.call_id else origin


def waiting_document(request: OriginateRequest, number: str) -> bytes:
    """Return what is stored of a request while no event tells of it; `number` is the filtered."""
    waiting = _Waiting(
        request.account_id,
        request.endpoint_type,
        request.endpoint_id,
        number,
        request.call_id,
        dict(request.custom_application_vars),
    )
    return msgspec.json.encode(waiting)


def waiting_request(request_id: str, document: bytes) -> OriginateRequest:
    """Return the request that `waiting_document` stored."""
    found = _waiting.decode(document)
    return OriginateRequest(
        found.account_id,
        found.endpoint_type,
        found.endpoint_id,
        found.number,
        custom_application_vars=found.custom_application_vars,
        request_id=request_id,
        call_id=found.call_id,
    )


def origin_in(create: bytes) -> Origin | None:
    """Return the request of a stored CHANNEL_CREATE, None when an older engine stored it."""
    return _created.decode(create).origin


def request_ended_by(terminal: bytes) -> str:
    """Return the request that a stored terminal event ended."""
    return _ended.decode(terminal).request_id


class StoredChannel(msgspec.Struct):
    """What the stored events say about one channel."""

    origin: Origin
    fields: dict[str, Any]
    """The fields of its events, the later winning."""
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None

    def add(self, name: str, at: float, payload: bytes) -> None:
        """Take a later event of the channel."""
        self.fields |= msgspec.json.decode(payload)
        if name.startswith("CHANNEL_PROGRESS") and self.ringing_at is None:
            self.ringing_at = at
        elif name == "CHANNEL_ANSWER":
            self.answered_at = at
        elif name == "CHANNEL_DESTROY":
            self.ended_at = at

    def destroyed(self, died_at: float, now: float) -> ChannelNotice:
        """Return the CHANNEL_DESTROY of a channel that lived when the process died."""
        return ChannelNotice("CHANNEL_DESTROY", now, replace(self._snapshot(), ended_at=died_at))

    def attempt(self, died_at: float) -> Attempt:
        """Return the channel as an attempt of its outcome."""
        answered = self.answered_at is not None
        cause = "SUCCESS" if answered else str(self.fields.get("Hangup-Cause", CAUSE))
        end = self.answered_at or self.ended_at or died_at
        return Attempt(
            call_id=self._text("Call-ID"),
            endpoint_id=self._endpoint_id(),
            contact=f"sip:{self._text('Request')}",
            cause=cause,
            sip_status=200 if answered else _status(self._text("Hangup-Code")),
            reason="OK" if answered else self._text("Hangup-Reason") or REASON,
            ringing_seconds=max(0.0, end - self.ringing_at) if self.ringing_at else 0.0,
            role=self.origin.role,
            next_hop="",
            started_at=self._created_at(),
            ended_at=self.ended_at or died_at,
        )

    def _text(self, name: str) -> str:
        return str(self.fields.get(name, ""))

    def _created_at(self) -> float:
        return float(self.fields["Channel-Created-Time"]) / 1_000_000

    def _endpoint_id(self) -> str:
        variables = self.variables
        return str(variables.get("Resource-ID") or variables.get("Authorizing-ID", ""))

    @property
    def variables(self) -> Mapping[str, object]:
        """Custom channel variables."""
        found: Mapping[str, object] = self.fields.get("Custom-Channel-Vars", {})
        return {name: value for name, value in found.items() if name != "Ecallmgr-Node"}

    def _snapshot(self) -> LegSnapshot:
        text, variables = self._text, self.variables
        user, _, realm = text("Presence-ID").rpartition("@")
        return LegSnapshot(
            leg=LegId(0),
            originate_id=OriginateId(self.origin.request_id),
            role=self.origin.role,
            state=LegState.ENDED,
            call_id=text("Call-ID"),
            account_id=str(variables.get("Account-ID", "")),
            endpoint_id=self._endpoint_id(),
            endpoint_kind="resource" if "Resource-ID" in variables else "device",
            owner_id=str(variables.get("Owner-ID", "")),
            caller_id=CallerId(text("Caller-ID-Name"), text("Caller-ID-Number")),
            callee_id=CallerId(text("Callee-ID-Name"), text("Callee-ID-Number")),
            request_uri=text("Request"),
            to_uri=text("To-Uri"),
            from_uri=text("From-Uri"),
            user=user,
            realm=realm,
            interaction_id=str(variables.get("Call-Interaction-ID", "")),
            created_at=self._created_at(),
            ringing_at=self.ringing_at,
            answered_at=self.answered_at,
            ended_at=None,
            other_leg_call_id=text("Other-Leg-Call-ID"),
            other_leg_number=text("Other-Leg-Destination-Number"),
            other_leg_caller_id=CallerId(
                text("Other-Leg-Caller-ID-Name"), text("Other-Leg-Caller-ID-Number")
            ),
            cause=CAUSE,
            q850=CAUSES[CAUSE].q850,
            sip_status=0,
            reason=REASON,
            party=Party.LOCAL,
            codec="",
            media=MediaMode.PROCESS,
            auto_answer=False,
            held=False,
            user_agent=text("User-Agent"),
            to_tag=text("To-Tag"),
            from_tag=text("From-Tag"),
            local_sdp=text("Local-SDP"),
            remote_sdp=text("Remote-SDP"),
            channel_vars=variables,
            application_vars=self.fields.get("Custom-Application-Vars", {}),
        )


def request_of(channel: StoredChannel) -> OriginateRequest:
    """Return the request that a channel was made for, its number filtered."""
    origin = channel.origin
    return OriginateRequest(
        str(channel.variables.get("Account-ID", "")),
        origin.endpoint_type,
        origin.endpoint_id,
        origin.number,
        custom_application_vars=channel.fields.get("Custom-Application-Vars", {}),
        request_id=origin.request_id,
        call_id=origin.call_id,
    )


def terminal_event(
    request: OriginateRequest, channels: Sequence[StoredChannel], died_at: float, now: float
) -> OriginateEnded:
    """Return the terminal event of a request that lived when the process died.

    `channels`: all of its channels in the order they were created, none when it was waiting.
    """
    won = [c for c in channels if c.origin.role is LegRole.A and c.answered_at is not None]
    outcome = Outcome(
        originate_id=OriginateId(request.request_id),
        account_id=request.account_id,
        answered=bool(won),
        call_id=str(won[-1].fields["Call-ID"]) if won else "",
        cause=CAUSE,
        q850=CAUSES[CAUSE].q850,
        sip_status=0,
        reason=REASON,
        party=Party.LOCAL,
        attempts=tuple(channel.attempt(died_at) for channel in channels),
        final=True,
        number=request.number,
        filter_note="",
    )
    return OriginateEnded(now, outcome)


def _status(code: str) -> int:
    digits = code.removeprefix("sip:")
    return int(digits) if digits.isdigit() else 0
