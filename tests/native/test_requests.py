"""Requests from outside: REGISTER goes up, strangers and garbage do not."""

from __future__ import annotations

import asyncio
import socket

import pytest

from engine.core.commands import Respond
from engine.core.events import LegAnswered, RegisterReceived
from engine.sip.port import Listener, SipConfig
from tests.kit.datagrams import send_storm
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack, all_zero

pytestmark = [pytest.mark.native, pytest.mark.sip]

KEYS = {"domain": "test.local", "contact": "<sip:alice@127.0.0.1:5999>", "expires": "600"}
AS_ALICE = ("-s", "alice", "-au", "alice", "-ap", "secret")
CHALLENGE = (
    "WWW-Authenticate",
    'Digest realm="test.local", nonce="abc", algorithm=MD5, qop="auth"',
)


async def _registers(stack: Stack, count: int) -> list[RegisterReceived]:
    """Wait until `count` REGISTERs came up."""
    async with asyncio.timeout(20):
        while True:
            seen = [event for event in stack.events if isinstance(event, RegisterReceived)]
            if len(seen) >= count:
                return seen
            await stack.next_event()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_register_goes_up_and_the_answer_goes_out(stack: Stack, transport: str) -> None:
    async with Sipp(
        "uac-register",
        remote=stack.address(transport),
        transport=transport,
        keys=KEYS,
        options=AS_ALICE,
    ) as phone:
        first = (await _registers(stack, 1))[0]
        assert stack.sip.stats().pending_requests == 1
        stack.submit(Respond(first.transaction, 401, "Unauthorized", (CHALLENGE,)))
        second = (await _registers(stack, 2))[1]
        contact = ("Contact", f"{KEYS['contact']};expires=600")
        stack.submit(Respond(second.transaction, 200, "OK", (contact,)))
        messages = await phone.succeeded()
    assert first.request_uri == "sip:test.local"
    assert "sip:alice@test.local" in first.to_uri
    assert first.contacts == (KEYS["contact"],)
    assert (first.expires, first.transport) == (600, transport)
    assert first.source == phone.address or transport == "tcp"
    assert not first.authorization
    assert "response=" in second.authorization[0]
    assert second.cseq == first.cseq + 1
    assert messages[-1].header("Contact") == contact[1]


async def test_several_contacts_and_the_star_come_up_apart(stack: Stack) -> None:
    contacts = "<sip:a@127.0.0.1:1>;q=0.5, <sip:b@127.0.0.1:2>;expires=60"
    for wanted, parts in ((contacts, tuple(contacts.split(", "))), ("*", ("*",))):
        async with Sipp(
            "uac-register-wrong-password",
            remote=stack.address(),
            keys=KEYS | {"contact": wanted},
            options=AS_ALICE,
        ) as phone:
            seen = len([event for event in stack.events if isinstance(event, RegisterReceived)])
            register = (await _registers(stack, seen + 1))[-1]
            assert register.contacts == parts
            stack.submit(Respond(register.transaction, 401, "Unauthorized", (CHALLENGE,)))
            second = (await _registers(stack, seen + 2))[-1]
            stack.submit(Respond(second.transaction, 403, "Forbidden"))
            await phone.succeeded()


async def test_without_registrar_register_is_not_allowed() -> None:
    config = SipConfig((Listener("udp", "127.0.0.1", 0),), accept_register=False)
    async with (
        Stack(config) as stack,
        Sipp("uac-register", remote=stack.address(), keys=KEYS, options=AS_ALICE) as phone,
    ):
        await phone.finished()
        statuses = [message.start_line for message in phone.messages_now() if not message.sent]
        assert statuses[0].startswith("SIP/2.0 405")
        assert not stack.events


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_strangers_call_is_refused(stack: Stack, transport: str) -> None:
    async with Sipp(
        "uac-invite-refused", remote=stack.address(transport), transport=transport
    ) as stranger:
        await stranger.succeeded()
    assert not stack.leg_events()


async def test_a_storm_of_malformed_datagrams_leaves_the_stack_working(stack: Stack) -> None:
    host, _, port = stack.address().rpartition(":")
    async with Sipp("uas-ring-answer") as phone:
        leg = stack.dial(phone.uri)
        await send_storm((host, int(port)), 2000)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        await stack.ended(leg)
        await phone.succeeded()
    for register in [event for event in stack.events if isinstance(event, RegisterReceived)]:
        stack.submit(Respond(register.transaction, 400, "Bad Request"))
    assert {type(event).__name__ for event in stack.leg_events() if event.leg != leg} == set()
    await all_zero(stack.sip.stats)


async def test_bytes_that_are_not_utf8_come_up_replaced(stack: Stack) -> None:
    host, _, port = stack.address("udp").rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.sendto(
            b"REGISTER sip:test.local SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1;rport\r\n"
            b"From: <sip:alice@test.local>;tag=1\r\n"
            b"To: <sip:alice@test.local>\r\n"
            b"Call-ID: bytes\r\n"
            b"CSeq: 1 REGISTER\r\n"
            b"User-Agent: phone \xff\r\n"
            b"Content-Length: 0\r\n\r\n",
            (host, int(port)),
        )
        (register,) = await _registers(stack, 1)
        stack.submit(Respond(register.transaction, 403, "Forbidden"))
        await all_zero(stack.sip.stats)
    assert register.user_agent == "phone \N{REPLACEMENT CHARACTER}"
