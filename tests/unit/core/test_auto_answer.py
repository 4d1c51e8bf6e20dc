"""Who is asked to answer by itself, and how."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.auto_answer import (
    DEFAULT_PROFILE,
    PhoneProfile,
    PhoneProfiles,
)
from engine.core.commands import NotifyTalk
from engine.core.errors import RequestInvalid
from engine.core.events import DestinationResolved, LegEnded, LegGaveEarlyMedia, LegRang
from engine.core.values import Contact, LegId, Party
from tests.unit.core.rig import ORIGINATE, Rig, carrier, device

YEALINK = PhoneProfile(
    "Yealink", ("Yealink",), (("Call-Info", "<sip:{host}>;answer-after={delay}"),), intercom=True
)
T46 = PhoneProfile("T46", ("Yealink SIP-T46", "other"), (("Answer-Mode", "Auto"),))
PHONES = PhoneProfiles([YEALINK, T46])


@pytest.mark.parametrize(
    ("user_agent", "profile"),
    [
        ("Yealink SIP-T21P_E2 52.84", YEALINK),
        ("yealink", YEALINK),
        ("YEALINK sip-t46s 66.85", T46),
        ("Other/1", T46),
        ("My Yealink", DEFAULT_PROFILE),
        ("Yealin", DEFAULT_PROFILE),
        ("", DEFAULT_PROFILE),
    ],
)
def test_the_longest_beginning_counts_in_any_case(user_agent: str, profile: PhoneProfile) -> None:
    assert PHONES.of(user_agent) is profile


def test_a_profile_says_what_the_invite_has() -> None:
    rig = Rig(phones=PHONES)
    phone = Contact("sip:alice@10.0.0.1;transport=tcp?Subject=x", user_agent="Yealink SIP-T21")
    rig.originate(device("alice", contacts=(phone,)), auto_answer=True, answer_after=4)
    (dial,) = rig.dials()
    assert dial.request_uri == "sip:alice@10.0.0.1;transport=tcp;intercom=true"
    headers = dict(dial.headers)
    assert headers["Call-Info"] == "<sip:198.51.100.1>;answer-after=4"
    assert not {"Alert-Info", "Answer-Mode"} & set(headers)


def test_the_default_set_is_whole_and_requires_nothing() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), auto_answer=True)
    (dial,) = rig.dials()
    assert dial.headers[2:8] == (
        ("Call-Info", "<sip:198.51.100.1>;answer-after=0"),
        ("Alert-Info", "<http://www.notused.com>;info=alert-autoanswer;delay=0"),
        ("Answer-Mode", "Auto"),
        ("Supported", "answermode"),
        ("X-AUTOANSWER", "TRUE"),
        ("P-Auto-Answer", "normal"),
    )
    assert "require" not in str(dial.headers).lower()
    assert "intercom" not in dial.request_uri


def asked(rig: Rig) -> list[bool]:
    return ["Answer-Mode" in dict(dial.headers) for dial in rig.dials()]


def test_several_phones_are_asked_only_by_force() -> None:
    both = (device("alice", "10.0.0.1"), device("bob", "10.0.0.2"))
    rig = Rig()
    rig.originate(*both, auto_answer=True)
    assert asked(rig) == [False, False]
    rig = Rig()
    rig.originate(*both, auto_answer="force")
    assert asked(rig) == [True, True]


@pytest.mark.parametrize("wish", [True, "force"])
@pytest.mark.parametrize(
    "endpoint",
    [
        carrier("west", forwarded_by="d1", number="123456"),
        device("bob", "10.0.0.2", forwarded_by="d1"),
        device("bob", "10.0.0.2", may_auto_answer=False),
    ],
)
def test_whom_a_call_is_forwarded_to_is_never_asked(endpoint: object, wish: object) -> None:
    rig = Rig()
    rig.originate(endpoint, auto_answer=wish)  # type: ignore[arg-type]
    assert asked(rig) == [False]


@pytest.mark.parametrize("after", [-1, 61])
def test_the_delay_is_bounded(after: int) -> None:
    with pytest.raises(RequestInvalid, match="answer_after"):
        Rig().originate(device("alice", "10.0.0.1"), auto_answer=True, answer_after=after)


# --- what comes of it ---


def told(rig: Rig) -> list[int]:
    """The legs that were told to answer by NOTIFY."""
    return [command.leg for command in rig.commands if isinstance(command, NotifyTalk)]


def result(rig: Rig, name: str, leg: int = 1) -> tuple[bool, str, int | None, bool | None]:
    found = rig.channel(name, leg).leg
    return (
        found.auto_answer,
        found.auto_answer_reason,
        found.auto_answer_latency_ms,
        found.auto_answer_honoured,
    )


@pytest.mark.parametrize(
    ("waits", "answer_after", "latency", "honoured"),
    [(0.25, 0, 250, True), (3, 0, 3000, True), (3.5, 0, 3500, False), (3.5, 1, 3500, True)],
)
def test_the_latency_counts_from_the_first_18x(
    waits: float, answer_after: int, latency: int, *, honoured: bool
) -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), auto_answer=True, answer_after=answer_after)
    rig.waits(2)
    rig.rings(1)
    rig.waits(waits)
    rig.answers(1)
    assert result(rig, "CREATE") == result(rig, "PROGRESS") == (True, "", None, None)
    assert result(rig, "ANSWER") == (True, "", latency, honoured)
    rig.ends(1)
    assert result(rig, "DESTROY") == (True, "", latency, honoured)


def test_the_latency_of_a_phone_that_never_rang_counts_from_its_invite() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), auto_answer=True)
    rig.waits(1.5)
    rig.answers(1)
    assert result(rig, "ANSWER") == (True, "", 1500, True)


def test_the_event_says_why_it_was_not_asked_for() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1", "10.0.0.2"), auto_answer=True)
    rig.answers(1)
    assert result(rig, "ANSWER") == (False, "multiple_endpoints", None, None)
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    rig.answers(1)
    assert result(rig, "ANSWER") == (False, "", None, None)


@pytest.mark.parametrize("early", [False, True])
def test_a_phone_that_allows_it_is_told_once(*, early: bool) -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), auto_answer=True)
    media = LegGaveEarlyMedia(LegId(1), 183, "", "PCMU/8000", "v=0", talk=True)
    rang = LegRang(LegId(1), 180, "Ringing", talk=True)
    for event in (media, rang) if early else (rang, media):
        rig._keep(rig.control.handle(event, rig.now))
    assert told(rig) == [1]


@pytest.mark.parametrize(
    ("changes", "user_agent", "talk"),
    [
        ({}, "", True),
        ({"auto_answer": True}, "", False),
        ({"auto_answer": True}, "Yealink", True),
    ],
)
def test_nobody_else_is_told(changes: dict[str, Any], user_agent: str, *, talk: bool) -> None:
    rig = Rig(phones=PHONES)
    contact = Contact("sip:alice@10.0.0.1", user_agent=user_agent)
    rig.originate(device("alice", contacts=(contact,)), **changes)
    rig._keep(rig.control.handle(LegRang(LegId(1), 180, "Ringing", talk=talk), rig.now))
    assert told(rig) == []


def test_the_dialled_phone_is_not_told() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), auto_answer="force")
    rig.answers(1)
    rig.resolves(device("bob", "10.0.0.2"))
    rig._keep(rig.control.handle(LegRang(LegId(2), 180, "Ringing", talk=True), rig.now))
    assert told(rig) == []
    assert result(rig, "PROGRESS", 2) == (False, "", None, None)


def test_whom_a_phone_redirects_to_is_not_asked_and_sees_who_did() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"), auto_answer="force")
    moved = ("<sip:1003@10.0.0.1>",)
    rig._keep(
        rig.control.handle(
            LegEnded(LegId(1), 302, "Moved", Party.REMOTE, 0, contacts=moved), rig.now
        )
    )
    found = DestinationResolved(
        ORIGINATE, "1003", (device("carol", "10.0.0.3"),), "rule", None, LegId(1)
    )
    rig._keep(rig.control.handle(found, rig.now))
    assert asked(rig) == [True, False]
    headers = dict(rig.dials()[1].headers)
    assert headers["Diversion"] == "<sip:alice-number@example.org>;reason=deflection;counter=1"
    assert rig.channel("CREATE", 2).leg.auto_answer_reason == "forwarded"


def test_every_carrier_of_a_redirect_sees_who_redirected() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    moved = ("<sip:4930123456@10.0.0.1>",)
    rig._keep(
        rig.control.handle(
            LegEnded(LegId(1), 302, "Moved", Party.REMOTE, 0, contacts=moved), rig.now
        )
    )
    ways = (carrier("west", number="4930123456"), carrier("east", number="4930123456"))
    found = DestinationResolved(ORIGINATE, "4930123456", ways, "rule", None, LegId(1))
    rig._keep(rig.control.handle(found, rig.now))
    assert len(rig.dials()) == 2
    rig.ends(2, 503)
    _, *asked_carriers = rig.dials()
    assert [dial.to_uri for dial in asked_carriers] == [
        "<sip:4930123456@west.example.net:5080>",
        "<sip:4930123456@east.example.net:5080>",
    ]
    for dial in asked_carriers:
        assert dict(dial.headers)["Diversion"].startswith("<sip:alice-number@example.org>;")
