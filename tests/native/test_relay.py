"""What a leg is sent is one RTP stream for its whole life, and what it sends is counted."""

from __future__ import annotations

import asyncio
import struct

import pytest

from engine.core.commands import Join, Split
from engine.core.events import LegAnswered, LegRenegotiated, LegSilent
from engine.core.media_values import MediaReport
from engine.sip.port import Listener, SipConfig
from tests.kit.rtp import RtpPacket, RtpPeer
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack
from tests.native.media_legs import MediaLeg, keys_of, legs, phone_of

pytestmark = [pytest.mark.native, pytest.mark.sip]

FRAME = b"x" * 160
SENDER_REPORT = struct.Struct("!BBHIIIIII")
BLOCK = struct.Struct("!IIIIII")
"""A report block (RFC 3550 6.4.1)."""


def ahead(packets: list[RtpPacket]) -> list[int]:
    """Return by how much each sequence number is above the first."""
    return [(packet.sequence - packets[0].sequence) & 0xFFFF for packet in packets]


def later(packets: list[RtpPacket]) -> list[int]:
    """Return by how much each timestamp is above the first."""
    return [(packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF for packet in packets]


async def first_of(*peers: RtpPeer) -> RtpPacket:
    """Wait for the packet of whichever peer has one first."""
    tasks = [asyncio.ensure_future(peer.packet()) for peer in peers]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    return done.pop().result()


async def report_of(stack: Stack, leg: MediaLeg) -> MediaReport:
    """Return the figures a leg ended with."""
    report = (await stack.ended(leg.leg)).report
    assert report is not None
    return report


async def test_gaps_and_order_of_the_source_are_kept(stack: Stack) -> None:
    numbers = (65533, 65534, 65536, 65535, 65540, 65541)
    async with RtpPeer(1) as near, RtpPeer(2) as far:
        async with legs(stack, phone_of(near), phone_of(far)) as (one, _):
            for number in numbers:
                near.send(one.port, FRAME, sequence=number)
            packets = [await far.packet() for _ in numbers]
        report = await report_of(stack, one)
    assert ahead(packets) == [number - numbers[0] for number in numbers]
    assert later(packets) == [160 * (number - numbers[0]) for number in numbers]
    assert [packet.marker for packet in packets] == [True] + [False] * 5
    assert len({packet.ssrc for packet in packets} - {near.ssrc}) == 1
    assert (report.packets_received, report.lost) == (6, 3)


async def test_a_leg_is_sent_one_stream_whoever_speaks(stack: Stack) -> None:
    async with RtpPeer(1) as first, RtpPeer(2) as far, RtpPeer(3) as second:
        phones = phone_of(first), phone_of(far), phone_of(second)
        async with legs(stack, *phones) as (one, listener, two):
            first.send_many(one.port, 3)
            packets = [await far.packet() for _ in range(3)]
            stack.submit(Split(one.leg, listener.leg), Join(two.leg, listener.leg))
            await stack.stock()
            first.send_many(one.port, 3)
            second.send(two.port, FRAME, sequence=40000)
            second.send(two.port, FRAME)
            packets += [await far.packet() for _ in range(2)]
            second.ssrc = 4
            second.send(two.port, FRAME, sequence=7)
            packets.append(await far.packet())
            second.send(two.port, FRAME, sequence=20000)  # it began anew
            packets.append(await far.packet())
        assert far.waiting() == []
    assert len({packet.ssrc for packet in packets}) == 1
    assert ahead(packets) == list(range(7))
    assert [packet.marker for packet in packets] == [1, 0, 0, 1, 0, 1, 1]
    assert later(packets)[2] == 320
    assert later(packets) == sorted(later(packets))


async def test_what_a_leg_is_sent_goes_on_where_its_phone_moves(stack: Stack) -> None:
    async with RtpPeer(1) as old, RtpPeer(2) as new, RtpPeer(3) as far:
        keys = {"conn": new.host, "port": str(new.port), "media": "a=sendrecv"}
        moves = Sipp(
            "uas-reinvite-moves",
            keys={**keys, "old_ip": old.host, "old_port": str(old.port)},
        )
        async with legs(stack, moves, phone_of(far)) as (_, other):
            packets: list[RtpPacket] = []
            left = 3
            while left:
                far.send(other.port, b"%d" % len(packets))
                packets.append(await first_of(old, new))
                left -= any(isinstance(event, LegRenegotiated) for event in stack.events)
        assert (old.waiting(), new.waiting()) == ([], [])
        assert new.source != ("", 0)
    assert [packet.payload for packet in packets] == [
        b"%d" % number for number in range(len(packets))
    ]
    assert ahead(packets) == list(range(len(packets)))
    assert len({packet.ssrc for packet in packets}) == 1


async def test_payload_types_are_those_each_side_asked_for(stack: Stack) -> None:
    async with RtpPeer(1) as near, RtpPeer(2) as far:
        phones = [
            Sipp(
                "uas-rtp-formats",
                keys={
                    **keys_of(peer.host, peer.port),
                    "formats": f"{opus} {event}",
                    "codec": f"{opus} opus/48000/2",
                    "events": f"{event} telephone-event/8000",
                },
            )
            for peer, opus, event in ((near, 107, 110), (far, 115, 99))
        ]
        async with legs(stack, *phones) as (one, other):
            answered = await stack.event(LegAnswered, one.leg)
            ours = stack_types(await stack.event(LegAnswered, other.leg))
            # A peer sends by our numbers; one that sends by its own is understood as well.
            sent = [(96, 960), (101, 160), (107, 960), (110, 160)]
            for payload_type, step in sent:
                near.send(one.port, FRAME, payload_type=payload_type, step=step)
            packets = [await far.packet() for _ in sent]
    assert [packet.payload_type for packet in packets] == [115, 99, 115, 99]
    assert ours == {"OPUS/48000": 115, "TELEPHONE-EVENT/8000": 99}
    assert answered.codec == "opus/48000"
    assert answered.media.address == f"{near.host}:{near.port}"
    assert answered.media.source == phones[0].host


def stack_types(answered: LegAnswered) -> dict[str, int]:
    """Return the payload types a peer wants."""
    return dict(answered.media.formats)


async def test_what_the_other_leg_cannot_take_is_not_sent(stack: Stack) -> None:
    async with RtpPeer(1) as near, RtpPeer(2) as far:
        async with legs(stack, phone_of(near), phone_of(far)) as (one, _):
            near.send(one.port, b"comfort noise that nobody negotiated", payload_type=13)
            near.send_raw(one.port, b"\x80")
            near.send_raw(one.port, b"\x16\xfe\xff" + bytes(40))
            assert near.send(one.port, b"speech") == await far.payload()
        assert far.waiting() == []


async def test_each_leg_has_rtcp_of_its_own(stack: Stack) -> None:
    async with (
        RtpPeer(1) as near,
        RtpPeer(0, near.host, near.port + 1) as rtcp,
        RtpPeer(2) as far,
    ):
        async with legs(stack, phone_of(near), phone_of(far)) as (one, other):
            far.send_many(other.port, 10)
            near.send_many(one.port, 4)
            near.send(one.port, FRAME, sequence=7)
            ssrc = (await near.packet()).ssrc
            report = b""
            while report[:1] != b"\x81" or struct.unpack_from("!I", report, 36) != (7,):
                report = await rtcp.datagram()
            _, kind, _, sender, seconds, rest, _, packets, octets = SENDER_REPORT.unpack_from(
                report
            )
            source, loss, _, jitter, last, delay = BLOCK.unpack_from(report, 28)
            assert (kind, sender, packets, octets) == (200, ssrc, 10, 1600)
            assert (source, loss & 0xFFFFFF, last, delay) == (near.ssrc, 2, 0, 0)
            assert jitter < 8000
            assert report[52:54] == b"\x81\xca"
            control = (one.port[0], one.port[1] + 1)
            for hostile in (report[:9], b"\x81\xc8\xff\xff" + report[4:], b"\x9f\xc9\x00\x01" * 2):
                rtcp.send_raw(control, hostile)
            middle = (seconds & 0xFFFF) << 16 | rest >> 16
            theirs = SENDER_REPORT.pack(0x81, 200, 12, near.ssrc, 0x1234, 0x5678 << 16, 0, 5, 800)
            rtcp.send_raw(control, theirs + BLOCK.pack(ssrc, 3, 0, 0, middle, 0))
            second = await rtcp.datagram()
            assert BLOCK.unpack_from(second, 28)[4] == 0x12345678
        figures = await report_of(stack, one)
        others = await report_of(stack, other)
    assert figures.lost_by_peer == 3
    assert figures.round_trip_ms is not None
    assert 0 <= figures.round_trip_ms < 10000
    assert (figures.packets_sent, figures.bytes_sent, figures.packets_received) == (10, 1600, 5)
    assert others.round_trip_ms is None


async def test_loss_jitter_and_quality_are_figures(stack: Stack) -> None:
    async with RtpPeer(1) as near, RtpPeer(2) as far:
        async with legs(stack, phone_of(near), phone_of(far)) as (one, other):
            for number in range(100):
                if number % 10 != 5:
                    near.send(one.port, FRAME, sequence=1000 + number)
                far.send(other.port, FRAME)
            for _ in range(90):
                await far.packet()
            for _ in range(100):
                await near.packet()
        lossy, clean = await report_of(stack, one), await report_of(stack, other)
    assert (lossy.packets_received, lossy.bytes_received, lossy.lost) == (90, 90 * 160, 10)
    assert (clean.packets_received, clean.packets_sent, clean.lost) == (100, 90, 0)
    assert lossy.mos is not None
    assert clean.mos is not None
    assert 1 <= lossy.mos < clean.mos <= 4.5


async def test_a_leg_that_never_sent_has_no_quality(stack: Stack) -> None:
    async with Sipp("uas-ring-answer") as phone:
        leg = stack.dial(phone.uri)
        await stack.event(LegAnswered, leg)
        stack.hang_up(leg)
        report = (await stack.ended(leg)).report
        await phone.succeeded()
    assert report == MediaReport()
    async with Sipp("uas-busy-486") as phone:
        refused = stack.dial(phone.uri)
        assert (await stack.ended(refused)).report is None
        await phone.succeeded()


async def test_silence_is_told_once_and_one_way_audio_before_it() -> None:
    config = SipConfig(listeners=(Listener("udp", "127.0.0.1", 0),), rtp_timeout_s=4, one_way_s=1)
    async with (
        Stack(config) as stack,
        RtpPeer(1) as near,
        RtpPeer(2) as far,
        legs(stack, phone_of(near), phone_of(far)) as (one, other),
    ):
        while not [event for event in stack.events if isinstance(event, LegSilent)]:
            near.send(one.port, FRAME)
            await far.packet()
        for leg in (one.leg, other.leg):
            await stack.events_of(LegSilent, leg, 1 + (leg == other.leg))
        told = [event for event in stack.events if isinstance(event, LegSilent)]
    assert told[0].leg == other.leg
    assert {(event.leg, event.one_way) for event in told} == {
        (other.leg, True),
        (other.leg, False),
        (one.leg, False),
    }
    assert len(told) == 3
    assert all(event.seconds >= (1 if event.one_way else 4) for event in told)
