"""Which INVITE asks a phone to answer by itself, and what the phone then does."""

import pytest

from engine.phone.answering import AnswerPolicy, auto_answer_delay


def invite(*headers: str, uri: str = "sip:alice@127.0.0.1:5070") -> str:
    lines = (f"INVITE {uri} SIP/2.0", "Call-ID: 1", *headers, "", "v=0")
    return "\r\n".join(lines)


@pytest.mark.parametrize(
    ("header", "delay"),
    [
        ("Call-Info: <sip:127.0.0.1>;answer-after=0", 0),
        ("call-info: <sip:127.0.0.1> ; Answer-After = 3", 3),
        ("Call-Info: ;answer-after=0.5", 0.5),
        ("Call-Info: answer-after=2", 2),
        ("Call-Info: <sip:127.0.0.1>\r\n ;answer-after=4", 4),
        ("Call-Info: <sip:127.0.0.1>;answer-after=99999", 600),
        ("Alert-Info: <http://www.notused.com>;info=alert-autoanswer;delay=0", 0),
        ("Alert-Info: <http://www.notused.com>;info=alert-autoanswer;delay=2", 2),
        ("Alert-Info: info=alert-autoanswer", 0),
        ("Alert-Info: <x>;answer-after=1", 1),
        ("Answer-Mode: Auto", 0),
        ("Answer-Mode: auto;require", 0),
        ("Priv-Answer-Mode: Auto", 0),
        ("Answer-Mode: Manual", None),
        ("Call-Info: <sip:answer-after=0@example.com>", None),
        ("Call-Info: <sip:127.0.0.1>;info=alert-autoanswer", None),
        ("Alert-Info: <http://alert-autoanswer.example.com>", None),
        ("Subject: ;answer-after=0", None),
    ],
)
def test_header_asks(header: str, delay: float | None) -> None:
    assert auto_answer_delay(invite(header)) == delay


def test_request_uri_asks() -> None:
    assert auto_answer_delay(invite(uri="sip:a@h;transport=tcp;intercom=true")) == 0
    assert auto_answer_delay(invite(uri="sip:a@h;intercom=truely")) is None


def test_nobody_asks() -> None:
    assert auto_answer_delay(invite("Supported: answermode")) is None
    assert auto_answer_delay("") is None


def test_the_body_does_not_ask() -> None:
    assert auto_answer_delay(invite() + "\r\nAnswer-Mode: Auto\r\n") is None


def test_the_shortest_of_several_counts() -> None:
    assert auto_answer_delay(invite("Call-Info: <x>;answer-after=5", "Answer-Mode: Auto")) == 0


@pytest.mark.parametrize(
    ("text", "unasked", "asked", "refusal"),
    [
        ("asked", None, 0.0, None),
        ("always", 0.0, 0.0, None),
        ("after:1.5", 1.5, 0.0, None),
        ("never", None, None, None),
        ("busy", None, None, 486),
        ("decline", None, None, 603),
    ],
)
def test_policy(text: str, unasked: float | None, asked: float, refusal: int | None) -> None:
    policy = AnswerPolicy.parse(text)
    assert policy.delay(None) == unasked
    assert policy.delay(0.0) == asked
    assert policy.refusal == refusal


@pytest.mark.parametrize("text", ["", "after", "after:", "after:-1", "after:601", "yes"])
def test_unknown_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be asked, always, after:SECONDS"):
        AnswerPolicy.parse(text)
