"""Legs whose RTP is the test's own, joined, with all that the SIP thread had to do done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from engine.core.commands import Join
from engine.core.events import LegAnswered, LegDialed
from engine.core.values import LegId
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp
from tests.kit.stack import Stack


@dataclass(frozen=True, slots=True)
class MediaLeg:
    """An answered leg."""

    leg: LegId
    port: tuple[str, int]
    """Where the engine takes its RTP."""


def keys_of(host: str, port: int) -> dict[str, str]:
    """Return the keys of uas-rtp-peer."""
    return {"rtp_ip": host, "rtp_port": str(port)}


async def answer(stack: Stack, phone: Sipp) -> MediaLeg:
    """Dial a phone that answers."""
    leg = stack.dial(phone.uri)
    await stack.event(LegAnswered, leg)
    return MediaLeg(leg, audio_address((await stack.event(LegDialed, leg)).local_sdp))


@asynccontextmanager
async def legs(stack: Stack, *phones: Sipp) -> AsyncIterator[list[MediaLeg]]:
    """Dial each phone, join the first two, hang up at the end; all must have succeeded then."""
    async with AsyncExitStack() as running:
        for phone in phones:
            await running.enter_async_context(phone)
        made = [await answer(stack, phone) for phone in phones]
        if len(made) > 1:
            stack.submit(Join(made[0].leg, made[1].leg))
        await stack.stock()
        yield made
        for one in made:
            stack.hang_up(one.leg)
        for one in made:
            await stack.ended(one.leg)
        for phone in phones:
            await phone.succeeded()


def phone_of(media: RtpPeer) -> Sipp:
    """Return a phone whose SDP names an RTP peer of the test."""
    return Sipp("uas-rtp-peer", keys=keys_of(media.host, media.port))
