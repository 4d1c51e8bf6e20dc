"""Digits that we send by INFO (RFC 6086), and what becomes of the call when they are refused."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.core.commands import SendDigits
from engine.core.events import LegAnswered
from engine.core.media_values import DtmfMethod, MediaPolicy
from engine.core.values import LegId, Party
from engine.sip.port import Listener, SipConfig
from tests.kit.digit_phone import digit_phone
from tests.kit.sipp import Sipp
from tests.kit.sipp_files import SippMessage
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]

NOWHERE = ("127.0.0.1", 9)
BY_INFO = MediaPolicy(dtmf=DtmfMethod.INFO)


async def _answered(stack: Stack, phone: Sipp) -> LegId:
    leg = stack.next_leg()
    stack.submit(replace(stack.dial_command(leg, phone.uri), media=BY_INFO))
    await stack.event(LegAnswered, leg)
    return leg


def _infos(messages: list[SippMessage]) -> list[SippMessage]:
    return [message for message in messages if message.method == "INFO"]


def _digits(messages: list[SippMessage]) -> list[str]:
    """Bodies of the INFOs, each once however often it was sent."""
    bodies = {int(m.header("CSeq").split()[0]): m.body for m in _infos(messages)}
    return [bodies[cseq].strip().replace("\n", " ") for cseq in sorted(bodies)]


async def test_digits_go_one_after_the_other(stack: Stack) -> None:
    async with digit_phone(NOWHERE, ((0, "PCMU/8000"),)) as phone:
        leg = await _answered(stack, phone)
        stack.submit(SendDigits(leg, "1*", 80), SendDigits(leg, "#", 40))
        await phone.has_received("INFO", 3)
        stack.hang_up(leg)
        await stack.ended(leg)
        messages = await phone.succeeded()
    infos = _infos(messages)
    assert _digits(messages) == [
        "Signal=1 Duration=80",
        "Signal=* Duration=80",
        "Signal=# Duration=40",
    ]
    assert {info.header("Content-Type") for info in infos} == {"application/dtmf-relay"}
    cseqs = [int(info.header("CSeq").split()[0]) for info in infos]
    assert cseqs == sorted(set(cseqs)), "each was sent once, numbered as the dialog is"
    order = [m.start_line[:11] for m in messages if m.header("CSeq").endswith("INFO")]
    assert order == [word for _ in range(3) for word in ("INFO sip:ph", "SIP/2.0 200")]


async def test_a_refusal_ends_the_digits_and_not_the_call(stack: Stack) -> None:
    refusing = digit_phone(NOWHERE, ((0, "PCMU/8000"),), scenario="uas-digits-refused")
    async with refusing as phone:
        leg = await _answered(stack, phone)
        stack.submit(SendDigits(leg, "123", 40))
        await phone.has_sent("SIP/2.0 481")
        stack.submit(SendDigits(leg, "4", 40))
        await phone.has_received("INFO", 2)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert ended.party is Party.LOCAL, "it lived until we ended it"
    assert _digits(messages) == ["Signal=1 Duration=40", "Signal=4 Duration=40"]


async def test_an_info_without_an_answer_does_not_end_the_call() -> None:
    config = SipConfig(listeners=(Listener("udp", "127.0.0.1", 0),), t1_ms=20)
    deaf = digit_phone(NOWHERE, ((0, "PCMU/8000"),), scenario="uas-digits-deaf")
    async with Stack(config) as stack, deaf as phone:
        leg = await _answered(stack, phone)
        stack.submit(SendDigits(leg, "12", 40))
        await stack.transactions_over()
        stack.submit(SendDigits(leg, "3", 40))
        await phone.has_received("INFO", 2)
        stack.hang_up(leg)
        ended = await stack.ended(leg)
        messages = await phone.succeeded()
    assert ended.party is Party.LOCAL
    assert _digits(messages) == ["Signal=1 Duration=40", "Signal=3 Duration=40"]


async def test_more_digits_than_may_wait_are_dropped_and_counted(stack: Stack) -> None:
    async with digit_phone(NOWHERE, ((0, "PCMU/8000"),)) as phone:
        leg = await _answered(stack, phone)
        stack.submit(*(SendDigits(leg, "5" * 64, 2000) for _ in range(3)))
        await phone.has_received("INFO")
        assert stack.sip.stats().dropped == 1
        stack.hang_up(leg)
        await stack.ended(leg)
        assert _digits(await phone.succeeded()) == ["Signal=5 Duration=2000"]


async def test_digits_for_nobody_are_ignored(stack: Stack) -> None:
    async with Sipp("uas-no-answer") as phone:
        leg = stack.next_leg()
        stack.submit(
            SendDigits(LegId(10**9), "1", 40),
            replace(stack.dial_command(leg, phone.uri), media=BY_INFO),
            SendDigits(leg, "2", 40),
        )
        await phone.saw("SIP/2.0 180", sent=True)
        stack.hang_up(leg)
        await stack.ended(leg)
        assert _infos(await phone.succeeded()) == []
