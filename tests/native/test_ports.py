"""RTP ports: pairs are taken whole, rest before they are used again, and all come back."""

from __future__ import annotations

import socket

import pytest

from engine.core.events import LegAnswered, LegDialed, LegEnded
from engine.core.values import Party
from engine.sip.port import Listener, SipConfig
from tests.kit.addresses import free_port, loopback_address
from tests.kit.rtp import audio_address
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack

pytestmark = [pytest.mark.native, pytest.mark.sip]


def config(host: str, first: int, last: int) -> SipConfig:
    """Return the configuration of a stack with these RTP ports."""
    listener = Listener("udp", "127.0.0.1", 0)
    return SipConfig(listeners=(listener,), media_host=host, rtp_ports=(first, last))


async def call(stack: Stack, phone: Sipp) -> int:
    """Make a call that is answered and ended; return its RTP port."""
    leg = stack.dial(phone.uri)
    await stack.event(LegAnswered, leg)
    port = audio_address((await stack.event(LegDialed, leg)).local_sdp)[1]
    stack.hang_up(leg)
    await stack.ended(leg)
    return port


async def test_a_pair_of_which_one_is_taken_is_passed_over() -> None:
    host = loopback_address()
    first = free_port(host) & ~1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((host, first + 1))
        async with Stack(config(host, first, first + 3)) as stack, Sipp("uas-answer") as phone:
            assert await call(stack, phone) == first + 2
            await phone.succeeded()
        # Nothing of the pair was left bound.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, first))


async def test_a_pair_rests_while_there_are_others() -> None:
    host = loopback_address()
    first = free_port(host) & ~1
    async with (
        Stack(config(host, first, first + 3)) as stack,
        Sipp("uas-answer", calls=3) as phone,
    ):
        ports = [await call(stack, phone) for _ in range(3)]
        await phone.succeeded()
    assert ports == [first, first + 2, first]


async def test_without_ports_a_leg_ends_and_says_so() -> None:
    host = loopback_address()
    first = free_port(host) & ~1
    async with Stack(config(host, first, first + 1)) as stack, Sipp("uas-answer") as phone:
        held = stack.dial(phone.uri)
        await stack.event(LegAnswered, held)
        assert (await stack.stock()).media_ports == 1
        refused = await stack.event(LegEnded, stack.dial(phone.uri))
        assert refused.party is Party.POLICY
        assert refused.warning
        stack.hang_up(held)
        await stack.ended(held)
        await phone.succeeded()
    for port in (first, first + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, port))
