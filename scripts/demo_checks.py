"""What the demo must have observed. Pure: evidence in, findings out, each with what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.control.ladder import label
from engine.core.events import SipMessageSeen

Document = dict[str, Any]

LOUDER_DB = 20
"""How much louder a phone must hear the other's tone than its own."""
HEARD_S = 2.0
"""How long a phone must have heard the other's tone, seconds."""
TICKET = "4711"
"""Custom application variable sent with the quickcall; every event and CDR must carry it."""


@dataclass(slots=True)
class Evidence:
    """Everything the demo saw, collected while it ran."""

    phones: dict[str, list[Document]] = field(default_factory=dict)
    """What each person's phone said."""
    tones: dict[str, int] = field(default_factory=dict)
    """The tone each person's phone sends, Hz."""
    registered: int = 0
    """Devices the API calls registered."""
    status: int = 0
    """HTTP status of the quickcall."""
    answer: Document = field(default_factory=dict)
    """Body of the quickcall's answer."""
    events: list[Document] = field(default_factory=list)
    """Event frames of the WebSocket, in order."""
    messages: dict[str, tuple[SipMessageSeen, ...]] = field(default_factory=dict)
    """SIP messages by person: the leg between the engine and their phone."""
    cdrs: list[Document] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    """Gauges of the engine that were not zero after the call."""
    exits: dict[str, int] = field(default_factory=dict)
    """Exit status of each person's phone."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One item of the checklist."""

    text: str
    problem: str
    """Empty when it was observed."""


Check = Callable[[Evidence], Iterator[str]]
"""Yields what is wrong."""


def findings(evidence: Evidence) -> list[Finding]:
    """Return the checklist, judged."""
    return [Finding(text, "; ".join(check(evidence))) for text, check in _CHECKS]


def leg_of(frame: Document, person: str) -> bool:
    """Tell whether an event is about the leg to a person's phone."""
    return str(frame["data"].get("to", "")).startswith(f"{person.lower()}@")


def said(evidence: Evidence, person: str, event: str) -> Document | None:
    """Return the first line of a person's phone with this event."""
    return next((line for line in evidence.phones.get(person, []) if line["event"] == event), None)


def _both_registered(evidence: Evidence) -> Iterator[str]:
    for person in ("Alice", "Bob"):
        if said(evidence, person, "registered") is None:
            yield f"{person}'s phone is not registered"
    if evidence.registered != 2:
        yield f"the API counts {evidence.registered} registered devices"


def _accepted(evidence: Evidence) -> Iterator[str]:
    if evidence.status != 202 or evidence.answer.get("status") != "success":
        yield f"HTTP {evidence.status}: {evidence.answer.get('message', evidence.answer)}"


def _answered_by_itself(evidence: Evidence) -> Iterator[str]:
    ringing = said(evidence, "Alice", "ringing")
    if ringing is None or ringing["auto_answer_s"] is None:
        yield "the INVITE did not ask for it"
    if said(evidence, "Alice", "answered") is None:
        yield "Alice's phone did not answer"


def _rang_then_answered(evidence: Evidence) -> Iterator[str]:
    ringing, answered = (said(evidence, "Bob", event) for event in ("ringing", "answered"))
    if ringing is None or answered is None:
        yield "Bob's phone did not " + ("ring" if ringing is None else "answer")
    elif ringing["auto_answer_s"] is not None:
        yield "the INVITE to Bob asked for auto-answer"
    elif answered["at"] - ringing["at"] < 0.9:
        yield f"Bob's phone rang only {answered['at'] - ringing['at']:.2f} s"


def _events_in_order(evidence: Evidence) -> Iterator[str]:
    ring = ("CHANNEL_PROGRESS",)
    for person, before in (("Alice", ()), ("Bob", ring)):
        names = [frame["name"] for frame in evidence.events if leg_of(frame, person)]
        wanted = ["CHANNEL_CREATE", *before, "CHANNEL_ANSWER", "CHANNEL_BRIDGE"]
        wanted += ["CHANNEL_UNBRIDGE", "CHANNEL_DESTROY"]
        if names != wanted:
            yield f"{person}'s leg: {', '.join(names) or 'no events'}"
    if [frame["name"] for frame in evidence.events[-1:]] != ["QUICKCALL_END"]:
        yield "the terminal event is not the last"
    sequences = [frame["sequence"] for frame in evidence.events]
    if sequences != list(range(sequences[0], sequences[0] + len(sequences)) if sequences else []):
        yield f"sequence numbers have gaps: {sequences}"
    if any(_ticket(frame["data"]) != TICKET for frame in evidence.events):
        yield "an event lacks the custom application variable"


def _dialogs_complete(evidence: Evidence) -> Iterator[str]:
    for person in ("Alice", "Bob"):
        labels = [label(message.text) for message in evidence.messages.get(person, ())]
        wanted = ["INVITE +SDP", "200 OK (INVITE) +SDP", "ACK", "BYE", "200 OK (BYE)"]
        missing = [text for text in wanted if text not in labels]
        if missing:
            yield f"{person}'s leg lacks {', '.join(missing)}"


def _heard(listener: str, speaker: str) -> Check:
    def check(evidence: Evidence) -> Iterator[str]:
        heard = said(evidence, listener, "heard")
        tone, own = evidence.tones[speaker], evidence.tones[listener]
        if heard is None:
            yield "no report"
            return
        if heard["freq"] is None or abs(heard["freq"] - tone) > 10:
            yield f"heard {heard['freq'] or 'no'} Hz, not {tone} Hz"
        elif heard["seconds"] < HEARD_S:
            yield f"heard it for only {heard['seconds']} s"
        elif heard["levels"][str(tone)] < heard["levels"][str(own)] + LOUDER_DB:
            yield f"the phone's own tone of {own} Hz comes back"

    return check


def _cdr_per_leg(evidence: Evidence) -> Iterator[str]:
    if len(evidence.cdrs) != 2:
        yield f"{len(evidence.cdrs)} CDRs instead of 2"
    for cdr in evidence.cdrs:
        who = cdr.get("to", "?")
        if cdr.get("hangup_cause") != "NORMAL_CLEARING":
            yield f"{who}: cause {cdr.get('hangup_cause')}"
        if not 3 <= cdr.get("billing_seconds", 0) <= 10:
            yield f"{who}: {cdr.get('billing_seconds')} s billed"
        if _ticket(cdr) != TICKET:
            yield f"{who}: no custom application variable"


def _ended_well(evidence: Evidence) -> Iterator[str]:
    ended = said(evidence, "Bob", "ended")
    if ended is None or ended["by"] != "us":
        yield "Bob's phone did not hang up"
    yield from (f"{name}: {value} left" for name, value in evidence.left.items())
    yield from (
        f"{person}'s phone ended with status {status}"
        for person, status in evidence.exits.items()
        if status != 0
    )


def _ticket(document: Document) -> object:
    return document.get("custom_application_vars", {}).get("ticket")


_CHECKS: tuple[tuple[str, Check], ...] = (
    ("Both phones registered over SIP with digest authentication", _both_registered),
    ("The quickcall was accepted by the HTTP API (202, success)", _accepted),
    ("Alice's phone answered by itself, because the INVITE asked it to", _answered_by_itself),
    ("Bob's phone rang, then answered", _rang_then_answered),
    ("Every event came over the WebSocket, in order, with its variables", _events_in_order),
    ("Both SIP dialogs are complete, from INVITE to the 200 of the BYE", _dialogs_complete),
    ("Alice heard Bob's tone", _heard("Alice", "Bob")),
    ("Bob heard Alice's tone", _heard("Bob", "Alice")),
    ("One CDR per leg, normal clearing, seconds billed", _cdr_per_leg),
    ("Bob hung up; nothing is left of the call; the phones ended well", _ended_well),
)
