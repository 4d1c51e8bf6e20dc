"""REFER inside a call: what the peer hears, what comes up (RFC 3515, 3891, 4488)."""

from __future__ import annotations

import pytest

from engine.core.commands import TransferProgress
from engine.core.events import LegAnswered, TransferRequested
from engine.core.values import LegId, Party
from engine.sip.port import Listener, SipConfig
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


async def _transfers(stack: Stack, leg: LegId, count: int) -> list[TransferRequested]:
    """Wait until the peer of a leg has asked for `count` transfers, and return them."""
    return await stack.events_of(TransferRequested, leg, count)


def _requests(messages: list[SippMessage], method: str) -> list[SippMessage]:
    return [message for message in messages if message.method == method and not message.sent]


async def test_a_blind_transfer_is_told_how_it_goes(stack: Stack) -> None:
    async with Sipp("uas-refer-blind") as phone:
        leg = stack.dial(phone.uri)
        (asked,) = await _transfers(stack, leg, 1)
        stack.submit(TransferProgress(leg, 180, "Ringing"))
        await phone.saw("NOTIFY", sent=False, count=2)
        stack.submit(TransferProgress(leg, 200, "OK"), TransferProgress(leg, 500, "Too late"))
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert asked == TransferRequested(leg, "sip:1003@test.local", "", "<sip:alice@test.local>")
    assert ended.party is Party.REMOTE
    notifies = _requests(messages, "NOTIFY")
    assert [message.body.strip() for message in notifies] == [
        "SIP/2.0 100 Trying",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 200 OK",
    ]
    numbers = [int(message.header("CSeq").split()[0]) for message in notifies]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert [message.method for message in messages].count("INVITE") == 1


async def test_progress_waits_for_the_answer_to_the_last_notify(stack: Stack) -> None:
    async with Sipp("uas-refer-twice") as phone:
        leg = stack.dial(phone.uri)
        await _transfers(stack, leg, 1)
        await phone.saw("SIP/2.0 491", sent=False)
        stack.submit(TransferProgress(leg, 486, "Busy\r\nX-Injected: yes"))
        await _transfers(stack, leg, 2)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert ended.party is Party.REMOTE
    assert not any(message.headers("X-Injected") for message in messages)
    assert stack.story(leg).count("TransferRequested") == 2


async def test_a_notify_that_fails_ends_the_subscription_and_not_the_call(stack: Stack) -> None:
    async with Sipp("uas-refer-attended") as phone:
        leg = stack.dial(phone.uri)
        (asked,) = await _transfers(stack, leg, 1)
        await phone.saw("SIP/2.0 481", sent=True)
        stack.submit(TransferProgress(leg, 200, "OK"))
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert asked.refer_to == "sip:bob@192.0.2.7;transport=tcp"
    assert asked.replaces == "abc@192.0.2.7;to-tag=7743;from-tag=6472"
    assert ended.party is Party.LOCAL
    assert len(_requests(messages, "NOTIFY")) == 1


async def test_a_notify_that_is_not_answered_leaves_the_call_alone() -> None:
    config = SipConfig((Listener("udp", "127.0.0.1", 0),), t1_ms=20)
    async with Stack(config) as stack, Sipp("uas-refer-deaf") as phone:
        leg = stack.dial(phone.uri)
        await _transfers(stack, leg, 1)
        # The NOTIFY has timed out (timer F, 64 T1) when its transaction is gone.
        await stack.transactions_over()
        assert "LegEnded" not in stack.story(leg)
        stack.submit(TransferProgress(leg, 200, "OK"))
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert (ended.party, ended.sip_status) == (Party.LOCAL, 200)
    bodies = {message.body for message in _requests(messages, "NOTIFY")}
    assert bodies == {"SIP/2.0 100 Trying"}


async def test_a_phone_may_want_no_notify(stack: Stack) -> None:
    async with Sipp("uas-refer-no-subscription") as phone:
        leg = stack.dial(phone.uri)
        await _transfers(stack, leg, 1)
        stack.submit(TransferProgress(leg, 180, "Ringing"), TransferProgress(leg, 200, "OK"))
        stack.hang_up(leg)
        await stack.ended(leg)
        assert not _requests(await phone.succeeded(), "NOTIFY")


async def test_a_refer_that_is_wrong_is_refused(stack: Stack) -> None:
    async with Sipp("uas-refer-malformed", keys={"padding": "a" * 1000}) as phone:
        leg = stack.dial(phone.uri)
        await stack.ended(leg)
        await phone.succeeded()
    assert stack.story(leg) == ["LegDialed", "LegRang", "LegAnswered", "LegEnded"]


async def test_a_refer_before_the_answer_is_refused(stack: Stack) -> None:
    async with Sipp("uas-refer-while-ringing") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    assert "TransferRequested" not in stack.story(leg)


async def test_a_stack_without_transfers_declines_them() -> None:
    config = SipConfig((Listener("udp", "127.0.0.1", 0),), transfers=False)
    async with Stack(config) as stack, Sipp("uas-refer-refused") as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
        stack.submit(TransferProgress(leg, 200, "OK"), TransferProgress(LegId(10**9), 200, "OK"))
    assert "TransferRequested" not in stack.story(leg)
    assert "REFER" not in messages[0].header("Allow")
    assert ended.party is Party.REMOTE
