"""Call events and call records as messages of Kazoo's bus (kapi_call, kapi_cdr). Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.control.amqp_frames import Message
from engine.control.feed import FeedEvent
from engine.control.kapi import encode_key, new_msg_id
from engine.control.kazoo_events import QUICKCALL_END
from engine.control.kazoo_keys import microseconds

EVENTS, RECORDS = "callevt", "cdr"

_RECORD_KEYS = frozenset(
    {
        "App-Name",
        "App-Version",
        "Billing-Seconds",
        "Call-Direction",
        "Call-ID",
        "Callee-ID-Name",
        "Callee-ID-Number",
        "Caller-ID-Name",
        "Caller-ID-Number",
        "Channel-Call-State",
        "Channel-Created-Time",
        "Channel-Name",
        "Channel-State",
        "Custom-Application-Vars",
        "Custom-Channel-Vars",
        "Custom-SIP-Headers",
        "Disposition",
        "Duration-Seconds",
        "From",
        "From-Tag",
        "From-Uri",
        "Hangup-Cause",
        "Hangup-Code",
        "Local-SDP",
        "Media-Server",
        "Node",
        "Other-Leg-Call-ID",
        "Other-Leg-Caller-ID-Name",
        "Other-Leg-Caller-ID-Number",
        "Other-Leg-Destination-Number",
        "Other-Leg-Direction",
        "Presence-ID",
        "Remote-SDP",
        "Request",
        "Ringing-Seconds",
        "Switch-Hostname",
        "Switch-Nodename",
        "Switch-URI",
        "Switch-URL",
        "Timestamp",
        "To",
        "To-Tag",
        "To-Uri",
        "User-Agent",
    }
)
"""What of CHANNEL_DESTROY is in `cdr.report`."""


def messages_of(events: Iterable[FeedEvent], node: str) -> list[Message]:
    """Return what the bus is told of events, in order.

    Each event goes to `callevt` as `call.EVENT.CALL-ID`, with its Call-ID in the header `call-id`;
    CHANNEL_DESTROY is followed by the leg's call record on `cdr`. `node`: the engine whose events
    they are, for their ids.
    """
    told: list[Message] = []
    for event in events:
        event_id = event.event_id(node)
        told.append(_event(event, event_id))
        if event.name == "CHANNEL_DESTROY" and event.account_id:
            told.append(_record(event, event_id))
    return told


def _event(event: FeedEvent, event_id: str) -> Message:
    call_id = event.call_id
    if event.name == QUICKCALL_END and not call_id:
        # Nobody answered, so there is no leg to name: the request's own id is what is known.
        call_id = str(event.payload.get("Msg-ID", ""))
    return Message(
        EVENTS,
        f"call.{event.name}.{encode_key(call_id)}",
        event.json(),
        event_id,
        microseconds(event.at),
        {"call-id": call_id},
    )


def _record(event: FeedEvent, event_id: str) -> Message:
    payload = event.payload
    record = {key: value for key, value in payload.items() if key in _RECORD_KEYS}
    record["Event-Category"], record["Event-Name"] = "cdr", "report"
    record["Msg-ID"] = new_msg_id()
    record["Account-ID"] = event.account_id
    variables = payload.get("Custom-Channel-Vars")
    interaction = variables.get("Call-Interaction-ID", "") if isinstance(variables, dict) else ""
    if interaction:
        timestamp, _, key = str(interaction).partition("-")
        record["Call-Interaction"] = {"Id": interaction, "Key": key, "Timestamp": timestamp}
    return Message(
        RECORDS,
        f"cdr.report.{encode_key(event.account_id)}.{encode_key(event.call_id)}",
        msgspec.json.encode(record),
        f"{event_id}.cdr",
        microseconds(event.at),
        {"call-id": event.call_id},
    )
