"""Requests of the peer inside a call, NOTIFY talk, and the causes that endings carry."""

from __future__ import annotations

import asyncio
import socket
from uuid import uuid4

import pytest

from engine.core.commands import NotifyTalk
from engine.core.events import LegAnswered, LegDialed, LegRang, LegSentDigit
from engine.core.values import LegId, Party
from tests.kit.sipp import Sipp
from tests.kit.stack import GUARD_S, Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


@pytest.mark.parametrize(
    "scenario", ["uas-options-in-dialog", "uas-unknown-requests", "uas-wrong-dialog"]
)
async def test_requests_are_answered_as_the_scenario_requires(stack: Stack, scenario: str) -> None:
    async with Sipp(scenario) as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert stack.story(leg) == ["LegDialed", "LegRang", "LegAnswered", "LegEnded"]
    assert ended.party is Party.REMOTE


async def test_a_cseq_that_is_not_higher_is_refused(stack: Stack) -> None:
    async with Sipp("uas-ring-answer") as phone:
        leg = stack.dial(phone.uri)
        dialog = stack.dial_command(leg, "").call_id, await stack.event(LegDialed, leg)
        answered = await stack.event(LegAnswered, leg)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.setblocking(False)
            statuses = [
                await _ask(peer, stack.address(), dialog, answered.to_tag, cseq)
                for cseq in (7, 7, 6, 8)
            ]
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    assert statuses == [200, 500, 500, 200]


async def _ask(
    peer: socket.socket, engine: str, dialog: tuple[str, LegDialed], tag: str, cseq: int
) -> int:
    """Send OPTIONS inside a dialog and return the status of the answer."""
    call_id, dialed = dialog
    host, port = peer.getsockname()
    text = (
        f"OPTIONS sip:quickcall@{engine} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{uuid4().hex}\r\n"
        f"From: <sip:alice@test.local>;tag={tag}\r\n"
        f"To: <sip:1000@test.local>;tag={dialed.from_tag}\r\n"
        f"Call-ID: {call_id}\r\nCSeq: {cseq} OPTIONS\r\nMax-Forwards: 70\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    host, _, number = engine.rpartition(":")
    await loop.sock_sendto(peer, text.encode(), (host, int(number)))
    async with asyncio.timeout(GUARD_S):
        return int((await loop.sock_recv(peer, 4096)).split()[1])


async def test_digits_sent_by_info_come_up(stack: Stack) -> None:
    async with Sipp("uas-info-digits") as phone:
        leg = stack.dial(phone.uri)
        digits = await stack.events_of(LegSentDigit, leg, 3)
        await stack.ended(leg)
        await phone.succeeded()
    assert digits == [
        LegSentDigit(leg, "5", 160),
        LegSentDigit(leg, "*", 10000),
        LegSentDigit(leg, "#", 0),
    ]
    assert stack.story(leg).count("LegSentDigit") == 3


@pytest.mark.parametrize("scenario", ["uas-talk", "uas-talk-refused"])
async def test_a_ringing_phone_is_told_to_answer(stack: Stack, scenario: str) -> None:
    async with Sipp(scenario) as phone:
        leg = stack.dial(phone.uri)
        rang = await stack.event(LegRang, leg)
        assert rang.talk
        stack.submit(NotifyTalk(leg))
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()


async def test_talk_before_ringing_or_to_nobody_is_ignored(stack: Stack) -> None:
    async with Sipp("uas-cancelled-before-ringing") as phone:
        leg = stack.dial(phone.uri)
        await phone.saw("SIP/2.0 100", sent=True)
        stack.submit(NotifyTalk(leg), NotifyTalk(LegId(10**9)))
        stack.hang_up(leg)
        await stack.ended(leg)
        assert "NOTIFY" not in [message.method for message in await phone.succeeded()]


async def test_a_phone_that_allows_no_talk_is_reported_so(stack: Stack) -> None:
    async with Sipp("uas-ring-answer") as phone:
        leg = stack.dial(phone.uri)
        assert not (await stack.event(LegRang, leg)).talk
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()


async def test_a_bye_with_reasons(stack: Stack) -> None:
    async with Sipp("uas-bye-reason") as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert (ended.party, ended.sip_status) == (Party.REMOTE, 200)
    assert (ended.sip_cause, ended.q850) == (486, 17)


async def test_a_refusal_with_reasons(stack: Stack) -> None:
    async with Sipp("uas-refused-reason") as phone:
        leg = stack.dial(phone.uri)
        ended = await stack.ended(leg)
        await phone.succeeded()
    assert (ended.sip_status, ended.sip_cause, ended.q850) == (480, 404, 1)


async def test_an_ending_without_reason_has_none(stack: Stack) -> None:
    async with Sipp("uas-busy-486") as phone:
        ended = await stack.ended(stack.dial(phone.uri))
        await phone.succeeded()
    assert (ended.sip_cause, ended.q850, ended.contacts) == (0, 0, ())


@pytest.mark.parametrize("count", [1, 3, 12])
async def test_the_contacts_of_a_redirection_come_up(stack: Stack, count: int) -> None:
    contacts = [f'"Nr, {n}" <sip:{n}@127.0.0.1:9>;q=0.{n % 10}' for n in range(count)]
    async with Sipp("uas-moved-302", keys={"contacts": ", ".join(contacts)}) as phone:
        ended = await stack.ended(stack.dial(phone.uri))
        await phone.succeeded()
    assert (ended.sip_status, ended.party) == (302, Party.REMOTE)
    assert len(ended.contacts) == min(count, 8)
    for got, wanted in zip(ended.contacts, contacts, strict=False):
        assert got.startswith(wanted.partition(";q=")[0])


async def test_the_invite_says_what_the_engine_does_in_a_call(stack: Stack) -> None:
    async with Sipp("uas-busy-486") as phone:
        await stack.ended(stack.dial(phone.uri))
        invite = (await phone.succeeded())[0]
    allowed = set(invite.header("Allow").split(", "))
    assert allowed == {
        *("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK", "INFO", "OPTIONS", "REFER"),
    }
