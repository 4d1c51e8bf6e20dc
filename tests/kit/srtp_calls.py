"""Calls whose media are in SRTP: SIPp signals, peers inside the test send and receive packets."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from engine.core.commands import Join
from engine.core.events import LegAnswered, LegDialed
from engine.core.media_values import PLAIN_MEDIA, Encryption, MediaPolicy
from engine.core.values import LegId
from tests.kit.rtp import RtpPeer, audio_address
from tests.kit.sipp import Sipp
from tests.kit.srtp import Key, read_lines
from tests.kit.stack import Stack

AVP, SAVP = "RTP/AVP", "RTP/SAVP"
CM_80, CM_32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"
NO_KEY = "a=ptime:20"
A_SSRC, B_SSRC = 0xA11CE, 0xB0B

OPTIONAL = MediaPolicy(Encryption.OPTIONAL)
MANDATORY = MediaPolicy(Encryption.MANDATORY)


def only(suite: str, encryption: Encryption = Encryption.MANDATORY) -> MediaPolicy:
    """Return a policy with one suite, which is offered with the tag 1."""
    return MediaPolicy(encryption, (suite,))


def phone(
    media: RtpPeer, crypto: str, profile: str = SAVP, scenario: str = "uas-srtp", **keys: str
) -> Sipp:
    """Return a phone with its media at an RTP peer that answers so."""
    where = {"rtp_ip": media.host, "rtp_port": str(media.port)}
    return Sipp(scenario, keys={**where, "profile": profile, "crypto": crypto, **keys})


def dial(stack: Stack, called: Sipp, policy: MediaPolicy = PLAIN_MEDIA) -> LegId:
    """Call a phone with that policy."""
    leg = stack.next_leg()
    command = stack.dial_command(leg, called.uri)
    stack.submit(replace(command, media=policy))
    return leg


async def answered(stack: Stack, called: Sipp, policy: MediaPolicy = PLAIN_MEDIA) -> LegId:
    leg = dial(stack, called, policy)
    await stack.event(LegAnswered, leg)
    return leg


def offers(called: Sipp) -> list[str]:
    """Return the bodies of the INVITEs that a phone was sent, as they were on the wire."""
    return [m.body for m in called.messages_now() if not m.sent and m.method == "INVITE"]


async def ours(called: Sipp, tag: int = 1) -> Key:
    """Return the key that the first INVITE offered to a phone with that tag."""
    await called.has_received("INVITE")
    return read_lines(offers(called)[0])[tag]


async def address(stack: Stack, leg: LegId) -> tuple[str, int]:
    """Return where a leg is sent RTP."""
    return audio_address((await stack.event(LegDialed, leg)).local_sdp)


async def hang_up(stack: Stack, *calls: tuple[LegId, Sipp]) -> None:
    """End legs; every phone must have seen what it wants to see."""
    for leg, _ in calls:
        stack.hang_up(leg)
    for leg, called in calls:
        await stack.ended(leg)
        await called.succeeded()


async def join(stack: Stack, leg: LegId, one: RtpPeer, other_leg: LegId, other: RtpPeer) -> None:
    """Join two legs, and wait until a packet comes through."""
    stack.submit(Join(leg, other_leg))
    to_one = await address(stack, leg)
    while not other.waiting():
        one.send(to_one, b"probe")
        await asyncio.sleep(0.01)
    one.send(to_one, b"joined")
    while await other.payload() != b"joined":
        pass


async def both_hear(
    one: RtpPeer, to_one: tuple[str, int], other: RtpPeer, to_other: tuple[str, int], word: str
) -> None:
    """Send a few packets each way and require them at the other end, whole."""
    for number in range(5):
        there = one.send(to_one, f"{word} there {number}".encode().ljust(160))
        assert await other.payload() == there
        back = other.send(to_other, f"{word} back {number}".encode().ljust(160))
        assert await one.payload() == back
