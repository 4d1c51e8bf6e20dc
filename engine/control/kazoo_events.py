"""Kazoo's call events and CDRs, built from notices of call control. Pure.

Field names and the moments they appear follow Kazoo's call events; where its versions differ,
docs/kazoo.md says which one is meant. Empty text and missing values are left out, as Kazoo does
when it publishes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from engine.control.kazoo_keys import address, gregorian, microseconds, snake_case
from engine.control.kazoo_media import media_fields, media_record
from engine.core.events import ChannelNotice
from engine.core.values import Attempt, LegSnapshot, LegState, OriginateRequest, Outcome

QUICKCALL_END = "QUICKCALL_END"
"""The terminal event of a request. Kazoo has none; here every accepted request gets exactly one."""

APP_NAME = "ecallmgr"
"""`App-Name` of call events: the Kazoo 4 application whose place the engine takes."""

APP_VERSION = "4.0.0"

_CHANNEL_STATES = {
    "CHANNEL_CREATE": "INIT",
    "CHANNEL_PROGRESS": "CONSUME_MEDIA",
    "CHANNEL_PROGRESS_MEDIA": "CONSUME_MEDIA",
    "CHANNEL_ANSWER": "CONSUME_MEDIA",
    "CHANNEL_BRIDGE": "EXCHANGE_MEDIA",
    "CHANNEL_UNBRIDGE": "EXCHANGE_MEDIA",
    "CHANNEL_HOLD": "EXCHANGE_MEDIA",
    "CHANNEL_UNHOLD": "EXCHANGE_MEDIA",
    "CHANNEL_TRANSFEROR": "EXCHANGE_MEDIA",
    "CHANNEL_TRANSFEREE": "EXCHANGE_MEDIA",
    "CHANNEL_REPLACED": "EXCHANGE_MEDIA",
    "CHANNEL_INTERCEPTED": "EXCHANGE_MEDIA",
    "CHANNEL_EXECUTE_COMPLETE": "EXCHANGE_MEDIA",
    "CALL_UPDATE": "EXCHANGE_MEDIA",
    "RECORD_START": "EXCHANGE_MEDIA",
    "RECORD_STOP": "EXCHANGE_MEDIA",
    "MEDIA_ONE_WAY": "EXCHANGE_MEDIA",
    "DTMF": "EXCHANGE_MEDIA",
    "CHANNEL_DESTROY": "REPORTING",
}

EVENT_NAMES = frozenset({*_CHANNEL_STATES, QUICKCALL_END})
"""Every name an event can have."""

_CALL_STATES = {
    LegState.IDLE: "DOWN",
    LegState.DIALING: "DOWN",
    LegState.RINGING: "RINGING",
    LegState.EARLY: "EARLY",
    LegState.ANSWERED: "ACTIVE",
    LegState.ENDING: "HANGUP",
    LegState.WRITING: "HANGUP",
    LegState.ENDED: "HANGUP",
}


@dataclass(frozen=True, slots=True)
class Switch:
    """This engine as events name it."""

    node: str
    """`name@host`."""
    address: str = ""
    """`ip:port` of its SIP listener."""
    hostname: str = field(init=False)
    """Host part of `node`."""
    uri: str = field(init=False)
    url: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the texts that every event carries."""
        object.__setattr__(self, "hostname", self.node.rpartition("@")[2])
        object.__setattr__(self, "uri", f"sip:{self.address}" if self.address else "")
        object.__setattr__(self, "url", f"sip:quickcall@{self.address}" if self.address else "")


def channel_event(notice: ChannelNotice, switch: Switch) -> dict[str, object]:
    """Return the call event of a notice in Header-Case."""
    leg, name, at = notice.leg, notice.name, notice.at
    to_address, from_address = address(leg.to_uri), address(leg.from_uri)
    payload: dict[str, object] = {
        "Event-Category": "call_event",
        "Event-Name": name,
        "App-Name": APP_NAME,
        "App-Version": APP_VERSION,
        "Node": switch.node,
        "Msg-ID": str(microseconds(at)),
        "Timestamp": gregorian(at),
        "Call-ID": leg.call_id,
        "Call-Direction": "outbound",
        "Channel-Created-Time": microseconds(leg.created_at),
        "Channel-State": _CHANNEL_STATES[name],
        "Channel-Call-State": _call_state(leg, name),
        "Channel-Name": f"sip/{to_address}",
        "Channel-Is-Loopback": False,
        "Caller-ID-Name": leg.caller_id.name,
        "Caller-ID-Number": leg.caller_id.number,
        "Callee-ID-Name": leg.callee_id.name,
        "Callee-ID-Number": leg.callee_id.number,
        "Request": address(leg.request_uri),
        "To": to_address,
        "From": from_address,
        "To-Uri": to_address,
        "From-Uri": from_address,
        "To-Tag": leg.to_tag,
        "From-Tag": leg.from_tag,
        "Presence-ID": f"{leg.user}@{leg.realm}" if leg.user else "",
        "User-Agent": leg.user_agent,
        "Media-Server": switch.hostname,
        "Switch-Hostname": switch.hostname,
        "Switch-Nodename": switch.node,
        "Switch-URI": switch.uri,
        "Switch-URL": switch.url,
        "Custom-Channel-Vars": {**leg.channel_vars, "Ecallmgr-Node": switch.node},
        "Custom-Application-Vars": leg.application_vars,
    }
    if leg.other_leg_call_id:
        _add_other_leg(payload, leg, name)
    if leg.auto_answer or leg.auto_answer_reason:
        _add_auto_answer(payload, leg)
    extra = _EXTRAS.get(name)
    if extra is not None:
        extra(payload, leg)
    if notice.details:
        payload.update(notice.details)
    return _without_empty_text(payload)


def _without_empty_text(document: dict[str, object]) -> dict[str, object]:
    """Take the empty texts out of a document and return it: most fields stay where they are."""
    for key in [key for key, value in document.items() if value == ""]:
        del document[key]
    return document


def _call_state(leg: LegSnapshot, name: str) -> str:
    if leg.state is LegState.ANSWERED:
        if leg.held:
            return "HELD"
        if name == "CHANNEL_UNHOLD":
            return "UNHELD"
    return _CALL_STATES[leg.state]


def _add_other_leg(payload: dict[str, object], leg: LegSnapshot, name: str) -> None:
    payload["Other-Leg-Call-ID"] = leg.other_leg_call_id
    payload["Other-Leg-Direction"] = "outbound"
    payload["Other-Leg-Destination-Number"] = leg.other_leg_number
    payload["Other-Leg-Caller-ID-Name"] = leg.other_leg_caller_id.name
    payload["Other-Leg-Caller-ID-Number"] = leg.other_leg_caller_id.number
    if name in ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE"):
        payload["Bridge-B-Unique-ID"] = leg.other_leg_call_id


def _add_auto_answer(payload: dict[str, object], leg: LegSnapshot) -> None:
    """Say what came of the wish that the phone answers by itself; Kazoo has no fields for it."""
    payload["Auto-Answer-Applied"] = leg.auto_answer
    payload["Auto-Answer-Reason"] = leg.auto_answer_reason
    if leg.auto_answer_latency_ms is not None:
        payload["Auto-Answer-Latency-MS"] = leg.auto_answer_latency_ms
        payload["Auto-Answer-Honoured"] = leg.auto_answer_honoured


def _add_answer(payload: dict[str, object], leg: LegSnapshot) -> None:
    payload["Disposition"] = "ANSWER"
    payload.update(media_fields(leg))


def _add_unbridge(payload: dict[str, object], _leg: LegSnapshot) -> None:
    payload["Disposition"] = "ANSWER"
    payload["Application-Response"] = "SUCCESS"


def _add_destroy(payload: dict[str, object], leg: LegSnapshot) -> None:
    payload["Duration-Seconds"], payload["Ringing-Seconds"], payload["Billing-Seconds"] = durations(
        leg
    )
    payload["Hangup-Cause"] = leg.cause
    payload["Hangup-Code"] = f"sip:{leg.sip_status}" if leg.sip_status else ""
    payload["Hangup-Reason"] = leg.reason
    payload["Hangup-Party"] = leg.party.value if leg.party is not None else ""
    payload["Disposition"] = disposition(leg)
    payload["Remote-SDP"] = leg.remote_sdp
    payload["Local-SDP"] = leg.local_sdp
    payload.update(media_fields(leg))


_EXTRAS = {
    "CHANNEL_ANSWER": _add_answer,
    "CHANNEL_UNBRIDGE": _add_unbridge,
    "CHANNEL_DESTROY": _add_destroy,
}


def disposition(leg: LegSnapshot) -> str:
    """Return `ANSWER` for a leg that was answered, else the cause of its end."""
    return "ANSWER" if leg.answered_at is not None else leg.cause


def durations(leg: LegSnapshot) -> tuple[int, int, int]:
    """Return duration, ringing and billing seconds of an ended leg.

    Duration counts from its creation, ringing from the first 18x to the answer or the end, billing
    from the answer and is rounded up, so a second begun is a second billed.
    """
    end = leg.ended_at if leg.ended_at is not None else leg.created_at
    answered = leg.answered_at
    ringing = 0.0
    if leg.ringing_at is not None:
        ringing = (end if answered is None else answered) - leg.ringing_at
    billed = 0 if answered is None else ceil(end - answered)
    return round(end - leg.created_at), round(ringing), billed


def quickcall_end(
    outcome: Outcome, request: OriginateRequest, at: float, switch: Switch
) -> dict[str, object]:
    """Return the terminal event of a request in Header-Case: cause, side and every attempt."""
    payload: dict[str, object] = {
        "Event-Category": "resource",
        "Event-Name": QUICKCALL_END,
        "App-Name": APP_NAME,
        "App-Version": APP_VERSION,
        "Node": switch.node,
        "Msg-ID": outcome.originate_id,
        "Timestamp": gregorian(at),
        "Call-ID": outcome.call_id,
        "Account-ID": outcome.account_id,
        "Answered": outcome.answered,
        **outcome_fields(outcome),
        "Number-Filter-Note": outcome.filter_note,
        "Application-Name": "transfer",
        "Application-Data": {"Route": outcome.number},
        "Custom-Channel-Vars": {
            "Account-ID": request.account_id,
            "Authorizing-Type": request.endpoint_type.value,
            "Authorizing-ID": request.endpoint_id,
        },
        "Custom-Application-Vars": request.custom_application_vars,
    }
    return _without_empty_text(payload)


def outcome_fields(outcome: Outcome) -> dict[str, object]:
    """Return why a request ended, in Header-Case, attempts included."""
    return {
        "Hangup-Cause": outcome.cause,
        "Hangup-Code": f"sip:{outcome.sip_status}" if outcome.sip_status else "",
        "Hangup-Q850": outcome.q850,
        "Hangup-Reason": outcome.reason,
        "Hangup-Party": outcome.party.value,
        "Attempts": [_attempt(attempt) for attempt in outcome.attempts],
    }


def _attempt(attempt: Attempt) -> dict[str, object]:
    document: dict[str, object] = {
        "Role": attempt.role.value,
        "Call-ID": attempt.call_id,
        "Endpoint-ID": attempt.endpoint_id,
        "Contact": attempt.contact,
        "Cause": attempt.cause,
        "SIP-Status": attempt.sip_status,
        "Reason": attempt.reason,
        "Ringing-Seconds": round(attempt.ringing_seconds, 3),
    }
    if attempt.next_hop:
        document["Next-Hop"] = attempt.next_hop
    if attempt.started_at is not None:
        document["Started-Time"] = microseconds(attempt.started_at)
    if attempt.ended_at is not None:
        document["Ended-Time"] = microseconds(attempt.ended_at)
    return document


def record_of_attempts(outcome: Outcome) -> dict[str, object]:
    """Return what the CDR of a call says besides that of a leg: every attempt, in snake_case."""
    return {"attempts": [snake_case(_attempt(attempt)) for attempt in outcome.attempts]}


def cdr(leg: LegSnapshot, switch: Switch) -> dict[str, object]:
    """Return the CDR of an ended leg in Kazoo's `cdrs` schema; the journal adds its id."""
    end = leg.ended_at if leg.ended_at is not None else leg.created_at
    duration, ringing, billing = durations(leg)
    to_address, from_address = address(leg.to_uri), address(leg.from_uri)
    document: dict[str, object] = {
        "call_id": leg.call_id,
        "interaction_id": leg.interaction_id,
        "app_name": APP_NAME,
        "app_version": APP_VERSION,
        "node": switch.node,
        "media_server": switch.hostname,
        "call_direction": "outbound",
        "caller_id_name": leg.caller_id.name,
        "caller_id_number": leg.caller_id.number,
        "callee_id_name": leg.callee_id.name,
        "callee_id_number": leg.callee_id.number,
        "channel_created_time": microseconds(leg.created_at),
        "timestamp": gregorian(end),
        "duration_seconds": duration,
        "ringing_seconds": ringing,
        "billing_seconds": billing,
        "disposition": disposition(leg),
        "hangup_cause": leg.cause,
        "hangup_code": f"sip:{leg.sip_status}" if leg.sip_status else "",
        "hangup_reason": leg.reason,
        "hangup_party": leg.party.value if leg.party is not None else "",
        "request": address(leg.request_uri),
        "to": to_address,
        "from": from_address,
        "to_uri": to_address,
        "from_uri": from_address,
        "to_tag": leg.to_tag,
        "from_tag": leg.from_tag,
        "presence_id": f"{leg.user}@{leg.realm}" if leg.user else "",
        "user_agent": leg.user_agent,
        "local_sdp": leg.local_sdp,
        "remote_sdp": leg.remote_sdp,
        "owner_id": leg.owner_id,
        "custom_channel_vars": snake_case({**leg.channel_vars, "Ecallmgr-Node": switch.node}),
        "custom_application_vars": leg.application_vars,
        **media_record(leg),
    }
    if leg.other_leg_call_id:
        document["other_leg_call_id"] = leg.other_leg_call_id
        document["other_leg_direction"] = "outbound"
        document["other_leg_destination_number"] = leg.other_leg_number
        document["other_leg_caller_id_name"] = leg.other_leg_caller_id.name
        document["other_leg_caller_id_number"] = leg.other_leg_caller_id.number
    return _without_empty_text(document)
