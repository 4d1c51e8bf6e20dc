"""Whose RTP is let in, and where ours goes: ext/media/latch.hpp, proven with real sockets.

What a stranger sends is always followed by a packet of the peer to the same socket: when that one
has come through, the stranger's would have come before it. Strangers send no more at once than a
socket's buffer holds, or the peer's packet would be lost before anybody has looked at it.
"""

from __future__ import annotations

import asyncio

import pytest

from engine.core.events import LegHeard, LegRenegotiated
from engine.sip.port import Listener, RtpLatching, SipConfig
from tests.kit.addresses import loopback_address
from tests.kit.rtp import RtpPeer
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack
from tests.native.media_legs import keys_of, legs, phone_of

pytestmark = [pytest.mark.native, pytest.mark.sip]

PROOF = 5
"""Packets that prove a source."""

PRIVATE = ("192.168.77.5", 40000)
"""What the SDP of a phone behind a NAT says."""


def config(latching: RtpLatching) -> SipConfig:
    """Return the configuration of a stack that latches so."""
    return SipConfig(listeners=(Listener("udp", "127.0.0.1", 0),), rtp_latching=latching)


async def sources(stack: Stack, leg: int) -> list[str]:
    """Return where the RTP of a leg was said to come from."""
    await stack.stock()
    return [
        event.source for event in stack.events if isinstance(event, LegHeard) and event.leg == leg
    ]


async def test_the_address_of_the_sdp_speaks_at_once(stack: Stack) -> None:
    async with (
        RtpPeer(1) as near,
        RtpPeer(2) as far,
        legs(stack, phone_of(near), phone_of(far)) as (one, other),
    ):
        assert near.send(one.port, b"first") == await far.payload()
        assert far.send(other.port, b"back") == await near.payload()
        heard = await stack.event(LegHeard, one.leg)
    assert heard.source == f"{near.host}:{near.port}"


@pytest.mark.parametrize("latching", ["off", "host", "nat"])
async def test_a_stranger_never_gets_in(latching: RtpLatching) -> None:
    async with (
        Stack(config(latching)) as stack,
        RtpPeer(7) as near,
        RtpPeer(2) as far,
        RtpPeer(7) as stranger,
        RtpPeer(7, near.host) as neighbour,
    ):
        async with legs(stack, phone_of(near), phone_of(far)) as (one, other):
            stranger.send_many(one.port, 40)
            assert near.send(one.port, b"the peer") == await far.payload()
            stranger.send_many(one.port, 40)
            neighbour.send_many(one.port, 40)
            for _ in range(PROOF):
                assert near.send(one.port, b"again") == await far.payload()
            assert far.send(other.port, b"back") == await near.payload()
        assert far.waiting() == []
        assert (stranger.source, neighbour.source) == (("", 0), ("", 0))


async def test_a_phone_behind_a_nat_is_found_by_its_packets(stack: Stack) -> None:
    phone = Sipp("uas-rtp-peer", keys=keys_of(*PRIVATE))
    async with RtpPeer(1) as near, RtpPeer(2) as far, RtpPeer(3) as stranger:
        async with legs(stack, phone, phone_of(far)) as (one, other):
            for number in range(PROOF + 2):
                near.send(one.port, b"%d" % number)
            assert [await far.payload() for _ in range(3)] == [b"4", b"5", b"6"]
            assert far.send(other.port, b"back") == await near.payload()
            stranger.send_many(one.port, 40)
            assert near.send(one.port, b"still here") == await far.payload()
            assert far.send(other.port, b"back again") == await near.payload()
            assert await sources(stack, one.leg) == [f"{near.host}:{near.port}"]
        assert stranger.source == ("", 0)


async def test_rtp_from_the_host_of_the_sip_is_let_in(stack: Stack) -> None:
    phone = Sipp("uas-rtp-peer", keys=keys_of(loopback_address(), 40000))
    async with RtpPeer(1, phone.host) as near, RtpPeer(2) as far, RtpPeer(3) as stranger:
        async with legs(stack, phone, phone_of(far)) as (one, _):
            stranger.send_many(one.port, 40)
            near.send_many(one.port, PROOF - 1)
            assert near.send(one.port, b"proven") == await far.payload()
        assert far.waiting() == []


@pytest.mark.parametrize(("latching", "let_in"), [("off", False), ("host", True), ("nat", True)])
async def test_another_port_of_the_address_in_the_sdp(latching: RtpLatching, let_in: bool) -> None:
    async with (
        Stack(config(latching)) as stack,
        RtpPeer(1) as named,
        RtpPeer(2, named.host) as real,
        RtpPeer(3) as far,
    ):
        async with legs(stack, phone_of(named), phone_of(far)) as (one, other):
            real.send_many(one.port, PROOF - 1)
            real.send(one.port, b"proven")
            named.send(one.port, b"the address of the SDP may always speak")
            expected = [b"proven"] * let_in + [b"the address of the SDP may always speak"]
            assert [await far.payload() for _ in expected] == expected
            assert far.send(other.port, b"back") == await named.payload()
        assert far.waiting() == []
        assert real.source == ("", 0)


@pytest.mark.parametrize("kind", ["payload type", "gaps", "two sources", "no RTP"])
async def test_what_proves_nothing(stack: Stack, kind: str) -> None:
    phone = Sipp("uas-rtp-peer", keys=keys_of(*PRIVATE))
    async with RtpPeer(1) as bad, RtpPeer(2) as far, RtpPeer(3) as near:
        async with legs(stack, phone, phone_of(far)) as (one, _):
            for number in range(10, 40):
                if kind == "payload type":
                    bad.send(one.port, b"x", payload_type=77, sequence=number)
                elif kind == "gaps":
                    bad.send(one.port, b"x", sequence=2 * number)
                elif kind == "two sources":
                    bad.ssrc = number % 2
                    bad.send(one.port, b"x", sequence=number)
                else:
                    bad.send_raw(one.port, b"\x80" + bytes([number]))
            near.send_many(one.port, PROOF - 1)
            assert near.send(one.port, b"proven") == await far.payload()
        assert far.waiting() == []


async def test_a_nat_that_forgets_its_binding_is_followed(stack: Stack) -> None:
    async with RtpPeer(9) as near, RtpPeer(9) as moved, RtpPeer(2) as far, RtpPeer(8) as stranger:
        async with legs(stack, phone_of(near), phone_of(far)) as (one, other):
            for number in range(100, 103):
                near.send(one.port, b"before", sequence=number)
                await far.payload()
            await asyncio.sleep(3.5)  # the silence of which the binding dies
            stranger.send_many(one.port, 50)
            for number in range(105, 105 + PROOF):
                moved.send(one.port, b"%d" % number, sequence=number)
            assert await far.payload() == b"109"
            assert far.send(other.port, b"back") == await moved.payload()
        assert stranger.source == ("", 0)


async def test_the_former_address_may_end_its_sentence(stack: Stack) -> None:
    async with RtpPeer(1) as old, RtpPeer(1) as new, RtpPeer(2) as far:
        moves = Sipp(
            "uas-reinvite-moves",
            keys={
                "old_ip": old.host,
                "old_port": str(old.port),
                "conn": new.host,
                "port": str(new.port),
                "media": "a=sendrecv",
            },
        )
        async with legs(stack, moves, phone_of(far)) as (one, other):
            assert old.send(one.port, b"old") == await far.payload()
            await stack.event(LegRenegotiated, one.leg)
            await stack.stock()
            assert old.send(one.port, b"old, on its way") == await far.payload()
            assert far.send(other.port, b"to the new one") == await new.payload()
            assert new.send(one.port, b"new", sequence=3) == await far.payload()
            old.send(one.port, b"too late")
            assert new.send(one.port, b"new again") == await far.payload()
        assert far.waiting() == []
