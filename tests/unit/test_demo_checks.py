"""The demo's checklist: all good evidence passes, and each thing that is missing is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.core.events import SipMessageSeen
from scripts.demo_checks import TICKET, Evidence, findings

Document = dict[str, Any]


def phone(ring_s: float, by: str, freq: int, asked: float | None) -> list[Document]:
    loud = {"700": -8.0, "1100": -60.0} if freq == 700 else {"700": -60.0, "1100": -8.0}
    return [
        {"event": "registered", "at": 1.0},
        {"event": "ringing", "at": 2.0, "auto_answer_s": asked},
        {"event": "answered", "at": 2.0 + ring_s},
        {"event": "heard", "at": 8.0, "freq": freq, "seconds": 3.9, "levels": loud},
        {"event": "ended", "at": 8.0, "by": by},
    ]


def dialog() -> tuple[SipMessageSeen, ...]:
    lines = [
        ("INVITE sip:a SIP/2.0", "INVITE", "v=0"),
        ("SIP/2.0 200 OK", "INVITE", "v=0"),
        ("ACK sip:a SIP/2.0", "ACK", ""),
        ("BYE sip:a SIP/2.0", "BYE", ""),
        ("SIP/2.0 200 OK", "BYE", ""),
    ]
    texts = [f"{first}\r\nCSeq: 1 {method}\r\n\r\n{body}" for first, method, body in lines]
    return tuple(SipMessageSeen(1.0, True, "a:1", "b:2", "udp", "id", text) for text in texts)


def event(sequence: int, name: str, user: str) -> Document:
    data: Document = {"custom_application_vars": {"ticket": TICKET}}
    if user:
        data["to"] = f"{user}@demo"
    return {"name": name, "sequence": sequence, "data": data}


def all_good() -> Evidence:
    stages = [
        ("CHANNEL_CREATE", "alice"),
        ("CHANNEL_ANSWER", "alice"),
        ("CHANNEL_CREATE", "bob"),
        ("CHANNEL_PROGRESS", "bob"),
        ("CHANNEL_ANSWER", "bob"),
        ("CHANNEL_BRIDGE", "alice"),
        ("CHANNEL_BRIDGE", "bob"),
        ("CHANNEL_UNBRIDGE", "alice"),
        ("CHANNEL_UNBRIDGE", "bob"),
        ("CHANNEL_DESTROY", "bob"),
        ("CHANNEL_DESTROY", "alice"),
        ("QUICKCALL_END", ""),
    ]
    cdr = {
        "hangup_cause": "NORMAL_CLEARING",
        "billing_seconds": 5,
        "custom_application_vars": {"ticket": TICKET},
    }
    return Evidence(
        phones={"Alice": phone(0.0, "them", 1100, 0.0), "Bob": phone(1.0, "us", 700, None)},
        tones={"Alice": 700, "Bob": 1100},
        registered=2,
        status=202,
        answer={"status": "success"},
        events=[event(10 + at, name, user) for at, (name, user) in enumerate(stages)],
        messages={"Alice": dialog(), "Bob": dialog()},
        cdrs=[{"to": "alice@demo", **cdr}, {"to": "bob@demo", **cdr}],
        exits={"Alice": 0, "Bob": 0},
    )


def test_all_good_evidence_passes() -> None:
    assert [finding.problem for finding in findings(all_good())] == [""] * 10


def test_no_evidence_passes_nothing() -> None:
    judged = findings(Evidence(tones={"Alice": 700, "Bob": 1100}))
    assert all(finding.problem for finding in judged)


def set_heard(person: str, **fields: object) -> Callable[[Evidence], None]:
    def change(evidence: Evidence) -> None:
        evidence.phones[person][3].update(fields)

    return change


@pytest.mark.parametrize(
    ("change", "item", "problem"),
    [
        (lambda e: e.phones["Bob"].pop(0), 0, "Bob's phone is not registered"),
        (lambda e: setattr(e, "registered", 1), 0, "the API counts 1"),
        (lambda e: setattr(e, "status", 500), 1, "HTTP 500"),
        (lambda e: e.phones["Alice"][1].update(auto_answer_s=None), 2, "did not ask"),
        (lambda e: e.phones["Bob"][1].update(auto_answer_s=0.0), 3, "asked for auto-answer"),
        (lambda e: e.phones["Bob"][2].update(at=2.1), 3, "rang only 0.10 s"),
        (lambda e: e.events.pop(), 4, "the terminal event is not the last"),
        (lambda e: e.events.pop(3), 4, "Bob's leg: CHANNEL_CREATE, CHANNEL_ANSWER"),
        (lambda e: e.events[5].update(sequence=99), 4, "gaps"),
        (lambda e: e.events[5]["data"].pop("custom_application_vars"), 4, "lacks the custom"),
        (lambda e: e.messages.update(Bob=dialog()[:4]), 5, "Bob's leg lacks 200 OK (BYE)"),
        (set_heard("Alice", freq=None), 6, "heard no Hz, not 1100 Hz"),
        (set_heard("Alice", freq=700), 6, "heard 700 Hz, not 1100 Hz"),
        (set_heard("Bob", seconds=0.5), 7, "for only 0.5 s"),
        (set_heard("Bob", levels={"700": -8.0, "1100": -10.0}), 7, "comes back"),
        (lambda e: e.cdrs.pop(), 8, "1 CDRs instead of 2"),
        (lambda e: e.cdrs[0].update(hangup_cause="NO_ANSWER"), 8, "alice@demo: cause NO_ANSWER"),
        (lambda e: e.cdrs[0].update(billing_seconds=0), 8, "0 s billed"),
        (lambda e: e.left.update(legs=1), 9, "legs: 1 left"),
        (lambda e: e.exits.update(Bob=-9), 9, "Bob's phone ended with status -9"),
        (lambda e: e.phones["Bob"][4].update(by="them"), 9, "Bob's phone did not hang up"),
    ],
)
def test_what_is_missing_is_said(
    change: Callable[[Evidence], object], item: int, problem: str
) -> None:
    evidence = all_good()
    change(evidence)
    judged = findings(evidence)
    assert problem in judged[item].problem
    assert sum(bool(finding.problem) for finding in judged) == 1
