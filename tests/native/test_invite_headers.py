"""Headers of a Dial: in its INVITE, and in no other request of the leg."""

from __future__ import annotations

import pytest

from engine.core.auto_answer import DEFAULT_PROFILE, AutoAnswer
from engine.core.commands import Reoffer
from engine.core.events import LegAnswered
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


async def test_an_offer_inside_the_call_asks_nobody_to_answer_by_itself(stack: Stack) -> None:
    headers = AutoAnswer(DEFAULT_PROFILE).headers("127.0.0.1")
    async with Sipp("uas-reoffer") as phone:
        leg = stack.dial(f"{phone.uri};intercom=true", headers)
        await stack.event(LegAnswered, leg)
        stack.submit(Reoffer(leg, hold=True), Reoffer(leg, hold=False))
        await stack.ended(leg)
        messages = [message for message in await phone.succeeded() if not message.sent]
    first, *later = [message for message in messages if message.method]
    for name, value in headers:
        assert value in first.headers(name), first.text
    assert [message.method for message in later].count("INVITE") >= 1
    asking = {name for name, _ in headers} - {"Supported"}
    for message in later:
        assert not any(message.headers(name) for name in asking), message.text
        assert "answermode" not in message.text
        assert "intercom" not in message.text
