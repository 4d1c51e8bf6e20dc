"""Who is asked to answer by itself, and how."""

from __future__ import annotations

import pytest

from engine.core.auto_answer import (
    DEFAULT_PROFILE,
    PhoneProfile,
    PhoneProfiles,
)
from engine.core.errors import RequestInvalid
from engine.core.values import Contact
from tests.unit.core.rig import Rig, carrier, device

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
